"""What one listener got of one rendition: the bytes of a stream cut into chunks, and how whole and how late they were.

`now` is Unix time in seconds by the server's clock. Chunk `n` is due, whole, when chunk `n + 1` begins; chunks that
were past already when a connection was answered (its burst) say nothing about lateness. A connection that breaks loses
the chunk in hand; the next one is asked for from `next_n`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from stentor.formats import chunks, fmp4
from stentor.model.grid import FIRST_N, SAMPLE_RATE, Grid
from stentor.model.rendition import Rendition

BOX_BYTES_MAX = 64 * 1024
LATE_KEPT = 20_000  # chunks whose lateness is remembered: nearly three hours


class NotAStream(ValueError):
    """The peer sends something that is not this rendition."""


@dataclass(frozen=True, slots=True)
class Whole:
    """One chunk as it came. `came_s` is when it was whole; `late_ms` is None in a burst."""

    n: int
    data: bytes
    came_s: float
    late_ms: float | None


@dataclass(slots=True)
class Heard:
    """One rendition's stream, over any number of connections: `receive_answer`, `receive` …, `receive_break`, again."""

    rendition: Rendition
    grid: Grid
    next_n: int = 0  # 0: nothing came yet
    first_n: int = 0
    count: int = 0
    bytes_got: int = 0
    missing: int = 0  # chunks that were skipped
    doubles: int = 0  # chunks that came again, or out of order
    misplaced: int = 0  # chunks whose presentation time is not their place in the grid
    late_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATE_KEPT))
    _head: int = 0
    _expected: int = 0
    _buffer: bytearray = field(default_factory=bytearray)

    def receive_answer(self, first_n: int, head: int) -> None:
        """A connection was answered: its body begins with chunk `first_n`, and `head` was the newest at that time."""
        self._buffer.clear()
        self._expected, self._head = first_n, head

    def receive_break(self) -> None:
        self._buffer.clear()

    def receive(self, data: bytes, now: float) -> list[Whole]:
        """Bytes of the body; -> the chunks they complete. Raises `NotAStream`."""
        self._buffer += data
        found = []
        while (chunk := self._take()) is not None:
            found.append(self._judge(*chunk, now))
        return found

    def _take(self) -> tuple[int, bytes] | None:
        """The next whole chunk in the buffer, with its n."""
        try:
            return self._take_fragment() if self.rendition.framed else self._take_mp3()
        except (fmp4.NotAChunk, chunks.BadMp3) as error:
            raise NotAStream(str(error)) from None

    def _take_mp3(self) -> tuple[int, bytes] | None:
        """Raw frames carry no n: chunks are counted from the one that the answer named."""
        n = self._expected
        frame_bytes = self.rendition.frame_samples // 8 * self.rendition.bitrate_bps // SAMPLE_RATE
        size = self.grid.frame_count(self.rendition, n) * frame_bytes
        if len(self._buffer) < size:
            return None
        data = self._cut(size)
        chunks.mp3_frames(data)
        self._expected += 1
        return n, data

    def _take_fragment(self) -> tuple[int, bytes] | None:
        while (size := self._box_bytes(0)) is not None:
            kind = bytes(self._buffer[4:8])
            if kind in (b"ftyp", b"moov", b"emsg"):
                self._cut(size)
                continue
            if kind != b"moof":
                raise NotAStream(f"a box {kind!r} where a chunk should begin")
            rest = self._box_bytes(size)
            return None if rest is None else self._fragment(self._cut(size + rest))
        return None

    def _box_bytes(self, at: int) -> int | None:
        """Size of the whole box at `at`; None if it is not all there."""
        if len(self._buffer) < at + 8:
            return None
        size = int.from_bytes(self._buffer[at : at + 4], "big")
        if not 8 <= size <= BOX_BYTES_MAX:
            raise NotAStream(f"a box of {size} bytes")
        return size if len(self._buffer) >= at + size else None

    def _cut(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _fragment(self, data: bytes) -> tuple[int, bytes]:
        n, tfdt, _ = fmp4.parse_chunk(data)
        self.misplaced += n < FIRST_N or tfdt != self.grid.presented_at(self.rendition, n)
        return n, data

    def _judge(self, n: int, data: bytes, now: float) -> Whole:
        if not self.next_n:
            self.first_n = self.next_n = n
        self.missing += max(0, n - self.next_n)
        self.doubles += n < self.next_n
        self.next_n = max(self.next_n, n + 1)
        self.count, self.bytes_got = self.count + 1, self.bytes_got + len(data)
        late_ms = None if n <= self._head else 1000 * (now - self.grid.wall_ns(n + 1) / 1e9)
        if late_ms is not None:
            self.late_ms.append(late_ms)
        return Whole(n, data, now, late_ms)

    def late_percentile_ms(self, percent: float) -> float | None:
        """Lateness that `percent` of the chunks did not exceed; None before the first that was not past already."""
        if not self.late_ms:
            return None
        ordered = sorted(self.late_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
