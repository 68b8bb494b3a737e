"""Honest joins at once, twice and ten times what a door can answer: `python bench/goodput.py [--quick]` -> JSON.

A real `serve` with a speaker on air, whose door gets a tenth of a core (a control group's quota), for no crowd of this
machine could ask ten times what a whole core answers. What it can answer is its quota by what a join costs it at a
rate that is no load at all. Then people come at once, twice and ten times that rate, open loop, each of whom tries
once: a ticket at the door, the sound at the edge (callers.c). Goodput is how many of them hear something. Between two
rates is a pause, and `recovered_s` is how long after the last of them the door is as ever. The shield is in a dry run,
for all come from a few addresses and leave at once. Needs root and control groups of version 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from overload import House, on_air, recovery_s
from stentor.io.board import Board
from stentor.model import board
from support.callers import JOIN, Callers, Errand, brief, callers
from support.figures import machine
from support.processes import BenchError, alone, cpu_s

GROUP = Path("/sys/fs/cgroup/cpu/stentor-bench-door")
PERIOD_US, QUOTA = 20_000, 0.1
CALM_S, CALM_RATE = 5.0, 50
TIMES = (1, 2, 10)
SECONDS, SECONDS_QUICK = 20.0, 4.0
LAST_S = 9.0  # until the last of them has an answer, or none
ERRANDS_MAX = 180_000


@contextlib.contextmanager
def held_down(pid: int) -> Iterator[None]:
    """The process gets no more than `QUOTA` of a core. Raises `BenchError` where that cannot be."""
    home = next(line for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if ":cpu" in line).split(":")[2]
    try:
        GROUP.mkdir(exist_ok=True)
        (GROUP / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (GROUP / "cpu.cfs_quota_us").write_text(str(round(QUOTA * PERIOD_US)))
        (GROUP / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        raise BenchError(f"no quota for the door: {error}") from None
    try:
        yield
    finally:
        (Path("/sys/fs/cgroup/cpu") / home.strip("/") / "cgroup.procs").write_text(str(pid))
        GROUP.rmdir()


def door_pid(house: House) -> int:
    value = Board(house.settings.board_dir).get("door-0", board.Door)
    if value is None:
        raise BenchError("no word of the door")
    return value.pid


async def offered(house: House, per_s: float, seconds: float) -> dict[str, Any]:
    """People come at that rate, at random instants; -> how many heard something, and what it cost the door."""
    count, rng = min(ERRANDS_MAX, round(per_s * seconds)), random.Random(1)
    pid = door_pid(house)
    with (
        tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as scratch,
        callers(house.settings, house.show, Path(scratch)) as people,
    ):
        before = cpu_s([pid])
        people.call(Errand(rng.uniform(0, seconds), JOIN, stays=False) for _ in range(count))
        await asyncio.sleep(seconds)
        spent = cpu_s([pid]) - before
        recovered_s = await asyncio.to_thread(recovery_s, house)
        await asyncio.sleep(max(0.0, LAST_S - recovered_s))
        seen = look(people)
    heard = int(seen.get("left", 0))
    told = {"offered_per_s": round(count / seconds), "heard_per_s": round(heard / seconds, 1)}
    return (
        told
        | {"heard": round(heard / count, 4), "door_us": round(spent / count * 1e6), "recovered_s": recovered_s}
        | seen
    )


def look(people: Callers) -> dict[str, Any]:
    return brief(people.look())


async def bench(seconds: float) -> dict[str, Any]:
    async with on_air() as house:
        calm = await offered(house, CALM_RATE, CALM_S)
        capacity = QUOTA / (calm["door_us"] / 1e6)
        found: dict[str, Any] = {"quota_of_a_core": QUOTA, "capacity_per_s": round(capacity), "calm": calm}
        with held_down(door_pid(house)):
            for times in TIMES:
                found[f"{times}x"] = await offered(house, times * capacity, seconds)
                print(f"{times}x: {found[f'{times}x']}", file=sys.stderr)
        return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="four seconds of each")
    seconds = SECONDS_QUICK if parser.parse_args().quick else SECONDS
    with alone():
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.setpriority(os.PRIO_PROCESS, 0, 0)
        print(json.dumps({"machine": machine()} | asyncio.run(bench(seconds)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
