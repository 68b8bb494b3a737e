"""A replay as a file that is never written: where in it each chunk of the tape stands, and what its bytes become there.

A file is a head (tables that players read first) and then one body a chunk, in order. Bodies are made from the bytes of
the tape when they are asked for; only their sizes are worked out beforehand. All files of a show begin to sound at the
same sample: `SETTLE_SAMPLES` after the start of the first chunk, when the first frame, which has no predecessor to
overlap with, is over in every codec.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from stentor.formats import fmp4, m4a, mp3info, ogg
from stentor.model.grid import Grid
from stentor.model.rendition import Rendition

SETTLE_SAMPLES = 1536  # a frame of AAC, and half a frame: chunks start on the grid only to the nearest frame

Counts = npt.NDArray[np.int64]
ReadChunk = Callable[[int, int, int | None], bytes]  # (n, from byte, to byte or None) -> those bytes of the chunk


class Kind(NamedTuple):
    """A file that a replay can be had as: `replay.<suffix>`, made of one rendition."""

    suffix: str
    rendition: str
    content_type: str


KINDS = {
    kind.suffix: kind
    for kind in (Kind("m4a", "aac", "audio/mp4"), Kind("opus", "opus", "audio/ogg"), Kind("mp3", "mp3", "audio/mpeg"))
}


class BadChunk(ValueError):
    """A chunk of the tape is not as its grid has it."""


@dataclass(frozen=True, slots=True)
class Source:
    """One rendition of an ended tape. `lengths`: bytes of each chunk, hold included, from `first_n` on."""

    rendition: Rendition
    grid: Grid
    show: str
    title: str
    first_n: int
    lengths: Counts
    read: ReadChunk

    @property
    def frame_counts(self) -> Counts:
        """Frames of each chunk."""
        n: Any = np.arange(self.first_n, self.first_n + len(self.lengths) + 1, dtype=np.int64)
        return np.diff(self.grid.first_frame(self.rendition, n))

    @property
    def skip(self) -> int:
        """How many decoded samples stand before the first that is to be heard."""
        start = self.first_n * self.grid.chunk_samples + SETTLE_SAMPLES
        return start - self.grid.presented_at(self.rendition, self.first_n)

    def frame_sizes(self, counts: Counts) -> bytes:
        """u32 big-endian for every frame of the show, as fMP4 chunks carry them. Raises `BadChunk`."""
        at = fmp4.SIZES_AT
        tables = [self.read(n, at, at + 4 * int(count)) for n, count in enumerate(counts, self.first_n)]
        table = b"".join(tables)
        if len(table) != 4 * int(counts.sum()):
            raise BadChunk("a chunk is shorter than its frames")
        bad = np.nonzero(_per_chunk(table, counts) + fmp4.frames_at(0) + 4 * counts != self.lengths)[0]
        if len(bad):
            raise BadChunk(f"chunk {self.first_n + int(bad[0])} of {self.rendition.name} is not as the grid has it")
        return table


class _Body(Protocol):
    def __call__(self, n: int, chunk: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Replay:
    """`starts`: where each body begins in the file, and at last where the file ends."""

    kind: Kind
    head: bytes
    first_n: int
    starts: Counts
    body: _Body

    @property
    def size(self) -> int:
        return int(self.starts[-1])

    def read(self, first: int, last: int, read: ReadChunk) -> Iterator[bytes]:
        """Bytes `first`..`last` (both included) of the file, a piece a chunk."""
        if first < len(self.head):
            yield self.head[first : last + 1]
        begin = max(0, int(np.searchsorted(self.starts, first, "right")) - 1)
        for index in range(begin, len(self.starts) - 1):
            start = int(self.starts[index])
            if start > last:
                return
            n = self.first_n + index
            yield self.body(n, read(n, 0, None))[max(0, first - start) : last + 1 - start]


def lay_out(kind: Kind, source: Source) -> Replay:
    """The replay of a tape as a file of this kind. Raises `BadChunk`; `ValueError` if the format cannot hold it."""
    if not len(source.lengths):
        raise ValueError("the tape has no chunks")
    head, sizes, body = {"m4a": _m4a, "opus": _opus, "mp3": _mp3}[kind.suffix](source)
    starts = len(head) + np.concatenate(([0], np.cumsum(sizes)))
    return Replay(kind, head, source.first_n, starts, body)


def _per_chunk(table: bytes, counts: Counts, weigh: Callable[[Counts], Counts] = lambda sizes: sizes) -> Counts:
    """Sums over the frames of each chunk."""
    sizes = weigh(np.frombuffer(table, ">u4").astype(np.int64))
    return np.add.reduceat(sizes, np.cumsum(counts) - counts)


def _m4a(source: Source) -> tuple[bytes, Counts, _Body]:
    counts = source.frame_counts
    offsets = (fmp4.frames_at(0) + 4 * counts).tolist()
    head = m4a.head(source.rendition, source.frame_sizes(counts), source.skip)

    def body(n: int, chunk: bytes) -> bytes:
        return chunk[offsets[n - source.first_n] :]

    return head, source.lengths - np.asarray(offsets), body


def _opus(source: Source) -> tuple[bytes, Counts, _Body]:
    """A page a chunk."""
    counts = source.frame_counts
    table = source.frame_sizes(counts)
    segments = _per_chunk(table, counts, lambda sizes: sizes // ogg.SEGMENTS_MAX + 1)
    if int(segments.max()) > ogg.SEGMENTS_MAX:
        raise ValueError("a chunk does not fit a page of Ogg")
    serial = zlib.crc32(source.show.encode())
    granules = (np.cumsum(counts) * source.rendition.frame_samples).tolist()

    def body(n: int, chunk: bytes) -> bytes:
        index = n - source.first_n
        kind = ogg.LAST if index == len(granules) - 1 else 0
        return ogg.page(serial, ogg.HEAD_SEQUENCE + index, granules[index], fmp4.parse_chunk(chunk)[2], kind)

    sizes = ogg.PAGE_HEAD_BYTES + segments + _per_chunk(table, counts)
    return ogg.head(serial, source.skip, source.title), sizes, body


def _mp3(source: Source) -> tuple[bytes, Counts, _Body]:
    def body(n: int, chunk: bytes) -> bytes:
        return chunk

    frames, payload = int(source.frame_counts.sum()), int(source.lengths.sum())
    return mp3info.info_frame(frames, payload, source.skip), source.lengths, body
