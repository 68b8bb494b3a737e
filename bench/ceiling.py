"""How many listeners one machine serves: `python bench/ceiling.py [--quick]` -> JSON.

Several edge workers share one port (SO_REUSEPORT) and both cores with the crowds and the feeder. A number stands if, of
chunks of one second over a window, every listener got every byte (compared with the chunks themselves) and nobody had
the last byte of a chunk more than LATE_MS_MAX after it was due. First the number of the goal for a minute, then more
and more, on the same edges, until one number does not stand.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from stentor.io.board import Board
from stentor.model import board
from stentor.model.grid import SAMPLE_RATE
from stentor.model.rendition import OPUS
from support.contestants import Contestant, stentor
from support.crowd import Crowd, crowd, together, write_chunks
from support.figures import machine
from support.processes import BenchError, alone, cpu_s
from support.pulse import Pulse, chunks, new_grid

CHUNK_S = 1.0
LATE_MS_MAX = 1_500.0
AT_ONCE = 300  # joins of each crowd at a time
SETTLE_CHUNKS = 3
PREPARE_CHUNKS = 3  # time to write down what comes in a window
CORES = f"0-{(os.cpu_count() or 1) - 1}"


class Plan(NamedTuple):
    """`goal` listeners for `goal_s`; then steps of `step` for `step_s` each, up to `listeners_max`."""

    workers: int
    crowds: int
    goal: int
    goal_s: int
    step: int
    step_s: int
    listeners_max: int


GOAL = Plan(workers=3, crowds=3, goal=40_000, goal_s=60, step=0, step_s=0, listeners_max=40_000)
RAMP = Plan(workers=8, crowds=8, goal=40_000, goal_s=20, step=10_000, step_s=20, listeners_max=140_000)
QUICK = Plan(workers=2, crowds=2, goal=1_000, goal_s=5, step=500, step_s=5, listeners_max=2_000)


class Hall:
    """Edges, crowds and the pulse, all at work."""

    def __init__(self, server: Contestant, people: list[Crowd], pulse: Pulse, scratch: Path) -> None:
        self._server, self._people, self._pulse, self._scratch = server, people, pulse, scratch
        self.listeners = 0

    def fill(self, listeners: int) -> float:
        """Let in whoever is missing to `listeners`; -> how long that took, in seconds. Raises `BenchError`."""
        began_s = time.monotonic()
        share, rest = divmod(listeners - self.listeners, len(self._people))
        counts = {one: share + (index < rest) for index, one in enumerate(self._people)}
        together(self._people, lambda one: one.join(counts[one], AT_ONCE))
        self.listeners = listeners
        return time.monotonic() - began_s

    def window(self, seconds: int) -> dict[str, Any]:
        """What everybody got in so many seconds, and what that took of the machine's cores."""
        told, first = self._scratch / "chunks", self._pulse.quiet(SETTLE_CHUNKS) + 1 + PREPARE_CHUNKS
        numbers = range(first, first + round(seconds / CHUNK_S))
        write_chunks(told, [(self._due_ns(n), chunks(self._pulse.grid, n)[OPUS.id]) for n in numbers])
        while self._pulse.quiet(1) < first - 1:
            pass
        together(self._people, lambda one: one.follow(told))
        before, began_s = self._cpu(), time.monotonic()
        if began_s >= self._due_ns(first) / 1e9:
            raise BenchError("the crowds were told too late what is to come")
        time.sleep(self._due_ns(numbers[-1]) / 1e9 + LATE_MS_MAX / 1e3 - began_s)
        lasted_s = time.monotonic() - began_s
        used = {name: round((at - before[name]) / lasted_s, 3) for name, at in self._cpu().items()}
        return gathered(together(self._people, Crowd.followed)) | {"cores_used": used}

    def _due_ns(self, n: int) -> int:
        """When chunk `n` goes out: at its end."""
        return self._pulse.grid.start_ns(n + 1)

    def _cpu(self) -> dict[str, float]:
        """Core seconds so far; `machine` is all that is not idle, whoever it is."""
        user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
        return {
            "edges": cpu_s(self._server.pids),
            "crowds": sum(one.cpu_s() for one in self._people),
            "feeder": time.process_time(),
            "machine": (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK"),
        }

    def by_worker(self) -> list[int]:
        """Listeners of each worker, as it tells on the board."""
        values = Board(self._scratch / "run" / "board")
        told = (values.get(key, board.Edge) for key in values.keys("edge-"))
        return [one.listeners for one in told if one]


def gathered(followed: list[dict[str, Any]]) -> dict[str, Any]:
    """What the crowds tell, as one. The quantiles are those of the worst crowd."""
    sums = {name: sum(one[name] for one in followed) for name in ("listeners", "closed", "whole", "wrong")}
    return sums | {name: max(one[name] for one in followed) for name in ("late_ms_p50", "late_ms_p99", "late_ms_max")}


def stands(seen: dict[str, Any], listeners: int) -> bool:
    everybody = seen["listeners"] == seen["whole"] == listeners and not seen["closed"] and not seen["wrong"]
    return everybody and seen["late_ms_max"] <= LATE_MS_MAX


@contextlib.contextmanager
def hall(plan: Plan) -> Iterator[Hall]:
    with (
        tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory,
        contextlib.ExitStack() as stack,
    ):
        scratch, grid = Path(directory), new_grid(round(CHUNK_S * SAMPLE_RATE))
        start = partial(stentor, workers=plan.workers, cores=CORES)
        server = stack.enter_context(start(grid, scratch, plan.listeners_max))
        opened = [
            crowd(server.port, server.paths[index :: plan.crowds], scratch, cores=CORES) for index in range(plan.crowds)
        ]
        people = [stack.enter_context(one) for one in opened]
        yield Hall(server, people, stack.enter_context(Pulse(grid, server.publish)), scratch)


def climb(plan: Plan) -> dict[str, Any]:
    """Windows at growing numbers, up to the first that does not stand."""
    steps: list[dict[str, Any]] = []
    numbers = [plan.goal, *(range(plan.goal + plan.step, plan.listeners_max + 1, plan.step) if plan.step else ())]
    with hall(plan) as place:
        for listeners in numbers:
            steps.append(step(place, listeners, plan.goal_s if listeners == plan.goal else plan.step_s))
            print(f"{plan.workers} workers: {steps[-1]}", file=sys.stderr)
            if not steps[-1]["stands"]:
                break
    most = max((one["asked"] for one in steps if one["stands"]), default=0)
    return {**plan._asdict(), "most_that_stood": most, "steps": steps}


def step(place: Hall, listeners: int, seconds: int) -> dict[str, Any]:
    seen: dict[str, Any] = {"asked": listeners, "seconds": seconds, "stands": False}
    try:
        seen["join_s"] = round(place.fill(listeners), 1)
        seen |= place.window(seconds)
        seen["by_worker"] = place.by_worker()
    except BenchError as error:
        return seen | {"error": str(error)}
    return seen | {"stands": stands(seen, listeners)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="2,000 listeners")
    parser.add_argument("--only", choices=["goal", "ramp"])
    arguments = parser.parse_args()
    plans = {"quick": QUICK} if arguments.quick else {"goal": GOAL, "ramp": RAMP}
    with alone():
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        result: dict[str, Any] = {"machine": machine(), "chunk_s": CHUNK_S, "late_ms_max": LATE_MS_MAX}
        for name, plan in plans.items():
            if arguments.only in (None, name):
                result[name] = climb(plan)
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
