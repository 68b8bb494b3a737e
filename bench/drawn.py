"""Of those who were drawn, how many listen when the show begins: `python bench/drawn.py [--quick]` -> JSON.

A real `serve` with TLS and a show with a draw. Places are taken at the door before it, over one kept connection.
After it each place is a caller (bench/callers.c) that does what the page does, every request over TLS on a connection
of its own: it sees the draw within a poll, asks for its rank within 10 s, sees its turn by the mark within a poll, gets
its ticket within 1 s, and goes on to the edge. The driver polls `now` for all: caches would answer. Times are
compressed: the draw is 90 s before the start. Nobody speaks: the sound is the hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import socket
import ssl
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from stentor.clients import installation
from stentor.clients.installation import Serving
from stentor.formats.crew import NewShow, ShowMade
from stentor.io.board import Board
from stentor.model import board
from stentor.settings import Settings
from support.callers import PLACE, Callers, Errand, brief, callers, reached
from support.certs import certificate
from support.figures import machine
from support.processes import BenchError, alone, apart, cpu_s

BATCH = 16  # requests for a place under way on a connection
READ_BYTES = 65_536
ASK_S = 10.0  # web/listen/room.js: ASK_MS
POLL_SPREAD = 1.2
LOOK_S = 0.25
DRAW_S_MAX = 30.0
AFTER_S = 15.0  # behind the start, to see what comes of those who were late
ROLES = ("door", "edge", "usher", "studio")
_PLACE = re.compile(rb'"place": "([^"]{64})"')
_BUSY = b'"code": "busy"'
_STATUS = re.compile(rb"HTTP/1\.1 (\d+)")


class Plan(NamedTuple):
    places: int
    draw_in_s: float
    draw_before_s: float


FULL, QUICK = Plan(10_000, 50.0, 90.0), Plan(300, 12.0, 25.0)


class Night:
    """The installation, its show, and what the board says of it."""

    def __init__(self, up: Serving, made: ShowMade, plan: Plan) -> None:
        self.up, self.settings, self.show, self.plan = up, up.settings, made.show, plan
        self.starts_s = made.starts_at_ms / 1000
        self._board = Board(up.settings.board_dir)

    def now(self) -> dict[str, Any]:
        """The object that caches have; empty before there is one."""
        value = self._board.get(f"now-{self.show}", board.Now)
        return dict(json.loads(value.text)) if value else {}

    def line(self) -> board.Line:
        value = self._board.get(f"line-{self.show}", board.Line)
        if value is None:
            raise BenchError("no word of the line")
        return value

    def told(self) -> dict[str, Any]:
        """The usher's own view, and the edges'."""
        line = self.line()
        edges = [one for key in self._board.keys("edge-") if (one := self._board.get(key, board.Edge))]
        fields = {name: getattr(line, name) for name in ("cap", "listening", "called", "waiting", "places")}
        sums = {name: sum(getattr(one, name) for one in edges) for name in ("arrivals", "listeners", "refused")}
        return {f"line_{name}": value for name, value in fields.items()} | {f"edges_{k}": v for k, v in sums.items()}

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU since the start, by role."""
        pids = self.up.pids()
        return {role: cpu_s([pid for name, pid in pids.items() if name.partition("-")[0] == role]) for role in ROLES}


def take_places(night: Night, count: int) -> list[str]:
    """So many places of the door, over one kept connection. Raises `BenchError` if they are refused."""
    host = "127.0.0.1", night.settings.door_port
    request = b"POST /s/%b/join HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n" % night.show.encode()
    context, found = ssl._create_unverified_context(), list[str]()
    with socket.create_connection(host, timeout=10) as plain, context.wrap_socket(plain) as wire:
        while len(found) < count:
            found += _batch(wire, request, min(BATCH, count - len(found)))
    return found


def _batch(wire: ssl.SSLSocket, request: bytes, size: int) -> list[str]:
    """Fewer than were asked for, if the door had too much to do for the others."""
    wire.sendall(request * size)
    data = b""
    while len(found := _PLACE.findall(data)) + data.count(_BUSY) < size:
        more = wire.recv(READ_BYTES)
        data += more
        if not more or any(status not in (b"202", b"503") for status in _STATUS.findall(data)):
            raise BenchError(f"no place, but {data[:500]!r}")
    return [place.decode() for place in found]


