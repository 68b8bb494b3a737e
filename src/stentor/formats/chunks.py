"""Encoder frames to the bytes of a chunk and back, for every rendition, and the hold that fills a chunk.

A hold is a loop of encoder frames; hold chunk *n* takes the frames whose index in the grid, modulo the loop, stands in
it. It is a function of *n* alone: any process that has the loop makes the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from stentor.formats import fmp4
from stentor.model.grid import Grid
from stentor.model.rendition import Rendition

HOLD_PERIOD_SAMPLES = 46_080  # least common multiple of 960, 1024 and 1152: a loop is a multiple of it


class BadMp3(ValueError):
    """These bytes are not a run of MPEG-1 layer III frames."""


_MP3_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)


def mp3_frames(data: bytes) -> list[bytes]:
    """Split raw MPEG-1 layer III at 48 kHz into its frames (ISO/IEC 11172-3, 2.4.1.3)."""
    frames, at = [], 0
    while at < len(data):
        if data[at : at + 2] not in (b"\xff\xfb", b"\xff\xfa") or at + 4 > len(data):
            raise BadMp3(f"no frame header at byte {at}")
        index = data[at + 2] >> 4
        if not 0 < index < 15:
            raise BadMp3(f"bad bitrate at byte {at}")
        size = 144 * _MP3_KBPS[index] * 1000 // 48_000 + (data[at + 2] >> 1 & 1)
        if at + size > len(data):
            raise BadMp3(f"frame cut short at byte {at}")
        frames.append(data[at : at + size])
        at += size
    return frames


def build(rendition: Rendition, grid: Grid, n: int, frames: Sequence[bytes]) -> bytes:
    """The bytes of chunk `n`: an fMP4 fragment, or raw MP3 frames."""
    return fmp4.chunk(rendition, grid, n, frames) if rendition.framed else b"".join(frames)


def frames_of(rendition: Rendition, data: bytes) -> list[bytes]:
    """The encoder frames in the bytes of a chunk; raises `fmp4.NotAChunk` or `BadMp3`."""
    return fmp4.parse_chunk(data)[2] if rendition.framed else mp3_frames(data)


def header(rendition: Rendition) -> bytes:
    """What goes before the first chunk of a stream; empty for MP3."""
    return fmp4.header(rendition) if rendition.framed else b""


@dataclass(frozen=True, slots=True)
class Hold:
    """One rendition's hold: `frames[k % len(frames)]` is the encoder frame with index k in the grid."""

    rendition: Rendition
    frames: tuple[bytes, ...]

    def chunk(self, grid: Grid, n: int) -> bytes:
        first, count = grid.first_frame(self.rendition, n), grid.frame_count(self.rendition, n)
        loop = self.frames
        return build(self.rendition, grid, n, [loop[k % len(loop)] for k in range(first, first + count)])

    def pack(self) -> bytes:
        """u16 count, then u16 sizes, then the frames, big-endian."""
        return struct.pack(f">H{len(self.frames)}H", len(self.frames), *map(len, self.frames)) + b"".join(self.frames)

    @classmethod
    def unpack(cls, rendition: Rendition, data: bytes) -> Hold:
        """Inverse of `pack`; raises `ValueError` for anything else."""
        try:
            (count,) = struct.unpack_from(">H", data)
            sizes = struct.unpack_from(f">{count}H", data, 2)
        except struct.error as error:
            raise ValueError(f"hold of {rendition.name}: {error}") from None
        at, frames = 2 + 2 * count, []
        for size in sizes:
            frames.append(data[at : at + size])
            at += size
        if not count or at != len(data):
            raise ValueError(f"hold of {rendition.name}: {len(data)} bytes where the table says {at}")
        return cls(rendition, tuple(frames))
