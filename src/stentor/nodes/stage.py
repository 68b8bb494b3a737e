"""The stage: speakers in over WebRTC, the program out, and to every speaker the program without their own voice.

    WHIP offer -> Peer -> Voice (jitter, decoder) -> Mixer -> program, and encoder -> Peer for each speaker

`Stage` is driven by its owner: `apply` says what the crew wants, `tick` makes 20 ms of program on an absolute clock.
Everything runs on one event loop; nothing here waits for anybody but HTTP and the closing of connections.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from starlette.applications import Starlette

from stentor.core.mix import FRAME_SAMPLES, SILENCE_DBFS, Mixer, Samples
from stentor.formats import rtp
from stentor.io.opus import Encoder, OpusError
from stentor.io.webrtc import NegotiationError, Peer, Port, State, local_addresses
from stentor.io.whip import Admitted, Refused, create_app
from stentor.model.board import Seat, Show, Speaker
from stentor.nodes.voice import Voice
from stentor.settings import Settings

FEED_BPS = 32_000
FEED_COMPLEXITY = 2  # a third less CPU than 5; only speakers hear this
FEED_LOSS_PERCENT = 10  # of a speaker whose receiver reports loss: below it libopus at 32 kbit/s adds no correction
LOSS_MIN = 0.01
CONNECT_S_MAX = 15.0  # from the answer to the first packet of audio
REPORT_EVERY_TICKS = 50
RETRY_AFTER_S = 5
STOP_S_MAX = 10.0
REPLACED_MAX = 256  # sessions remembered, so that who was replaced does not replace in turn

Stems = Callable[[str, bytes, int], None]

log = structlog.get_logger()


def _feed_encoder() -> Encoder:
    return Encoder(FEED_BPS, loss_percent=0, complexity=FEED_COMPLEXITY)


@dataclass(slots=True)
class _Connected:
    """A speaker's connection and all that hangs on it. `heard_at` is monotonic seconds."""

    seat: Seat
    session: str
    peer: Peer
    voice: Voice
    heard_at: float
    speaking: bool = False  # a packet has come
    leaving: bool = False
    encoder: Encoder = field(default_factory=_feed_encoder)

    @property
    def on_air(self) -> bool:
        return self.seat.on_air and not self.seat.muted and not self.leaving


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
        self._port: Port | None = None
        self._closing: asyncio.TaskGroup | None = None
        self._replaced: deque[str] = deque(maxlen=REPLACED_MAX)
        self._joining = 0
        self._ticks = 0
        self.position = 0

    async def start(self) -> None:
        """Open the UDP port. Raises `OSError` if it cannot be had."""
        advertise = [address.strip() for address in self._settings.advertise.split(",") if address.strip()]
        bind = self._settings.bind
        self._port = Port([bind] if advertise else local_addresses(bind), self._settings.studio_port, advertise)
        self._closing = await asyncio.TaskGroup().__aenter__()

    async def stop(self) -> None:
        """Close every connection and the port."""
        for connected in list(self._by_session.values()):
            self._drop(connected, "the studio stops")
        if self._closing is not None:
            async with asyncio.timeout(STOP_S_MAX):
                await self._closing.__aexit__(None, None, None)
            self._closing = None
        if self._port is not None:
            self._port.close()

    def app(self) -> Starlette:
        """The WHIP endpoint."""
        return create_app(self)

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
                self._leave(connected)
            else:
                connected.seat = seat
                self._mixer.set_on_air(connected.session, connected.on_air)

    def _leave(self, connected: _Connected) -> None:
        """Fade out and go with the next tick but one."""
        connected.leaving = True
        self._mixer.set_on_air(connected.session, False)

    # ---- WHIP

    async def admit(self, token: str, offer: str, resumes: str) -> Admitted | Refused:
        """`Endpoint.admit`."""
        seat = self._authorize(token)
        if isinstance(seat, Refused):
            return seat
        others = [connected for connected in self._by_session.values() if connected.seat.id != seat.id]
        if resumes in self._replaced and len(others) < len(self._by_session):
            return Refused(409, "seat-taken-over", "Somebody speaks with this link from elsewhere now")
        if len(others) + self._joining >= self._settings.speakers_max:
            return Refused(503, "stage-full", "All places on the stage are taken", "", RETRY_AFTER_S)
        self._joining += 1
        try:
            return await self._negotiate(seat, offer)
        finally:
            self._joining -= 1

    def _authorize(self, token: str) -> Seat | Refused:
        if self._show is None or self._port is None:
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

    async def _negotiate(self, seat: Seat, offer: str) -> Admitted | Refused:
        assert self._port is not None
        session = secrets.token_urlsafe(16)
        voice = Voice(lambda payload, after: self._heard(session, payload, after))
        peer = Peer(
            self._port, lambda packet: self._receive(session, packet), lambda state: self._follow(session, state)
        )
        try:
            answer = await peer.answer(offer)
        except NegotiationError as error:
            await peer.close()
            return Refused(400, "sdp-refused", "The offer cannot be taken", str(error))
        for other in [held for held in self._by_session.values() if held.seat.id == seat.id]:
            self._replaced.append(other.session)
            self._drop(other, "replaced")
        self._enter(_Connected(seat, session, peer, voice, time.monotonic()))
        return Admitted(session, answer)

    def _enter(self, connected: _Connected) -> None:
        self._by_session[connected.session] = connected
        self._mixer.add(connected.session)
        self.apply(self._show)  # what the crew wants may have changed meanwhile
        log.info("speaker joined", seat=connected.seat.id)

    async def leave(self, session: str) -> bool:
        """`Endpoint.leave`."""
        connected = self._by_session.get(session)
        if connected is not None:
            self._drop(connected, "left")
        return connected is not None

    # ---- packets and connections

    def _receive(self, session: str, packet: rtp.Packet) -> None:
        connected = self._by_session.get(session)
        if connected is not None:
            connected.heard_at = now = time.monotonic()
            connected.speaking = True
            connected.voice.receive(packet, now)

    def _heard(self, session: str, payload: bytes, after: int) -> None:
        connected = self._by_session[session]
        if self._stems is not None and connected.on_air:
            self._stems(connected.seat.id, payload, self.position + after)

    def _follow(self, session: str, state: State) -> None:
        connected = self._by_session.get(session)
        if connected is not None and state is State.GONE:
            self._drop(connected, "connection closed")

    def _drop(self, connected: _Connected, reason: str) -> None:
        del self._by_session[connected.session]
        self._mixer.remove(connected.session)
        log.info("speaker left", seat=connected.seat.id, reason=reason)
        if self._closing is not None:
            self._closing.create_task(connected.peer.close())

    # ---- the tick

    def tick(self) -> Samples:
        """The next 20 ms of program: (960,) float32. Every speaker is sent what they are to hear."""
        now = time.monotonic()
        self._sweep(now)
        self._ticks += 1
        mix = self._mixer.mix({key: connected.voice.frame(now) for key, connected in self._by_session.items()})
        for index, (key, connected) in enumerate(self._by_session.items()):
            self._feed(connected, mix.feeds[key], report=(self._ticks + index) % REPORT_EVERY_TICKS == 0)
        self.position += FRAME_SAMPLES
        return mix.program

    def _sweep(self, now: float) -> None:
        """Drop who has left, has fallen silent as a connection, or never came."""
        silence_s = self._settings.rtp_silence_ms / 1000
        for connected in list(self._by_session.values()):
            limit_s = silence_s if connected.speaking else CONNECT_S_MAX
            if connected.leaving and self._mixer.silent(connected.session):
                self._drop(connected, "removed")
            elif now - connected.heard_at > limit_s:
                self._drop(connected, "no packets")

    def _feed(self, connected: _Connected, samples: Samples, *, report: bool) -> None:
        if connected.peer.state is not State.CONNECTED:
            return
        try:
            connected.peer.send(connected.encoder.encode(samples), FRAME_SAMPLES)
        except OpusError as error:
            log.error("feed not encoded", seat=connected.seat.id, error=str(error))
        if report:
            connected.peer.report(*connected.voice.jitter.reception())
            connected.encoder.prepare_for_loss(FEED_LOSS_PERCENT if connected.peer.reported_loss > LOSS_MIN else 0)

    # ---- what is

    def anyone_on_air(self) -> bool:
        """Whether a speaker who sends packets is in the program."""
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
    counters = connected.voice.jitter.counters
    return Speaker(
        seat=connected.seat.id,
        name=connected.seat.name,
        on_air=connected.seat.on_air,
        muted=connected.seat.muted,
        stopped_ms=int((now - connected.heard_at) * 1000),
        jitter_ms=connected.voice.jitter_ms(),
        lost=counters.lost,
        concealed=counters.concealed,
        received=counters.received,
    )
