"""All listeners dropped at once, among strangers: `python bench/comeback.py [--quick]` -> JSON.

A real `serve` without TLS and a full house at its edges, chunks of half a second. All edge workers are killed with -9,
and `serve` starts them anew. Each listener is a caller (bench/callers.c) that comes back as the page does: by the
ticket that the edge gave it, U(0, 2^n) s after the nth failure. Meanwhile STRANGERS_PER_S others ask the door, each on
a connection of its own (the house is full: they get places); in the second storm as many with tickets, let in before,
ask at the edges besides, try once, and leave when they hear.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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
from support.callers import JOIN, LIVE, Callers, Errand, brief, callers, reached
from support.contestants import tickets
from support.figures import machine
from support.processes import BenchError, alone, apart

EDGES = 2
CHUNK_MS = 500
JOINS_PER_S = 500  # of the listeners, at first
STRANGERS_PER_S = 1_000
LEAD_S = 3.0  # strangers come before the workers die
LOOK_S = 0.1
SETTLE_S = 10.0
UP_S_MAX = 30.0
BACK_S_MAX = 90.0
FIRST_SEQ = 1_000_000  # of listeners' tickets; the door counts from 1


class Plan(NamedTuple):
    listeners: int
    strangers_per_s: int
    strangers_s: float  # how long they come


FULL, QUICK = Plan(10_000, STRANGERS_PER_S, 30.0), Plan(500, 100, 8.0)


class House:
    """The installation, and what the board says of it."""

    def __init__(self, up: Serving, show: str, scratch: Path) -> None:
        self.up, self.show, self.scratch, self.settings = up, show, scratch, up.settings
        self._board = Board(up.settings.board_dir)
        self._seq = FIRST_SEQ

    def tickets(self, count: int) -> list[str]:
        """As the door mints them; no two alike."""
        first, self._seq = self._seq, self._seq + count
        return [path.split("/")[2] for path in tickets(self.settings, count, self.show, first)]

    def line(self) -> board.Line:
        value = self._board.get(f"line-{self.show}", board.Line)
        if value is None:
            raise BenchError("no word of the line")
        return value

    def told(self) -> dict[str, int]:
        """What the line and the door say that should stand still, or be counted."""
        line, door = self.line(), self._board.get("door-0", board.Door)
        assert door is not None
        return {"mark": line.mark, "tickets": door.tickets, "places": door.places, "shed": door.shed}

    def edges(self) -> list[board.Edge]:
        """Of the workers that live."""
        pids = set(self.up.pids().values())
        found = [self._board.get(key, board.Edge) for key in self._board.keys("edge-")]
        return [one for one in found if one is not None and one.pid in pids]

    async def until(self, what: str, seconds_max: float, holds: Any) -> None:
        deadline = time.monotonic() + seconds_max
        while not holds():
            if time.monotonic() > deadline:
                raise BenchError(f"not within {seconds_max:.0f} s: {what}")
            await asyncio.sleep(LOOK_S)

    def kill_edges(self) -> None:
        if not all(self.up.kill(f"edge-{index}") for index in range(EDGES)):
            raise BenchError("an edge worker was dead already")


@asynccontextmanager
async def full_house(plan: Plan, scratch: Path) -> AsyncIterator[House]:
    """A show that is on, with no more seats than listeners."""
    with installation.directories() as (data_dir, run_dir):
        own = replace(Settings(), data_dir=data_dir, run_dir=run_dir, advertise="127.0.0.1", edges=EDGES)
        async with installation.serving(installation.with_free_ports(own, keep=False)) as up:
            made = await up.create_show(NewShow("Comeback", starts_in_s=2.0, chunk_ms=CHUNK_MS, lasts_s=3_600))
            async with Admin(up.settings.desk_socket) as desk:
                await desk.cap(made.show, plan.listeners)
            house = House(up, made.show, scratch)
            await house.until("all edges tell", UP_S_MAX, lambda: len(house.edges()) == EDGES)
            yield house


@contextmanager
def strangers(house: House, plan: Plan, *, at_edges: bool) -> Iterator[Callers]:
    """They come for so long, from now on."""
    count = round(plan.strangers_per_s * plan.strangers_s)
    at_s = [index / plan.strangers_per_s for index in range(count)]
    errands = [Errand(in_s, JOIN, stays=False) for in_s in at_s]
    if at_edges:
        let_in = house.tickets(count)
        errands += [Errand(in_s, LIVE, text, stays=False) for in_s, text in zip(at_s, let_in, strict=True)]
    with callers(house.settings, house.show, house.scratch) as people:
        people.call(errands)
        yield people


async def seat(house: House, people: Callers, plan: Plan) -> None:
    """Until all listen, and the usher knows."""
    tokens = house.tickets(plan.listeners)
    people.call(Errand(index / JOINS_PER_S, LIVE, token) for index, token in enumerate(tokens))
    most_s = plan.listeners / JOINS_PER_S + BACK_S_MAX
    await house.until("all listen", most_s, lambda: people.look()["hearing"] == plan.listeners)
    await house.until("the house is full", UP_S_MAX, lambda: house.line().listening >= plan.listeners)
    await asyncio.sleep(SETTLE_S)


async def drop(house: House, people: Callers, plan: Plan) -> dict[str, Any]:
    """Kill, and watch until all are back."""
    people.clear()
    dead = {edge.pid for edge in house.edges()}
    house.kill_edges()
    began_s = time.monotonic()
    back_s: dict[str, float] = {}
    silent = lowest = plan.listeners
    up_s: float | None = None
    while "100" not in back_s and time.monotonic() < began_s + BACK_S_MAX:
        seen = await asyncio.to_thread(people.look)
        passed_s = time.monotonic() - began_s
        if up_s is None and len({edge.pid for edge in house.edges()} - dead) == EDGES:
            up_s = round(passed_s, 2)
        if seen["lost"] >= plan.listeners:
            reached(back_s, passed_s, seen["hearing"], plan.listeners)
        lowest, silent = min(lowest, seen["hearing"]), plan.listeners - seen["hearing"]
        await asyncio.sleep(LOOK_S)
    return {"edges_up_s": up_s, "back_s": back_s, "fewest_hearing": lowest, "never_back": silent} | {
        "listeners": brief(await asyncio.to_thread(people.look))
    }


async def storm(house: House, people: Callers, plan: Plan, *, at_edges: bool) -> dict[str, Any]:
    """One storm among strangers, and what the door gave them meanwhile."""
    with strangers(house, plan, at_edges=at_edges) as others:
        await asyncio.sleep(LEAD_S)
        before = house.told()
        found = await drop(house, people, plan)
        after = house.told()
        await asyncio.sleep(max(0.0, plan.strangers_s - LEAD_S - max(found["back_s"].values(), default=0.0)))
        found["strangers"] = brief(await asyncio.to_thread(others.look))
    found["door_meanwhile"] = {name: after[name] - before[name] for name in after}
    refusals = [edge.refusals for edge in house.edges()]
    found["edge_refusals"] = {code: sum(one.get(code, 0) for one in refusals) for one in refusals for code in one}
    return found


async def bench(plan: Plan) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        scratch = Path(directory)
        async with full_house(plan, scratch) as house:
            with callers(house.settings, house.show, scratch) as people:
                await seat(house, people, plan)
                found: dict[str, Any] = {}
                for name, at_edges in (("strangers_at_the_door", False), ("at_door_and_edges", True)):
                    found[name] = await storm(house, people, plan, at_edges=at_edges)
                    print(f"{name}: {found[name]}", file=sys.stderr)
                    await asyncio.sleep(SETTLE_S)
                return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="500 listeners, 100 strangers a second")
    plan = QUICK if parser.parse_args().quick else FULL
    with alone(), apart():
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # `serve` says itself who goes first
        result = {"machine": machine(), **plan._asdict(), "edges": EDGES} | asyncio.run(bench(plan))
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
