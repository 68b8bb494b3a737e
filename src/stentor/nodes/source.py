"""Encoders as speakers: an Icecast stream becomes a link, which goes on stage. Nothing is sent back to it.

TCP -> LiveDecoder (a thread) -> Steady (the stage's clock) -> stage
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import time
from collections import Counter

import structlog

from stentor.core.mix import FRAME_SAMPLES, Samples
from stentor.core.steady import Steady
from stentor.formats.problem import Refused
from stentor.io.icecast import SourcePort
from stentor.io.opus import Encoder
from stentor.io.pcm import DEMUXERS, LiveDecoder
from stentor.model.board import Seat
from stentor.nodes.link import Health, Keep
from stentor.nodes.stage import Stage

CONNECT_S_MAX = 10.0  # from the head to the first audio
SILENCE_S_MAX = 10.0
ALIVE_S = 3.0  # a seat whose encoder was heard so lately is not given to another
AGAIN_S_MIN = 1.0  # between two streams of one seat; who comes sooner waits
STEM_BPS = 64_000
UNKNOWN_LOG_S = 10.0  # between two lines about unknown passwords: strangers must not fill the log

log = structlog.get_logger()


class EncoderLink:
    """`Link` of an encoder, and the `Stream` that its bytes go into."""

    connect_s = CONNECT_S_MAX
    silence_s = SILENCE_S_MAX

    def __init__(self, content_type: str) -> None:
        self.heard_at: float | None = None
        self.gone = ""
        self.steady = Steady()
        self._decoder = LiveDecoder(content_type, self._receive, self._decoded)
        self._decoded_all = False
        self._undecodable = ""
        self._closed = asyncio.Event()
        self._stem: Encoder | None = None

    # ---- Stream

    async def write(self, data: bytes) -> None:
        await self._decoder.write(data)

    def end(self) -> None:
        self._decoder.end()

    async def refused(self) -> Refused | None:
        await self._closed.wait()
        if not self._undecodable:
            return None
        return Refused(415, "undecodable", "The stream cannot be decoded", self._undecodable)

    # ---- what the decoder says

    def _receive(self, samples: Samples) -> None:
        self.heard_at = now = time.monotonic()
        self.steady.receive(samples, now)
        self._decoder.hold_back(self.steady.full)

    def _decoded(self, problem: str) -> None:
        self._decoded_all = True
        self.steady.end()
        self._undecodable = problem
        if problem:
            self.gone = f"undecodable: {problem}"

    # ---- Link

    def frame(self, now: float, keep: Keep | None) -> Samples | None:
        samples = self.steady.pull(now)
        self._decoder.hold_back(self.steady.full)
        if samples is None:
            if self._decoded_all and not self.gone:
                self.gone = "the stream ended"
        elif keep is not None:
            self._stem = self._stem or Encoder(STEM_BPS, loss_percent=0)
            keep(self._stem.encode(samples), 0)
        return samples

    def feed(self, samples: Samples, *, report: bool) -> None:
        """An encoder hears nothing."""

    def health(self) -> Health:
        """In frames; `lost` were skipped, `concealed` were silent for want of audio."""
        counters = self.steady.counters
        return Health(counters.received // FRAME_SAMPLES, counters.skipped // FRAME_SAMPLES, counters.silent)

    async def close(self) -> None:
        self._closed.set()
        self._decoder.close()


class Sources:
    """The encoders' way onto a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._came_at: dict[str, float] = {}
        self._told_unknown_at = float("-inf")
        self.refused: Counter[str] = Counter()

    async def serve(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Until cancelled."""
        await SourcePort(self, listener, tls).serve()

    async def admit(self, password: str, content_type: str, user_agent: str) -> EncoderLink | Refused:
        """`Endpoint.admit`."""
        seat = self._stage.authorize(password)
        outcome = seat if isinstance(seat, Refused) else await self._take_seat(seat, content_type)
        if isinstance(outcome, Refused):
            self._count(outcome, "" if isinstance(seat, Refused) else seat.id)
        elif isinstance(seat, Seat):
            log.info("encoder", seat=seat.id, content_type=content_type, user_agent=user_agent)
        return outcome

    async def _take_seat(self, seat: Seat, content_type: str) -> EncoderLink | Refused:
        if content_type not in DEMUXERS:
            return Refused(415, "codec-not-taken", "This kind of audio is not taken", f"Taken: {', '.join(DEMUXERS)}")
        wait_s = self._came_at.get(seat.id, float("-inf")) + AGAIN_S_MIN - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        if self._stage.alive(seat, ALIVE_S):
            return Refused(403, "seat-taken", "Somebody speaks on this seat", f"Until {ALIVE_S:.0f} s after their last")
        with self._stage.joining(seat) as refused:
            if refused is not None:
                return refused
            return self._enter(seat, content_type)

    def _enter(self, seat: Seat, content_type: str) -> EncoderLink:
        self._came_at[seat.id] = time.monotonic()
        link = EncoderLink(content_type)
        self._stage.enter(seat, secrets.token_urlsafe(16), link)
        return link

    def _count(self, refused: Refused, seat: str) -> None:
        self.refused[refused.code] += 1
        now = time.monotonic()
        if refused.status == 401:
            if now - self._told_unknown_at < UNKNOWN_LOG_S:
                return
            self._told_unknown_at = now
        count = self.refused[refused.code]
        log.warning("encoder refused", code=refused.code, seat=seat, detail=refused.detail, count=count)
