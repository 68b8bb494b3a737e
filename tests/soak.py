"""A long show: `python tests/soak.py [--for 30m] [--seed 1] [--calm]` -> JSON on stdout.

Two speakers and a listener of each codec stay for the whole show; every few seconds one role is killed with -9. Exit
code 1 if a listener missed a chunk, or the tape is not what was signed. The seed fixes who is killed, and when.

With `--calm` nobody is killed. Instead memory and descriptors of each role and the show's drift are watched, while
every two seconds somebody joins and goes again (support/calm.py says what is fine). Goal: three hours, drift below
20 ms, no growth. It takes a quarter of a core, most of it the studio's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
import wave
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from stentor import settings
from stentor.clients import aftermath, installation, links
from stentor.clients.installation import Serving
from stentor.clients.links import Link
from stentor.clients.listen import Listener
from stentor.commands import seconds
from stentor.core.heard import Whole
from stentor.formats.crew import NewShow, ShowMade
from stentor.model.grid import SAMPLE_RATE
from stentor.model.rendition import AAC, MP3, OPUS
from support.calm import Course, Watch

VICTIMS = ("studio", "usher", "edge-0", "door-0", "desk", "archive")
BETWEEN_KILLS_S = (4.0, 20.0)
STARTS_IN_S = 8.0
LAST_CHUNKS_S_MAX = 30.0
MINUTE_S = 60.0
BETWEEN_VISITS_S = 2.0
VISIT_BYTES = 20_000
VISIT_S_MAX = 10.0
ROOM_S = 10
ROOM_AMPLITUDE = 0.002  # below the time code by 40 dB


@asynccontextmanager
async def speaking(up: Serving, show: ShowMade, guest: str) -> AsyncIterator[None]:
    """The host, time-coded, and a guest who says `guest`, as long as it takes."""
    with (up.settings.data_dir / "speak.log").open("wb") as log:
        guests = [await up.spawn(log, "speak", link, guest, "--loop") for link in show.guest_links.values()]
        speakers = [await up.spawn(log, "speak", show.crew_link, "timecode"), *guests]
    try:
        yield
    finally:
        for speaker in speakers:
            await installation.stop(speaker)


def quiet_room(path: Path, rng: random.Random) -> Path:
    """The air of a room, as a file: a voice on air that leaves the host's time code alone."""
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, ROOM_AMPLITUDE, ROOM_S * SAMPLE_RATE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((32_767 * noise).astype("<i2").tobytes())
    return path


class Killing:
    """`kill -9` of one role after the other."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def listeners(self, show: ShowMade) -> list[Listener]:
        return [Listener(Link.parse(show.listener_link), rendition) for rendition in (OPUS, AAC, MP3)]

    def guest(self, up: Serving) -> str:
        return "timecode"

    async def meanwhile(self, up: Serving, show: ShowMade, until_s: float) -> dict[str, Any]:
        """-> how often each role was killed."""
        killed: Counter[str] = Counter()
        while (left_s := until_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, self._rng.uniform(*BETWEEN_KILLS_S)))
            victim = self._rng.choice(VICTIMS)
            if up.kill(victim):
                killed[victim] += 1
                print(f"{left_s:6.0f} s left: kill -9 {victim}", file=sys.stderr, flush=True)
        return {"fine": True, "killed": killed}


class Calm:
    """Nobody is killed; roles and show are watched."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._watch, self._course = Watch(), Course()
        self._visits: Counter[str] = Counter()

    def listeners(self, show: ShowMade) -> list[Listener]:
        opus, *others = [Listener(Link.parse(show.listener_link), rendition) for rendition in (OPUS, AAC, MP3)]

        def hear(whole: Whole) -> None:
            assert opus.heard is not None
            self._course.receive(whole, opus.heard.grid, time.time_ns())

        opus.on_chunk = hear
        return [opus, *others]

    def guest(self, up: Serving) -> str:
        return str(quiet_room(up.settings.data_dir / "room.wav", self._rng))

    async def meanwhile(self, up: Serving, show: ShowMade, until_s: float) -> dict[str, Any]:
        """-> what became of roles and show."""
        visiting = asyncio.ensure_future(self._visitors(up, show))
        try:
            await self._minutes(up, until_s)
        finally:
            visiting.cancel()
            await asyncio.wait([visiting])
        roles, drift = self._watch.report(), self._course.report()
        fine = drift["fine"] and all(role["fine"] for role in roles.values())
        return {"fine": fine, "drift": drift, "roles": roles, "visits": self._visits}

    async def _minutes(self, up: Serving, until_s: float) -> None:
        """A look at the end of each whole minute."""
        at_s = time.monotonic() + MINUTE_S
        while at_s <= until_s:
            await asyncio.sleep(at_s - time.monotonic())
            self._watch.look(up.pids())
            self._course.turn()
            minute = self._course.minutes[-1:] or ["nothing was heard"]
            print(f"{until_s - at_s:6.0f} s left: {minute[0]}", file=sys.stderr, flush=True)
            at_s += MINUTE_S

    async def _visitors(self, up: Serving, show: ShowMade) -> None:
        """Whoever looks in: page, ticket, a second of sound, playlists of the present and of the past."""
        page = Link.parse(show.listener_link).page
        past = f"http://{up.settings.bind}:{up.settings.archive_port}/archive/{show.show}/dvr.m3u8"
        while True:
            try:
                async with asyncio.timeout(VISIT_S_MAX):
                    await _visit(page, past)
                self._visits["fine"] += 1
            except (TimeoutError, links.Refused, httpx.RequestError) as error:
                self._visits[type(error).__name__] += 1
            await asyncio.sleep(BETWEEN_VISITS_S)


