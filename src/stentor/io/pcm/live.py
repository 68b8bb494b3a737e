"""An encoder's endless stream, decoded in a thread of its own: bytes in, blocks of mono float32 at 48 kHz out."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 48_000
QUEUE_BYTES_MAX = 64 * 1024  # not decoded yet: 4 s at 128 kbit/s
PROBE_BYTES_MAX = 16 * 1024
BAD_PACKETS_MAX = 50  # in a row: then it is no audio
CHANNELS_MAX = 8
DEMUXERS = {
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "application/ogg": "ogg",
    "audio/aac": "aac",
    "audio/aacp": "aac",
    "audio/flac": "flac",
}
CODECS = ("mp3", "mp3float", "opus", "libopus", "vorbis", "aac", "flac")
_MAGIC = {b"OggS": "ogg", b"fLaC": "flac", b"ID3": "mp3", b"RIFF": "wav", b"\x1a\x45\xdf\xa3": "matroska"}
_OPTIONS = {"probesize": str(PROBE_BYTES_MAX), "analyzeduration": "200000", "fflags": "nobuffer"}

Deliver = Callable[[Samples], None]
Ended = Callable[[str], None]


class _Undecodable(ValueError):
    """What comes is no audio of the kind that was announced."""


class _Pipe:
    """Bytes from the event loop to the thread; a file to PyAV, without `seek`. `taken` is called after each read."""

    def __init__(self, taken: Callable[[], None]) -> None:
        self._taken = taken
        self._parts: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self.size = 0

    def put(self, data: bytes) -> None:
        with self._changed:
            self._parts.append(data)
            self.size += len(data)
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()

    def read(self, size: int) -> bytes:
        """At least a byte; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._parts or self._ended)
            if not self._parts:
                return b""
            part = self._parts.popleft()
            if len(part) > size:
                self._parts.appendleft(part[size:])
            self.size -= min(size, len(part))
        self._taken()
        return part[:size]

    def first(self, size: int) -> bytes:
        """The first so many bytes, which stay; fewer if the stream ends before."""
        with self._changed:
            self._changed.wait_for(lambda: self.size >= size or self._ended)
            return b"".join(self._parts)[:size]


class LiveDecoder:
    """Decodes what is written, of one of `DEMUXERS`' content types.

    On the event loop that made it, `deliver` is called with each block, and `ended` once with the reason, which is
    empty at a plain end. Nothing is called after `close`.
    """

    def __init__(self, content_type: str, deliver: Deliver, ended: Ended) -> None:
        self._demuxer = DEMUXERS[content_type]
        self._deliver, self._ended = deliver, ended
        self._loop = asyncio.get_running_loop()
        self._pipe = _Pipe(lambda: self._on_loop(self._make_room))
        self._room, self._flowing = asyncio.Event(), threading.Event()
        self._room.set()
        self._flowing.set()
        self._closed = False
        self._blocks = 0
        threading.Thread(target=self._run, name="decoder", daemon=True).start()

    async def write(self, data: bytes) -> None:
        """Waits while the queue is full."""
        while self._pipe.size > QUEUE_BYTES_MAX and not self._closed:
            self._room.clear()
            await self._room.wait()
        self._pipe.put(data)

    def end(self) -> None:
        """Nothing more will be written; what is queued is decoded."""
        self._pipe.end()

    def hold_back(self, waiting: bool) -> None:
        """Whether decoding is to wait."""
        (self._flowing.clear if waiting else self._flowing.set)()

    def close(self) -> None:
        """Let the thread end."""
        self._closed = True
        self._room.set()
        self._flowing.set()
        self._pipe.end()

    # ---- in the thread

    def _run(self) -> None:
        try:
            self._check_first()
            self._decode()
            reason = ""
        except _Undecodable as error:
            reason = str(error)
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = f"not {self._demuxer}: {getattr(error, 'strerror', None) or error}"
        self._tell(self._ended, reason)

    def _check_first(self) -> None:
        """Some demuxers search a stream of another kind for a frame that happens to look right."""
        first = self._pipe.first(4)
        found = next((name for magic, name in _MAGIC.items() if first.startswith(magic)), self._demuxer)
        if found != self._demuxer and not (found == "mp3" and self._demuxer == "aac"):  # ID3 stands before both
            raise _Undecodable(f"the stream is {found}, its Content-Type says {self._demuxer}")

    def _decode(self) -> None:
        with av.open(self._pipe, format=self._demuxer, options=_OPTIONS) as container:
            if not container.streams.audio:
                raise _Undecodable("no audio in it")
            stream = container.streams.audio[0]
            if stream.codec_context.name not in CODECS:
                raise _Undecodable(f"{stream.codec_context.name} is not taken; take one of {', '.join(CODECS)}")
            resampler, bad = av.AudioResampler(format="fltp", rate=SAMPLE_RATE), 0
            for packet in container.demux(stream):
                self._flowing.wait()
                if self._closed:
                    return
                bad = 0 if self._decode_packet(packet, resampler) else bad + 1
                if bad > BAD_PACKETS_MAX:
                    raise _Undecodable(f"{bad} packets in a row could not be decoded")
            if not self._blocks:
                raise _Undecodable(f"no {self._demuxer} was found in it")

    def _decode_packet(self, packet: av.Packet, resampler: av.AudioResampler) -> bool:
        """-> whether it was audio."""
        try:
            for frame in packet.decode():
                if frame.layout.nb_channels > CHANNELS_MAX:
                    return False
                for block in resampler.resample(frame):
                    self._blocks += 1
                    self._tell(self._deliver, np.mean(block.to_ndarray(), axis=0, dtype=np.float32))
        except (av.FFmpegError, ValueError):  # ValueError: the stream has changed its rate or layout
            return False
        return True

    def _tell(self, whom: Callable[..., None], what: object) -> None:
        self._on_loop(lambda: None if self._closed else whom(what))

    def _on_loop(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop is closed
            self._closed = True

    def _make_room(self) -> None:
        if self._pipe.size <= QUEUE_BYTES_MAX:
            self._room.set()
