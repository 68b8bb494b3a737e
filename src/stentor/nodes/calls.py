"""Speakers over WebRTC: a WHIP offer becomes a call, which goes on stage.

WHIP offer -> Peer -> Voice (jitter, decoder) -> stage, and encoder -> Peer
"""

from __future__ import annotations

import secrets
import time
from collections import deque

import structlog
from starlette.applications import Starlette

from stentor.core.mix import FRAME_SAMPLES, Samples
from stentor.formats import rtp
from stentor.formats.problem import Refused
from stentor.formats.turn import IceServer, granted
from stentor.io.opus import Encoder, OpusError
from stentor.io.webrtc import NegotiationError, Peer, Port, State, local_addresses
from stentor.io.whip import Admitted, create_app
from stentor.model.board import Seat
from stentor.nodes.link import Health, Keep
from stentor.nodes.stage import Stage
from stentor.nodes.voice import Voice
from stentor.settings import Settings

FEED_BPS = 32_000
FEED_COMPLEXITY = 2  # a third less CPU than 5; only speakers hear this
FEED_LOSS_PERCENT = 10  # of a speaker whose receiver reports loss: below it libopus at 32 kbit/s adds no correction
LOSS_MIN = 0.01
CONNECT_S_MAX = 15.0  # from the answer to the first packet of audio
RELAY_LIFE_S = 86_400  # of credentials: the relay asks for them again while a call lasts
REPLACED_MAX = 256  # sessions remembered, so that who was replaced does not replace in turn

log = structlog.get_logger()


class Call:
    """`Link` over WebRTC."""

    connect_s = CONNECT_S_MAX

    def __init__(self, port: Port, silence_s: float) -> None:
        self.silence_s = silence_s
        self.heard_at: float | None = None
        self.voice = Voice(self._played)
        self.peer = Peer(port, self._receive)
        self._encoder = Encoder(FEED_BPS, loss_percent=0, complexity=FEED_COMPLEXITY)
        self._keep: Keep | None = None

    @property
    def gone(self) -> str:
        return "connection closed" if self.peer.state is State.GONE else ""

    def _receive(self, packet: rtp.Packet) -> None:
        self.heard_at = now = time.monotonic()
        self.voice.receive(packet, now)

    def _played(self, payload: bytes, after: int) -> None:
        if self._keep is not None:
            self._keep(payload, after)

    def frame(self, now: float, keep: Keep | None) -> Samples | None:
        self._keep = keep
        return self.voice.frame(now)

    def feed(self, samples: Samples, *, report: bool) -> None:
        if self.peer.state is not State.CONNECTED:
            return
        try:
            self.peer.send(self._encoder.encode(samples), FRAME_SAMPLES)
        except OpusError as error:
            log.error("feed not encoded", error=str(error))
        if report:
            self.peer.report(*self.voice.jitter.reception())
            self._encoder.prepare_for_loss(FEED_LOSS_PERCENT if self.peer.reported_loss > LOSS_MIN else 0)

    def health(self) -> Health:
        counters = self.voice.jitter.counters
        return Health(counters.received, counters.lost, counters.concealed, self.voice.jitter_ms())

    async def close(self) -> None:
        await self.peer.close()


class Calls:
    """The WHIP endpoint of a stage."""

    def __init__(self, settings: Settings, stage: Stage) -> None:
        self._settings, self._stage = settings, stage
        self._port: Port | None = None
        self._replaced: deque[str] = deque(maxlen=REPLACED_MAX)

    async def start(self) -> None:
        """Open the UDP port. Raises `OSError` if it cannot be had."""
        advertise = [address.strip() for address in self._settings.advertise.split(",") if address.strip()]
        bind = self._settings.bind
        self._port = Port([bind] if advertise else local_addresses(bind), self._settings.studio_port, advertise)

    def stop(self) -> None:
        """Close the port, after the stage has closed what used it."""
        if self._port is not None:
            self._port.close()

    def app(self) -> Starlette:
        """The endpoint over HTTP."""
        return create_app(self)

    async def admit(self, token: str, offer: str, resumes: str) -> Admitted | Refused:
        """`Endpoint.admit`."""
        seat = self._stage.authorize(token)
        if isinstance(seat, Refused):
            return seat
        if resumes in self._replaced and self._stage.sessions(seat):
            return Refused(409, "seat-taken-over", "Somebody speaks with this link from elsewhere now")
        with self._stage.joining(seat) as refused:
            return refused or await self._negotiate(seat, offer)

    async def _negotiate(self, seat: Seat, offer: str) -> Admitted | Refused:
        assert self._port is not None
        call = Call(self._port, self._settings.rtp_silence_ms / 1000)
        try:
            answer = await call.peer.answer(offer)
        except NegotiationError as error:
            await call.close()
            return Refused(400, "sdp-refused", "The offer cannot be taken", str(error))
        session = secrets.token_urlsafe(16)
        self._replaced.extend(self._stage.sessions(seat))
        self._stage.enter(seat, session, call)
        return Admitted(session, answer)

    def ice_servers(self, token: str) -> list[IceServer]:
        """`Endpoint.ice_servers`."""
        seat = self._stage.authorize(token)
        if isinstance(seat, Refused):
            return []
        expires_at = int(time.time()) + RELAY_LIFE_S
        return granted(self._settings.turn_urls, self._settings.turn_secret, seat.id, expires_at)

    async def leave(self, session: str) -> bool:
        """`Endpoint.leave`."""
        return self._stage.leave(session)
