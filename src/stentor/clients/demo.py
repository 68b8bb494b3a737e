"""The main job on one machine, with everything real: `serve`, a show at its minute, two voices over WebRTC, a listener;
then the replay, the proof of its tape, and what was heard held against it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from stentor.clients import aftermath, installation, speech
from stentor.clients.admin import AdminError
from stentor.clients.installation import Serving
from stentor.clients.links import Link, Refused
from stentor.clients.listen import Listener
from stentor.core.heard import Whole
from stentor.formats.crew import NewShow, ShowMade
from stentor.model.rendition import OPUS
from stentor.settings import Settings

STARTS_IN_S_MIN = 6.0  # two speakers start and connect meanwhile
LAST_CHUNKS_S_MAX = 15.0  # from the wish to end until the listener has the last chunk
KILL_AFTER_S = 10.0  # or in the middle of a shorter show
HEARD_MAX = 100_000  # chunks whose digest is kept: nearly fourteen hours
HOST, GUEST = "Ada", "Ben"


class Stopped(RuntimeError):
    """The demo was stopped before there was anything to tell."""


EXPECTED = (AdminError, Refused, Stopped, TimeoutError, httpx.RequestError)  # what `Demo.run` may fail of


@dataclass(slots=True)
class Demo:
    """One run. It ends `for_s` after the start of the show (None: when it is told to stop); `kill` is for the studio,
    once. `tell` gets a line for people now and then, `on_progress` one that takes the place of the last."""

    settings: Settings
    for_s: float | None
    kill: bool
    tell: Callable[[str], None]
    on_progress: Callable[[str], None]
    _heard: dict[int, bytes] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> dict[str, Any]:
        """-> the summary, with `fine`. Raises `EXPECTED`, `speech.NoVoice`, `installation.NotUp`."""
        with installation.directories() as (data_dir, run_dir):
            voices = await speech.make(data_dir)
            own = replace(self.settings, data_dir=data_dir, run_dir=run_dir, public_url="")
            begun_s = time.monotonic()
            async with installation.serving(installation.with_free_ports(own, keep=True)) as up:
                # Where the roles took long to start, the speakers will too.
                show = await self._announce(up, max(STARTS_IN_S_MIN, 1.5 * (time.monotonic() - begun_s)))
                async with _speaking(up, show, voices):
                    listener = await self._listen(up, show, stop)
                return await self._sum_up(up, show, listener)

    async def _announce(self, up: Serving, starts_in_s: float) -> ShowMade:
        """A show that starts in a moment, host and guest on air from its first chunk."""
        order = NewShow("Stentor demo", starts_in_s=starts_in_s, host=HOST, guests=(GUEST,), on_air=(HOST, GUEST))
        show = await up.create_show(order)
        self.tell(f"listen     {show.listener_link}")
        self.tell(f"crew       {show.crew_link}")
        self.tell(f"guest      {show.guest_links[GUEST]}")
        self.on_progress("the show begins in a moment")
        return show

    async def _listen(self, up: Serving, show: ShowMade, stop: asyncio.Event) -> Listener:
        """Hear the show from before its start to its last chunk."""
        listener = Listener(Link.parse(show.listener_link), OPUS)
        listener.on_chunk = lambda whole: self._note(listener, whole)
        hearing = asyncio.ensure_future(listener.run())
        try:
            await self._until_over(up, show, stop)
            self.on_progress("ending the show")
            await up.wish(show.show, "end")
            await asyncio.wait([hearing], timeout=LAST_CHUNKS_S_MAX)
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing
        return listener

    def _note(self, listener: Listener, whole: Whole) -> None:
        if len(self._heard) < HEARD_MAX:
            self._heard[whole.n] = sha256(whole.data).digest()
        assert listener.heard is not None
        late = "in the burst" if whole.late_ms is None else f"{whole.late_ms:.0f} ms after it was due"
        self.on_progress(f"chunk {whole.n} {late}, {listener.heard.missing} missing")

    async def _until_over(self, up: Serving, show: ShowMade, stop: asyncio.Event) -> None:
        begins_s = show.starts_at_ms / 1000
        if self.kill:
            await _wait(stop, begins_s + min(KILL_AFTER_S, (self.for_s or 2 * KILL_AFTER_S) / 2))
            self.tell("kill -9 of the studio" if up.kill("studio") else "the studio is dead already")
        await _wait(stop, None if self.for_s is None else begins_s + self.for_s)
        if time.time() < begins_s:
            raise Stopped("stopped before the show began")

    async def _sum_up(self, up: Serving, show: ShowMade, listener: Listener) -> dict[str, Any]:
        """The show has ended; the archive still serves."""
        door = httpx.URL(show.listener_link)
        url = str(door.copy_with(port=up.settings.archive_port, path=f"/archive/{show.show}"))
        async with httpx.AsyncClient() as client:
            archived = aftermath.Archived(client, url)
            replay = await archived.replay()
            tape = await aftermath.verify(up.settings.data_dir / "shows" / show.show / "tape")
            info = await archived.info()
            voiced = tape.get("voiced_chunks", 0) > 0  # hold alone is no conversation
            recorded, different = await archived.differences(OPUS, self._heard)
        return {
            "fine": listener.fine and tape["verified"] and voiced and recorded > 0 and not different,
            "voiced": voiced,
            "on_air_late_ms": info["t0_ms"] + info["first_n"] * info["chunk_ms"] - show.starts_at_ms,
            "heard": listener.report(),
            "heard_on_tape": recorded,
            "heard_differently": different,
            "tape": tape,
            "replay": replay,
        }


async def _wait(stop: asyncio.Event, until_s: float | None) -> None:
    """Until `stop` is set, or Unix time `until_s`."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), None if until_s is None else max(0.0, until_s - time.time()))


@asynccontextmanager
async def _speaking(up: Serving, show: ShowMade, voices: list[Path]) -> AsyncIterator[None]:
    """Two `stentor speak`, each with its voice again and again."""
    speakers = []
    with (up.settings.data_dir / "speak.log").open("wb") as log:
        for link, voice in zip((show.crew_link, show.guest_links[GUEST]), voices, strict=True):
            speakers.append(await up.spawn(log, "speak", link, str(voice), "--loop"))
    try:
        yield
    finally:
        for speaker in speakers:
            await installation.stop(speaker)
