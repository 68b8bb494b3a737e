"""Fragmented MP4 (ISO/IEC 14496-12) for one mono audio track: the header of a rendition and its chunks.

Both are functions of their arguments alone, so that a chunk can be rebuilt, byte for byte, from the encoder frames
found in a downloaded file. Timescale is 48,000; a chunk is `moof` + `mdat` with one run of frames of equal duration.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache

from stentor.model.grid import SAMPLE_RATE, Grid
from stentor.model.rendition import Rendition

TRACK_ID = 1
AUDIO_SPECIFIC_CONFIG = b"\x11\x88"  # ISO/IEC 14496-3, 1.6.2.1: AAC-LC, 48 kHz, one channel
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_FRAME_IS_SYNC = 0x02000000  # sample_depends_on = 2, 14496-12 8.6.4.3


def box(kind: bytes, *parts: bytes) -> bytes:
    """One box: 32-bit size, type, contents."""
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """One full box: a box whose contents begin with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _descriptor(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes((tag, len(body))) + body


def _esds() -> bytes:
    """ES_Descriptor (14496-1, 7.2.6.5). Bitrates are left 0 (unknown): then `aac` and `aac-low` share a header."""
    config = _descriptor(4, b"\x40\x15" + bytes(3) + struct.pack(">II", 0, 0), _descriptor(5, AUDIO_SPECIFIC_CONFIG))
    return full_box(b"esds", 0, 0, _descriptor(3, struct.pack(">HB", TRACK_ID, 0), config, _descriptor(6, b"\x02")))


def _dops(pre_skip: int) -> bytes:
    """OpusSpecificBox ("Encapsulation of Opus in ISOBMFF", 4.3.2), channel mapping family 0."""
    return box(b"dOps", struct.pack(">BBHIhB", 0, 1, pre_skip, SAMPLE_RATE, 0, 0))


def sample_entry(rendition: Rendition, pre_skip: int = 0) -> bytes:
    """The `stsd` box: `Opus` + `dOps` or `mp4a` + `esds`."""
    kind, extra = (b"Opus", _dops(pre_skip)) if rendition.codec == "opus" else (b"mp4a", _esds())
    entry = struct.pack(">6xH8xHHHHI", 1, 1, 16, 0, 0, SAMPLE_RATE << 16)
    return full_box(b"stsd", 0, 0, struct.pack(">I", 1), box(kind, entry, extra))


def track(duration: int, sample_table: Sequence[bytes], edits: bytes = b"", heard: int | None = None) -> bytes:
    """A `trak` box of one audio track with the given contents of its `stbl`; `duration` in samples.

    `edits` is an `edts` box, `heard` how many samples it lets through (default: all).
    """
    shown = duration if heard is None else heard
    header = struct.pack(">IIIII8xhhhh", 0, 0, TRACK_ID, 0, shown, 0, 0, 0x0100, 0) + _MATRIX + bytes(8)
    media = box(
        b"mdia",
        full_box(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, SAMPLE_RATE, duration, 0x55C4, 0)),
        full_box(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, b"soun"), b"Stentor\0"),
        box(
            b"minf",
            full_box(b"smhd", 0, 0, bytes(4)),
            box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1))),
            box(b"stbl", *sample_table),
        ),
    )
    return box(b"trak", full_box(b"tkhd", 0, 3, header), edits, media)


def movie_header(duration: int) -> bytes:
    """The `mvhd` box; `duration` in samples."""
    fields = struct.pack(">IIIIIH10x", 0, 0, SAMPLE_RATE, duration, 0x10000, 0x0100)
    return full_box(b"mvhd", 0, 0, fields, _MATRIX, bytes(24), struct.pack(">I", TRACK_ID + 1))


@cache  # an edge sends it at every join
def header(rendition: Rendition) -> bytes:
    """What a decoder needs before any chunk of `rendition`: `ftyp` + `moov` without samples."""
    empty = [
        full_box(kind, 0, 0, bytes(size)) for kind, size in ((b"stts", 4), (b"stsc", 4), (b"stsz", 8), (b"stco", 4))
    ]
    extends = full_box(b"trex", 0, 0, struct.pack(">IIIII", TRACK_ID, 1, rendition.frame_samples, 0, _FRAME_IS_SYNC))
    moov = box(b"moov", movie_header(0), track(0, [sample_entry(rendition), *empty]), box(b"mvex", extends))
    return box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6mp41dashcmfc") + moov


# moof, mfhd, traf, tfhd, tfdt, and trun up to the sizes of its frames: docs/TAPE.md, section 4, has the same table.
_FRAGMENT = struct.Struct(">I4s I4sII I4s I4sIIII I4sIQ I4sIII")
_MFHD, _TFHD, _TFDT_V1 = (16, b"mfhd", 0), (24, b"tfhd", 0x020028, TRACK_ID), (20, b"tfdt", 1 << 24)


def chunk(rendition: Rendition, grid: Grid, n: int, frames: Sequence[bytes]) -> bytes:
    """Chunk `n`: `moof` (sequence number `n`, tfdt from the grid) and `mdat` holding the encoder frames."""
    count, sizes = len(frames), list(map(len, frames))
    moof, trun = SIZES_AT + 4 * count, 20 + 4 * count
    traf, mdat = moof - 24, 8 + sum(sizes)
    fragment = _FRAGMENT.pack(
        moof, b"moof", *_MFHD, n, traf, b"traf", *_TFHD, rendition.frame_samples, _FRAME_IS_SYNC,
        *_TFDT_V1, grid.presented_at(rendition, n), trun, b"trun", 0x201, count, moof + 8,
    )  # fmt: skip
    return b"".join((fragment, struct.pack(f">{count}II4s", *sizes, mdat, b"mdat"), *frames))


class NotAChunk(ValueError):
    """These bytes are not a chunk that `chunk` made."""


_FIXED = 8 + 16 + 8 + 24 + 20  # moof, mfhd, traf, tfhd, tfdt: what stands before the trun
SIZES_AT = _FIXED + 20  # where a chunk has the sizes of its frames: u32 big-endian each


def frames_at(count: int) -> int:
    """Where a chunk of `count` frames has the first of them; the last ends with the chunk."""
    return SIZES_AT + 4 * count + 8


def parse_chunk(data: bytes) -> tuple[int, int, list[bytes]]:
    """-> (sequence number, tfdt in samples, encoder frames) of bytes made by `chunk`; else `NotAChunk`."""
    try:
        (n,) = struct.unpack_from(">I", data, 20)
        (tfdt,) = struct.unpack_from(">Q", data, _FIXED - 8)
        kind, _flags, count, offset = struct.unpack_from(">4sIII", data, _FIXED + 4)
        if data[4:8] != b"moof" or kind != b"trun" or offset - 8 != _FIXED + 20 + 4 * count:
            raise NotAChunk("not moof + mdat with a single run")
        sizes = struct.unpack_from(f">{count}I", data, _FIXED + 20)
    except struct.error as error:
        raise NotAChunk(f"cut short: {error}") from None
    if offset + sum(sizes) != len(data):
        raise NotAChunk("the run does not fill the mdat")
    frames = []
    for size in sizes:
        frames.append(data[offset : offset + size])
        offset += size
    return n, tfdt, frames
