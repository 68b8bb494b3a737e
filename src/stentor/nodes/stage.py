"""The stage: speakers in, the program out, and to every speaker the program without their own voice.

    Link (a call, an encoder's stream) -> Mixer -> program, and -> Link for each speaker who can hear

`Stage` is driven by its owner: `apply` says what the crew wants, `tick` makes 20 ms of program on an absolute clock.
Everything runs on one event loop; nothing here waits for anybody but the closing of connections.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from stentor.core.mix import FRAME_SAMPLES, SILENCE_DBFS, Mixer, Samples
from stentor.formats.problem import Refused
from stentor.model.board import Seat, Show, Speaker
from stentor.nodes.link import Keep, Link
from stentor.settings import Settings

REPORT_EVERY_TICKS = 50
RETRY_AFTER_S = 5
STOP_S_MAX = 10.0

Stems = Callable[[str, bytes, int], None]

log = structlog.get_logger()


@dataclass(slots=True)
class _Connected:
    """A speaker on their link, since monotonic seconds `since`."""

    seat: Seat
    session: str
    link: Link
    since: float
    leaving: bool = False

    @property
    def on_air(self) -> bool:
        return self.seat.on_air and not self.seat.muted and not self.leaving

    @property
    def speaking(self) -> bool:
        """Whether any audio has come."""
        return self.link.heard_at is not None

    @property
    def heard_at(self) -> float:
        """When audio came last, or was first waited for."""
        return self.since if self.link.heard_at is None else self.link.heard_at


class Stage:
    """See the module. `stems(seat, opus_packet, position)` is called for every packet that goes into the program.

    `position` counts the program's samples; its owner may set it, and `tick` moves it on.
    """

    def __init__(self, settings: Settings, stems: Stems | None = None) -> None:
        self._settings = settings
        self._stems = stems
        self._show: Show | None = None
        self._by_session: dict[str, _Connected] = {}
        self._mixer = Mixer()
        self._closing: asyncio.TaskGroup | None = None
        self._joining = 0
        self._ticks = 0
        self.position = 0

    async def start(self) -> None:
        """To be called first, and `stop` last."""
        self._closing = await asyncio.TaskGroup().__aenter__()

    async def stop(self) -> None:
        """Close every connection."""
        for connected in list(self._by_session.values()):
            self._drop(connected, "the studio stops")
        if self._closing is not None:
            async with asyncio.timeout(STOP_S_MAX):
                await self._closing.__aexit__(None, None, None)
            self._closing = None

    # ---- what the crew wants

    def apply(self, show: Show | None) -> None:
        """Reconcile with the seats of `show`: who was removed goes, on-air and muted take effect with the next tick."""
        self._show = show
        if show is None:  # nobody need be ticking any more
            for connected in list(self._by_session.values()):
                self._drop(connected, "no show")
            return
        seats = {seat.id: seat for seat in show.seats}
        for connected in list(self._by_session.values()):
            seat = seats.get(connected.seat.id)
            if seat is None or seat.removed:
                self._fade_out(connected)
            else:
                connected.seat = seat
                self._mixer.set_on_air(connected.session, connected.on_air)

    def _fade_out(self, connected: _Connected) -> None:
        """And go with the next tick but one."""
        connected.leaving = True
        self._mixer.set_on_air(connected.session, False)

    # ---- who comes and goes

    def authorize(self, token: str) -> Seat | Refused:
        """The seat that a token is for."""
        if self._show is None or self._closing is None:
            return Refused(503, "no-show", "No show is being prepared", "", RETRY_AFTER_S)
        digest = hashlib.sha256(token.encode()).hexdigest()
        for seat in self._show.seats:
            if hmac.compare_digest(seat.token_hash, digest):
                if seat.removed:
                    return Refused(403, "seat-removed", "This seat was taken away by the crew")
                if seat.expires_at and seat.expires_at <= time.time():
                    return Refused(403, "invite-expired", "This invitation has expired")
                return seat
        return Refused(401, "token-unknown", "This token is not valid")

    def _held_by(self, seat: Seat) -> list[_Connected]:
        return [connected for connected in self._by_session.values() if connected.seat.id == seat.id]

    def sessions(self, seat: Seat) -> list[str]:
        """Those on a seat."""
        return [connected.session for connected in self._held_by(seat)]

    def alive(self, seat: Seat, within_s: float) -> bool:
        """Whether anybody on that seat sent audio, or came, so lately."""
        now = time.monotonic()
        return any(now - connected.heard_at < within_s for connected in self._held_by(seat))

    @contextmanager
    def joining(self, seat: Seat) -> Iterator[Refused | None]:
        """A place on the stage while a link is being made, or why there is none."""
        others = len(self._by_session) - len(self._held_by(seat))
        if others + self._joining >= self._settings.speakers_max:
            yield Refused(503, "stage-full", "All places on the stage are taken", "", RETRY_AFTER_S)
            return
        self._joining += 1
        try:
            yield None
        finally:
            self._joining -= 1

    def enter(self, seat: Seat, session: str, link: Link) -> None:
        """Take the seat, in place of who has it."""
        for other in self._held_by(seat):
            self._drop(other, "replaced")
        self._by_session[session] = _Connected(seat, session, link, time.monotonic())
        self._mixer.add(session)
        self.apply(self._show)  # what the crew wants may have changed meanwhile
        log.info("speaker joined", seat=seat.id)

    def leave(self, session: str) -> bool:
        """-> whether there was such a session."""
        connected = self._by_session.get(session)
        if connected is not None:
            self._drop(connected, "left")
        return connected is not None

    def _drop(self, connected: _Connected, reason: str) -> None:
        del self._by_session[connected.session]
        self._mixer.remove(connected.session)
        log.info("speaker left", seat=connected.seat.id, reason=reason)
        if self._closing is not None:
            self._closing.create_task(connected.link.close())

    # ---- the tick

    def tick(self) -> Samples:
        """The next 20 ms of program: (960,) float32. Every speaker is sent what they are to hear."""
        now = time.monotonic()
        self._sweep(now)
        self._ticks += 1
        speakers = self._by_session.items()
        mix = self._mixer.mix({key: held.link.frame(now, self._keeper(held)) for key, held in speakers})
        for index, (key, held) in enumerate(speakers):
            held.link.feed(mix.feeds[key], report=(self._ticks + index) % REPORT_EVERY_TICKS == 0)
        self.position += FRAME_SAMPLES
        return mix.program

    def _keeper(self, connected: _Connected) -> Keep | None:
        if self._stems is None or not connected.on_air:
            return None
        return partial(self._keep, self._stems, connected.seat.id)

    def _keep(self, stems: Stems, seat: str, packet: bytes, after: int) -> None:
        stems(seat, packet, self.position + after)

    def _sweep(self, now: float) -> None:
        """Drop who has left, has fallen silent as a connection, or never came."""
        for connected in list(self._by_session.values()):
            link = connected.link
            limit_s = link.silence_s if connected.speaking else link.connect_s
            if connected.leaving and self._mixer.silent(connected.session):
                self._drop(connected, "removed")
            elif link.gone:
                self._drop(connected, link.gone)
            elif now - connected.heard_at > limit_s:
                self._drop(connected, "no audio")

    # ---- what is

    def anyone_on_air(self) -> bool:
        """Whether a speaker who sends audio is in the program."""
        return any(connected.on_air and connected.speaking for connected in self._by_session.values())

    def speakers(self) -> tuple[Speaker, ...]:
        """Who is connected, for the board."""
        now = time.monotonic()
        return tuple(_describe(connected, now) for connected in self._by_session.values() if connected.speaking)

    def levels(self) -> dict[str, float]:
        """Peaks since the last call in dBFS, by seat, and `program`; a muted speaker's is silence."""
        peaks = self._mixer.take_levels()
        levels = {"program": peaks["program"]}
        for key, connected in self._by_session.items():
            levels[connected.seat.id] = SILENCE_DBFS if connected.seat.muted else peaks[key]
        return levels


def _describe(connected: _Connected, now: float) -> Speaker:
    health = connected.link.health()
    return Speaker(
        seat=connected.seat.id,
        name=connected.seat.name,
        on_air=connected.seat.on_air,
        muted=connected.seat.muted,
        stopped_ms=int((now - connected.heard_at) * 1000),
        jitter_ms=health.jitter_ms,
        lost=health.lost,
        concealed=health.concealed,
        received=health.received,
    )
