"""A long show while processes are killed: `python tests/soak.py [--for 30m] [--seed 1]` -> JSON on stdout.

Two speakers and a listener of each codec stay for the whole show; every few seconds one role is killed with -9. Exit
code 1 if a listener missed a chunk, or the tape is not what was signed. The seed fixes who is killed, and when.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from stentor import settings
from stentor.clients import aftermath, installation
from stentor.clients.installation import Serving
from stentor.clients.links import Link
from stentor.clients.listen import Listener
from stentor.commands import seconds
from stentor.formats.crew import NewShow, ShowMade
from stentor.model.rendition import AAC, MP3, OPUS

VICTIMS = ("studio", "usher", "edge-0", "door-0", "desk", "archive")
BETWEEN_KILLS_S = (4.0, 20.0)
STARTS_IN_S = 8.0
LAST_CHUNKS_S_MAX = 30.0


@asynccontextmanager
async def speaking(up: Serving, show: ShowMade) -> AsyncIterator[None]:
    """Host and guest, time-coded, as long as it takes."""
    with (up.settings.data_dir / "speak.log").open("wb") as log:
        links = (show.crew_link, *show.guest_links.values())
        speakers = [await up.spawn(log, "speak", link, "timecode") for link in links]
    try:
        yield
    finally:
        for speaker in speakers:
            await installation.stop(speaker)


async def kill_now_and_then(up: Serving, rng: random.Random, until_s: float) -> Counter[str]:
    """-> how often each role was killed."""
    killed: Counter[str] = Counter()
    while (left_s := until_s - time.monotonic()) > 0:
        await asyncio.sleep(min(left_s, rng.uniform(*BETWEEN_KILLS_S)))
        victim = rng.choice(VICTIMS)
        if up.kill(victim):
            killed[victim] += 1
            print(f"{left_s:6.0f} s left: kill -9 {victim}", file=sys.stderr, flush=True)
    return killed


async def soak(up: Serving, for_s: float, rng: random.Random) -> dict[str, Any]:
    show = await up.create_show(NewShow("Soak", starts_in_s=STARTS_IN_S, guests=("Guest",), on_air=("Host", "Guest")))
    listeners = [Listener(Link.parse(show.listener_link), rendition) for rendition in (OPUS, AAC, MP3)]
    async with asyncio.TaskGroup() as group, speaking(up, show):
        hearing = [group.create_task(listener.run()) for listener in listeners]
        await asyncio.sleep(STARTS_IN_S)
        killed = await kill_now_and_then(up, rng, time.monotonic() + for_s)
        await up.until_up()  # the desk may have been killed a moment ago
        await up.wish(show.show, "end")
        _, late = await asyncio.wait(hearing, timeout=LAST_CHUNKS_S_MAX)
        for task in late:
            task.cancel()
    tape = await aftermath.verify(up.settings.data_dir / "shows" / show.show / "tape")
    fine = all(listener.fine and listener.ended for listener in listeners) and tape["verified"]
    return {"fine": fine, "killed": killed, "tape": tape, "heard": [listener.report() for listener in listeners]}


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--for", type=seconds, default=1800.0, dest="for_s", metavar="DURATION")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with installation.directories() as (data_dir, run_dir):
        own = installation.with_free_ports(replace(settings.load(), data_dir=data_dir, run_dir=run_dir), keep=False)
        async with installation.serving(own) as up:
            result = await soak(up, arguments.for_s, random.Random(arguments.seed))
            if not result["fine"]:
                print(up.log_tail(), file=sys.stderr)
    print(json.dumps(result, indent=1))
    return 0 if result["fine"] else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