async def _visit(page: str, past: str) -> None:
    async with httpx.AsyncClient() as client:
        mount = await links.join(client, page)
        await links.now(client, page)
        got = 0
        async with client.stream("GET", f"{mount}/opus") as response:
            links.check(response, b"")
            async for data in response.aiter_raw():
                got += len(data)
                if got >= VISIT_BYTES:
                    break
        index = (await links.fetch(client, "GET", f"{mount}/index.m3u8")).decode()
        present = next(line for line in index.splitlines() if line and not line.startswith("#"))
        for playlist in (str(httpx.URL(f"{mount}/").join(present)), past, past.replace("dvr", "aac/dvr")):
            await links.fetch(client, "GET", playlist)


async def soak(up: Serving, for_s: float, kind: Killing | Calm) -> dict[str, Any]:
    show = await up.create_show(NewShow("Soak", starts_in_s=STARTS_IN_S, guests=("Guest",), on_air=("Host", "Guest")))
    listeners = kind.listeners(show)
    async with asyncio.TaskGroup() as group, speaking(up, show, kind.guest(up)):
        hearing = [group.create_task(listener.run()) for listener in listeners]
        await asyncio.sleep(STARTS_IN_S)
        result = await kind.meanwhile(up, show, time.monotonic() + for_s)
        await up.until_up()  # the desk may have been killed a moment ago
        await up.wish(show.show, "end")
        _, late = await asyncio.wait(hearing, timeout=LAST_CHUNKS_S_MAX)
        for task in late:
            task.cancel()
    tape = await aftermath.verify(up.settings.data_dir / "shows" / show.show / "tape")
    fine = all(listener.fine and listener.ended for listener in listeners) and tape["verified"] and result["fine"]
    return result | {"fine": fine, "tape": tape, "heard": [listener.report() for listener in listeners]}


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--for", type=seconds, default=1800.0, dest="for_s", metavar="DURATION")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calm", action="store_true", help="kill nobody; watch memory, descriptors and drift")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with installation.directories() as (data_dir, run_dir):
        own = installation.with_free_ports(replace(settings.load(), data_dir=data_dir, run_dir=run_dir), keep=False)
        async with installation.serving(own) as up:
            result = await soak(up, arguments.for_s, Calm(rng) if arguments.calm else Killing(rng))
            if not result["fine"]:
                print(up.log_tail(), file=sys.stderr)
    print(json.dumps(result, indent=1))
    return 0 if result["fine"] else 1


if __name__ == "__main__":
    installation.end_by_sigterm()
    sys.exit(asyncio.run(main()))