async def until_gathering(night: Night) -> None:
    deadline = time.monotonic() + DRAW_S_MAX
    while night.now().get("gate") != "gathering":
        if time.monotonic() > deadline:
            raise BenchError("no places are given")
        await asyncio.sleep(LOOK_S)


async def until_drawn(night: Night) -> dict[str, Any]:
    """-> the `now` object that has the key."""
    while not (now := night.now()).get("draw", {}).get("key"):
        if time.time() > night.starts_s:
            raise BenchError("nothing was drawn before the start")
        await asyncio.sleep(LOOK_S)
    return now


def errands(places: list[str], poll_s: float) -> list[Errand]:
    """Each sees the draw within a poll, and asks for its rank within ASK_S."""
    rng = random.Random(1)
    return [Errand(rng.uniform(0, POLL_SPREAD * poll_s) + rng.uniform(0, ASK_S), PLACE, place) for place in places]


async def follow(night: Night, people: Callers, until_s: float, came: dict[str, Any]) -> None:
    """Until a time of the wall clock: tell the callers of the mark, and note who hears."""
    drawn_s = night.starts_s - night.plan.draw_before_s
    mark = -1
    while time.time() < until_s:
        now = night.now()
        if now.get("mark", 0) > mark or mark < 0:
            mark = now.get("mark", 0)
            came["marks"] += 1
        await asyncio.to_thread(people.mark, mark, POLL_SPREAD * now["next_poll_ms"] / 1000)
        seen = await asyncio.to_thread(people.look)
        reached(came["after_draw_s"], time.time() - drawn_s, seen["hearing"], night.plan.places)
        await asyncio.sleep(min(LOOK_S, max(0.0, until_s - time.time())))


async def evening(night: Night, scratch: Path) -> dict[str, Any]:
    plan = night.plan
    await until_gathering(night)
    began_s = time.monotonic()
    places = await asyncio.to_thread(take_places, night, plan.places)
    found: dict[str, Any] = {"taken_in_s": round(time.monotonic() - began_s, 2)}
    if time.time() > night.starts_s - plan.draw_before_s - 1:
        raise BenchError("the places were not taken before the draw")
    with callers(night.settings, night.show, scratch) as people:
        now = await until_drawn(night)
        before, crowd_before, seen_s = night.cpu(), people.cpu_s(), time.time()
        found |= {"drawn_after_s": round(seen_s - night.starts_s + plan.draw_before_s, 2), "cap": now.get("cap")}
        people.call(errands(places, now["next_poll_ms"] / 1000))
        came: dict[str, Any] = {"marks": 0, "after_draw_s": {}}
        await follow(night, people, night.starts_s, came)
        at_start = await asyncio.to_thread(people.look)
        told, after = night.told(), night.cpu()
        found |= came | {"share_at_start": round(at_start["hearing"] / plan.places, 4), "at_start": brief(at_start)}
        found["told_at_start"] = told
        found["cpu_s"] = {role: round(after[role] - before[role], 2) for role in ROLES}
        found["cpu_s"]["callers"] = round(people.cpu_s() - crowd_before, 2)
        found["window_s"] = round(night.starts_s - seen_s, 1)
        await follow(night, people, night.starts_s + AFTER_S, came)
        return found | {"later": brief(await asyncio.to_thread(people.look))}


async def bench(plan: Plan, own: dict[str, int]) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as scratch,
        installation.directories() as (data_dir, run_dir),
    ):
        chain, key = map(str, certificate(Path(scratch)))
        plain = replace(Settings(), data_dir=data_dir, run_dir=run_dir, advertise="127.0.0.1", **own)
        secure = replace(plain, tls_chain=chain, tls_key=key)
        async with installation.serving(installation.with_free_ports(secure, keep=False)) as up:
            lead_s = plan.draw_in_s + plan.draw_before_s
            order = NewShow("Drawn", starts_in_s=lead_s, open_before_s=lead_s, draw_before_s=plan.draw_before_s)
            return await evening(Night(up, await up.create_show(order), plan), Path(scratch))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="300 places, the draw 25 s before the start")
    for name in ("doors", "edges", "calls-per-s"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Settings(), name.replace("-", "_")), help="as set")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    own = {name: value for name, value in vars(arguments).items() if name != "quick"}
    with alone(), apart():
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # `serve` says itself who goes first
        result = {"machine": machine(), **plan._asdict(), **own}
        print(json.dumps(result | asyncio.run(bench(plan, own)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
