"""Listeners while the door is asked for more than it can answer: `python bench/overload.py [--quick]` -> JSON.

A real `serve` with a speaker on air, chunks of half a second (the longest a show may have), 10,000 listeners at its
edge. First an idle control window, then windows of the same length with storms at the door: a thousand connections of
wrk that ask for tickets as fast as they are answered, kept, and then a fresh one each time. A door that answers some
twenty thousand joins a second cannot be offered ten times as many from the other core of the same machine: this is
what that core can ask. The shield is in a dry run, for all come from one address. Listeners are seen by the crowd,
everything else by what the roles tell on the board. The storm is nice, and has the core that the crowd has.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from stentor.clients import installation
from stentor.clients.admin import Admin
from stentor.clients.installation import Serving
from stentor.formats.crew import NewShow
from stentor.io.board import Board
from stentor.model import board
from stentor.settings import Settings
from support.asking import wrk
from support.contestants import tickets
from support.crowd import Crowd, crowd
from support.figures import machine
from support.processes import BenchError, alone

CHUNK_MS = 500
STARTS_IN_S = 4.0
LIVE_S_MAX = 30.0
AT_ONCE = 200
SETTLE_S = 5.0
CONNECTIONS = 1_000  # of the storm: below `requests_max`
STORM_NICE = 15
LEAD_S = 0.5
TELL_S = 1.5  # roles tell once a second
RECOVERY_S_MAX = 30.0
GOOD_S = 0.05  # an answer within it, ten times in a row, and the door is as ever


class Plan(NamedTuple):
    listeners: int
    seconds: int


FULL, QUICK = Plan(10_000, 30), Plan(1_000, 5)


class House:
    """The installation with a show on air."""

    def __init__(self, up: Serving, show: str) -> None:
        self.settings, self.show = up.settings, show
        self._board = Board(up.settings.board_dir)

    @property
    def join_path(self) -> str:
        return f"/s/{self.show}/join"

    def stage(self) -> board.Stage:
        value = self._board.get("stage", board.Stage)
        if value is None:
            raise BenchError("no word of the stage")
        return value

    def counters(self) -> dict[str, int]:
        """Of all roles, since their start."""
        stage = self.stage()
        doors = [self._board.get(key, board.Door) for key in self._board.keys("door-")]
        edges = [self._board.get(key, board.Edge) for key in self._board.keys("edge-")]
        told = {
            "late_ticks": stage.late_ticks, "late_chunks": stage.late_chunks, "chunks": stage.n,
            "recorded": stage.tape.next_n,
        }  # fmt: skip
        told |= {name: sum(getattr(one, name) for one in doors if one) for name in ("requests", "tickets", "shed")}
        return told | {name: sum(getattr(one, name) for one in edges if one) for name in ("skips", "drops")}

    async def until_live(self) -> None:
        deadline = time.monotonic() + LIVE_S_MAX
        while self._board.get("stage", board.Stage) is None or not self.stage().live_n or not self.stage().speakers:
            if time.monotonic() > deadline:
                raise BenchError("the show does not begin")
            await asyncio.sleep(0.1)


@asynccontextmanager
async def on_air() -> AsyncIterator[House]:
    with installation.directories() as (data_dir, run_dir):
        own = replace(Settings(), data_dir=data_dir, run_dir=run_dir, advertise="127.0.0.1")
        async with installation.serving(installation.with_free_ports(own, keep=False)) as up:
            order = NewShow("Overload", starts_in_s=STARTS_IN_S, chunk_ms=CHUNK_MS, host="Host", on_air=("Host",))
            show = await up.create_show(order)
            with (data_dir / "speak.log").open("wb") as log:
                speaker = await up.spawn(log, "speak", show.crew_link, "timecode")
            try:
                house = House(up, show.show)
                async with Admin(up.settings.desk_socket) as desk:
                    await desk.dry_run(show.show, True)
                await house.until_live()
                yield house
            finally:
                await installation.stop(speaker)


@asynccontextmanager
async def storm(house: House, seconds: float, *, fresh: bool) -> AsyncIterator[dict[str, Any]]:
    """-> what it tells, once it is over."""
    url = f"http://127.0.0.1:{house.settings.door_port}{house.join_path}"
    asking = asyncio.create_task(
        asyncio.to_thread(wrk, url, CONNECTIONS, round(seconds), fresh=fresh, post=True, nice=STORM_NICE)
    )
    told: dict[str, Any] = {}
    yield told
    told |= (await asking)._asdict()


async def window(house: House, people: Crowd, seconds: float) -> dict[str, Any]:
    """What listeners and roles saw in so long."""
    await asyncio.to_thread(people.mark)
    before = house.counters()
    await asyncio.sleep(seconds)
    heard = await asyncio.to_thread(people.mark)
    await asyncio.sleep(TELL_S)
    after = house.counters()
    seen = {name: after[name] - before[name] for name in after}
    # Recorder and mixer tell at different moments, so one chunk may be under way.
    seen["records_lost"] = max(0, seen.pop("chunks") - seen.pop("recorded") - 1)
    return heard | seen


async def under(house: House, people: Crowd, seconds: float, *, fresh: bool) -> dict[str, Any]:
    """The same in a storm, and how long until the door is as ever after it."""
    async with storm(house, seconds + TELL_S + 2 * LEAD_S, fresh=fresh) as told:
        await asyncio.sleep(LEAD_S)
        seen = await window(house, people, seconds)
    told["recovered_s"] = await asyncio.to_thread(recovery_s, house)
    return seen | {"storm": told}


def recovery_s(house: House) -> float:
    """From now until ten in a row who ask alone are answered at once. Raises `BenchError`."""
    began_s, good = time.monotonic(), 0
    while good < 10:
        if time.monotonic() - began_s > RECOVERY_S_MAX:
            raise BenchError("the door does not recover")
        good = good + 1 if _asks_well(house) else 0
    return round(time.monotonic() - began_s, 3)


def _asks_well(house: House) -> bool:
    began_s = time.monotonic()
    client = http.client.HTTPConnection("127.0.0.1", house.settings.door_port, timeout=5)
    try:
        client.request("POST", house.join_path)
        return client.getresponse().status in (200, 202) and time.monotonic() - began_s < GOOD_S
    except OSError:
        return False
    finally:
        client.close()


async def bench(plan: Plan) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as scratch:
        async with on_air() as house:
            paths = tickets(house.settings, plan.listeners, house.show)
            with crowd(house.settings.edge_port, paths, Path(scratch)) as people:
                await asyncio.to_thread(people.join, plan.listeners, AT_ONCE)
                await asyncio.sleep(SETTLE_S)
                return await compared(house, people, plan)


async def compared(house: House, people: Crowd, plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {"control": await window(house, people, plan.seconds)}
    for name, fresh in (("kept", False), ("fresh", True)):
        await asyncio.sleep(SETTLE_S)
        seen = found[name] = await under(house, people, plan.seconds, fresh=fresh)
        print(f"{name}: {seen}", file=sys.stderr)
        for gap in ("gap_ms_p50", "gap_ms_p9999", "gap_ms_max"):
            seen[f"{gap}_over_control"] = round(seen[gap] - found["control"][gap], 3)
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="1,000 listeners, windows of five seconds")
    plan = QUICK if parser.parse_args().quick else FULL
    with alone():
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # `serve` says itself who goes first
        result = {"machine": machine(), **plan._asdict()} | asyncio.run(bench(plan))
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
