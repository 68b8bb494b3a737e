"""A speaker without a browser: plays a file, raw audio from stdin, or time-coded audio into a show, as if live.

The clock of the voice runs on whatever the network does: when the studio goes away, a new POST follows with growing
pauses, and the voice is heard again from where it then is.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from stentor.clients import timecode
from stentor.formats import rtp
from stentor.io.opus import Decoder, Encoder, OpusError
from stentor.io.pcm import AudioFileError, read_blocks
from stentor.io.webrtc import NegotiationError, Peer, Port, State, route_address
from stentor.io.whip import SeatInfo, WhipClient, WhipError

log = structlog.get_logger()

Samples = npt.NDArray[np.float32]

FRAME_SAMPLES = 960
FRAME_NS = 20_000_000
BITRATE_BPS = 40_000
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.25, 8.0
CONNECT_S_MAX = 10.0
DELETE_S_MAX = 2.0
LOOK_EVERY_S = 0.5
SILENCE_S_MAX = 3.0  # the studio sends a packet every 20 ms
BEHIND_NS_MAX = 1_000_000_000  # a voice that fell further behind its clock skips


class Source(Protocol):
    """What is spoken."""

    async def frame(self, start_ns: int) -> Samples | None:
        """The 960 samples spoken from Unix time `start_ns` on; None at the end."""


class TimecodeSource:
    """Time-coded audio, without end."""

    async def frame(self, start_ns: int) -> Samples | None:
        return timecode.signal(start_ns, FRAME_SAMPLES)


class FileSource:
    """A file of any format and rate. Raises `AudioFileError` where it cannot be read."""

    def __init__(self, path: Path, *, loop: bool) -> None:
        self._path, self._loop = path, loop
        self._blocks: Iterator[Samples] = read_blocks(path)
        self._rest: Samples = np.zeros(0, np.float32)
        self._ended = False

    async def frame(self, start_ns: int) -> Samples | None:
        while len(self._rest) < FRAME_SAMPLES and not self._ended:
            self._rest = np.concatenate((self._rest, self._block()))
        frame, self._rest = self._rest[:FRAME_SAMPLES], self._rest[FRAME_SAMPLES:]
        return _padded(frame)

    def _block(self) -> Samples:
        block = next(self._blocks, None)
        if block is None and self._loop:
            self._blocks = read_blocks(self._path)
            block = next(self._blocks, None)
        self._ended = block is None
        return np.zeros(0, np.float32) if block is None else block


class StdinSource:
    """Signed 16-bit little-endian mono at 48 kHz from a pipe."""

    def __init__(self) -> None:
        self._reader: asyncio.StreamReader | None = None

    async def frame(self, start_ns: int) -> Samples | None:
        if self._reader is None:
            self._reader = reader = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        try:
            data = await self._reader.readexactly(2 * FRAME_SAMPLES)
        except asyncio.IncompleteReadError as error:
            data = error.partial[: len(error.partial) // 2 * 2]
        return _padded(_from_s16(data))


def _padded(frame: Samples) -> Samples | None:
    return np.pad(frame, (0, FRAME_SAMPLES - len(frame))) if len(frame) else None


def _from_s16(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32_768)


def open_source(name: str, *, loop: bool = False) -> Source:
    """`timecode`, `-` for stdin, or the path of a file."""
    if name == "timecode":
        return TimecodeSource()
    return StdinSource() if name == "-" else FileSource(Path(name), loop=loop)


@dataclass(slots=True)
class Summary:
    """What was sent and heard. `heard_dbfs` is the return feed's peak, -120 for silence.

    `problem` is why there is no connection, empty while there is one.
    """

    seconds: float = 0.0
    packets_sent: int = 0
    packets_received: int = 0
    connects: int = 0
    reconnects: int = 0
    heard_dbfs: float = -120.0
    problem: str = "not connected yet"


Hear = Callable[[Samples], None]


class _Client:
    """One voice and the connection of the moment."""

    def __init__(self, seat: SeatInfo, source: Source, hear: Hear | None) -> None:
        self.summary = Summary()
        self._seat = seat
        self._source = source
        self._hear = hear
        self._encoder = Encoder(BITRATE_BPS)
        self._decoder = Decoder()
        self._peer: Peer | None = None
        self._heard_at = 0.0
        self._session_url = ""  # of the last session, to be gone on from
        self._changed = asyncio.Event()

    # ---- the voice

    async def talk(self, seconds: float | None) -> None:
        """Speak until the source or the time is at its end."""
        wall_ns, mono_ns = time.time_ns(), time.monotonic_ns()
        spoken = 0
        while seconds is None or spoken * FRAME_NS < seconds * 1e9:
            frame = await self._source.frame(wall_ns + spoken * FRAME_NS)
            if frame is None:
                return
            spoken += 1
            ahead_ns = mono_ns + spoken * FRAME_NS - time.monotonic_ns()
            await asyncio.sleep(max(0, ahead_ns) / 1e9)
            if ahead_ns < -BEHIND_NS_MAX:
                mono_ns -= ahead_ns
                wall_ns -= ahead_ns
            self._say(frame)

    def _say(self, frame: Samples) -> None:
        packet = self._encoder.encode(frame)
        self.summary.seconds = round(self.summary.seconds + FRAME_NS / 1e9, 2)
        if self._peer is not None and self._peer.send(packet, FRAME_SAMPLES):
            self.summary.packets_sent += 1

    # ---- the connection

    async def stay_connected(self, client: WhipClient) -> None:
        """Connect, and connect again whenever the studio is gone. Raises `WhipError` where that is of no use."""
        pause_s = BACKOFF_S_MIN
        while True:
            try:
                stood = await self._session(client)
                pause_s = BACKOFF_S_MIN if stood else pause_s
                self._complain("the connection was lost" if stood else "no media came through")
            except WhipError as error:
                if error.fatal:
                    raise
                self._complain(str(error))
                pause_s = max(pause_s, error.retry_after_s)
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))
            pause_s = min(BACKOFF_S_MAX, 2 * pause_s)

    def _complain(self, problem: str) -> None:
        self.summary.problem = problem
        log.warning("not connected", problem=problem)

    async def _session(self, client: WhipClient) -> bool:
        """One connection from POST to its end; -> whether it ever stood."""
        relays = await client.relays(self._seat.whip_url, self._seat.token)
        port = self._open_port()
        self._peer = peer = Peer(port, self._receive, lambda state: self._changed.set(), relays)
        session_url, lost_url = "", self._session_url
        try:
            offer = await peer.offer()
            answer, session_url = await client.post(self._seat.whip_url, self._seat.token, offer, lost_url)
            self._session_url = session_url
            await peer.accept(answer)
            return await self._until_gone(peer)
        except NegotiationError as error:
            raise WhipError(f"the studio's answer: {error}", fatal=True) from None
        finally:
            self._peer = None
            if session_url:
                with contextlib.suppress(WhipError, TimeoutError):
                    async with asyncio.timeout(DELETE_S_MAX):
                        await client.delete(session_url, self._seat.token)
            await peer.close()
            port.close()

    def _open_port(self) -> Port:
        parts = urlsplit(self._seat.whip_url)
        try:
            host = route_address(parts.hostname or "", parts.port or 443)
            return Port([host], 0)
        except OSError as error:
            raise WhipError(f"{parts.netloc} cannot be reached: {error.strerror}") from None

    async def _until_gone(self, peer: Peer) -> bool:
        self._heard_at = time.monotonic() + CONNECT_S_MAX - SILENCE_S_MAX
        stood = False
        while peer.state is not State.GONE and time.monotonic() - self._heard_at < SILENCE_S_MAX:
            if peer.state is State.CONNECTED and not stood:
                stood, self.summary.problem = True, ""
                self.summary.connects += 1
                self.summary.reconnects = self.summary.connects - 1
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):  # wait_for may swallow a cancellation before Python 3.12
                    await self._changed.wait()
        return stood

    def _receive(self, packet: rtp.Packet) -> None:
        self._heard_at = time.monotonic()
        self.summary.packets_received += 1
        try:
            samples = self._decoder.decode(packet.payload)
        except OpusError:
            return
        peak = float(np.abs(samples).max())
        if peak > 0:
            self.summary.heard_dbfs = max(self.summary.heard_dbfs, round(20 * math.log10(peak), 1))
        if self._hear is not None:
            self._hear(samples)


async def speak(
    url: str,
    token: str,
    source: Source,
    *,
    seconds: float | None = None,
    hear: Hear | None = None,
    stop: asyncio.Event | None = None,
) -> Summary:
    """Speak `source` into the show behind a speaker's link or WHIP URL; -> what was sent and heard.

    Ends with the source, after `seconds`, or when `stop` is set, and then deletes its session. `hear` is called with
    the return feed's samples. Raises `WhipError` when the seat is refused for good, `AudioFileError` for a bad file.
    """
    async with WhipClient() as client:
        speaker = _Client(await client.resolve(url, token), source, hear)
        try:
            async with asyncio.TaskGroup() as tasks:
                connection = tasks.create_task(speaker.stay_connected(client))
                voice = tasks.create_task(speaker.talk(seconds))
                stopping = tasks.create_task(_cancel_when(stop or asyncio.Event(), voice))
                await asyncio.wait({voice})
                connection.cancel()
                stopping.cancel()
        except* (WhipError, AudioFileError) as group:
            raise group.exceptions[0] from None
    return speaker.summary


async def _cancel_when(stop: asyncio.Event, task: asyncio.Task[None]) -> None:
    await stop.wait()
    task.cancel()


def run(url: str, token: str, source: str, *, seconds: float | None = None, loop: bool = False) -> int:
    """`stentor speak`: prints the summary as JSON; exit code 0, or 1 with a line on stderr if nobody was reached."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        summary = asyncio.run(_run(url, token, source, seconds, loop))
    except (WhipError, AudioFileError) as error:
        print(f"speak: {error}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(summary).decode())
    if not summary.connects:
        print(f"speak: {summary.problem}", file=sys.stderr)
    return 0 if summary.connects else 1


async def _run(url: str, token: str, source: str, seconds: float | None, loop: bool) -> Summary:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await speak(url, token, open_source(source, loop=loop), seconds=seconds, stop=stop)
