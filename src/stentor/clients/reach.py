"""Whether somebody could speak from here: does the studio answer, does UDP come through, how well, is there a relay."""

from __future__ import annotations

import asyncio
import time
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

from stentor.core.jitter import JitterBuffer
from stentor.formats import rtp
from stentor.formats.turn import IceServer
from stentor.io.opus import Encoder
from stentor.io.webrtc import NegotiationError, Peer, Port, State, route_address
from stentor.io.whip import SeatInfo, WhipClient, WhipError

MEASURE_S = 5.0
CONNECT_S_MAX = 8.0
FRAME_SAMPLES, FRAME_S = 960, 0.02
REPORT_EVERY_FRAMES = 25
LOSS_MAX = 0.05  # beyond, a voice has holes that no correction fills
ROUND_TRIP_S_MAX = 0.3  # beyond, people speak into one another
BITRATE_BPS = 40_000


class Level(StrEnum):
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


class Finding(NamedTuple):
    """One thing looked at, and what was found."""

    what: str
    level: Level
    text: str


class _Path:
    """One connection on which silence is sent and what comes back is counted."""

    def __init__(self, port: Port, relays: list[IceServer]) -> None:
        self._port = port
        self._changed = asyncio.Event()
        self._jitter = JitterBuffer()
        self.lost = self.expected = 0
        self.peer = Peer(port, self._receive, lambda state: self._changed.set(), relays)

    def _receive(self, packet: rtp.Packet) -> None:
        self._jitter.receive(packet.sequence, packet.timestamp, packet.payload, time.monotonic())

    async def connect(self, client: WhipClient, seat: SeatInfo) -> str:
        """-> the session's URL, or "" if no media came through. Raises `WhipError`."""
        try:
            answer, session = await client.post(seat.whip_url, seat.token, await self.peer.offer())
            await self.peer.accept(answer)
            async with asyncio.timeout(CONNECT_S_MAX):
                while self.peer.state is State.NEW:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return ""
        except NegotiationError as error:
            raise WhipError(f"the studio's answer: {error}", fatal=True) from None
        return session if self.peer.state is State.CONNECTED else ""

    async def measure(self, seconds: float) -> None:
        """Send and receive for so long, and a little longer for the last report."""
        packet = Encoder(BITRATE_BPS).encode(np.zeros(FRAME_SAMPLES, np.float32))
        start = time.monotonic()
        for frame in range(round(seconds / FRAME_S)):
            await asyncio.sleep(max(0.0, start + frame * FRAME_S - time.monotonic()))
            self.peer.send(packet, FRAME_SAMPLES)
            if frame % REPORT_EVERY_FRAMES == 0:
                self.peer.report(*self._jitter.reception())
        self.lost = self._jitter.reception().lost
        self.expected = self._jitter.counters.received + self.lost

    @property
    def loss_here(self) -> float:
        return max(0, self.lost) / self.expected if self.expected else 1.0

    @property
    def jitter_s(self) -> float:
        return self._jitter.jitter_s

    async def close(self) -> None:
        await self.peer.close()
        self._port.close()


async def examine(url: str, token: str = "", seconds: float = MEASURE_S) -> list[Finding]:
    """Look at the way from here to the studio behind a speaker's link. Takes the seat for that while."""
    async with WhipClient() as client:
        try:
            seat = await client.resolve(url, token)
            began = time.monotonic()
            relays = await client.relays(seat.whip_url, seat.token)
            found = [Finding("whip", Level.GOOD, _answers(seat, time.monotonic() - began))]
            direct = await _direct(client, seat, seconds)
            relayed = await _relayed(client, seat, relays)
        except WhipError as error:
            return [Finding("whip", Level.BAD, str(error))]
        except OSError as error:
            return [Finding("whip", Level.BAD, f"no way to the studio: {error.strerror}")]
    if direct[0].level is Level.BAD and relayed.level is Level.GOOD:
        direct[0] = direct[0]._replace(level=Level.WARN)
    return [*found, *direct, relayed]


def _answers(seat: SeatInfo, seconds: float) -> str:
    return f"{urlsplit(seat.whip_url).netloc} answers in {seconds * 1000:.0f} ms"


async def _direct(client: WhipClient, seat: SeatInfo, seconds: float) -> list[Finding]:
    parts = urlsplit(seat.whip_url)
    path = _Path(Port([route_address(parts.hostname or "", parts.port or 443)], 0), [])
    try:
        session = await path.connect(client, seat)
        if not session:
            return [Finding("udp", Level.BAD, "no media comes through to the studio's UDP port: a firewall is between")]
        await path.measure(seconds)
        await client.delete(session, seat.token)
        return [Finding("udp", Level.GOOD, "media comes through"), *_quality(path)]
    finally:
        await path.close()


def _quality(path: _Path) -> list[Finding]:
    trip_s, there, here = path.peer.round_trip_s, path.peer.reported_loss, path.loss_here
    text = "not measured" if trip_s is None else f"{trip_s * 1000:.0f} ms, jitter {path.jitter_s * 1000:.0f} ms"
    far = trip_s is None or trip_s > ROUND_TRIP_S_MAX
    lossy = max(there, here) > LOSS_MAX
    return [
        Finding("round trip", Level.WARN if far else Level.GOOD, text),
        Finding("loss", Level.BAD if lossy else Level.GOOD, f"{there:.1%} there, {here:.1%} back"),
    ]


async def _relayed(client: WhipClient, seat: SeatInfo, relays: list[IceServer]) -> Finding:
    if not relays:
        return Finding(
            "relay", Level.WARN, "the studio names no TURN relay: guests behind strict networks stay outside"
        )
    path = _Path(Port([], 0), relays)
    try:
        session = await path.connect(client, seat)
        if not session:
            return Finding("relay", Level.BAD, f"no media comes through {relays[0].url}")
        await client.delete(session, seat.token)
        return Finding("relay", Level.GOOD, f"media comes through {relays[0].url}")
    finally:
        await path.close()
