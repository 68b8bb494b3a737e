"""Progressive MP4 (ISO/IEC 14496-12) of one AAC track: everything a player needs first, then all frames in order.

`head` is all that is not audio; a file is `head` + the frames, back to back. An edit list hides the samples before the
first that is to be heard. Sample sizes come as the big-endian table that `stsz` holds and that chunks carry already.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stentor.formats import fmp4
from stentor.formats.fmp4 import box, full_box
from stentor.model.rendition import Rendition

SAMPLES_MAX = 2**32 - 1  # 24.8 hours: durations are 32 bits
FRAMES_A_CHUNK = 47  # of the sample table: one offset a second
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_BOX_HEAD = 8

Sizes = npt.NDArray[np.uint32]


class BadM4a(ValueError):
    """These bytes are not an MP4 file with a sample table."""


def head(rendition: Rendition, size_table: bytes, skip: int) -> bytes:
    """ftyp + moov + the head of mdat. `size_table`: u32 big-endian a frame; `skip`: samples not heard at the start.

    Raises `ValueError` for a track longer than `SAMPLES_MAX` or without frames.
    """
    sizes = np.frombuffer(size_table, ">u4")
    duration = len(sizes) * rendition.frame_samples
    if not skip < duration <= SAMPLES_MAX:
        raise ValueError(f"a track of {duration} samples does not fit an .m4a file")
    total = int(sizes.sum(dtype=np.int64))
    wide = total + len(size_table) + 2**20 > 2**32
    ftyp = box(b"ftyp", b"M4A ", struct.pack(">I", 0), b"M4A mp42isom")
    mdat = struct.pack(">I4sQ", 1, b"mdat", 16 + total) if wide else struct.pack(">I4s", 8 + total, b"mdat")
    start = len(ftyp) + len(_moov(rendition, sizes, skip, 0, wide)) + len(mdat)
    return ftyp + _moov(rendition, sizes, skip, start, wide) + mdat


def _moov(rendition: Rendition, sizes: Sizes, skip: int, start: int, wide: bool) -> bytes:
    duration = len(sizes) * rendition.frame_samples
    table = [
        fmp4.sample_entry(rendition),
        full_box(b"stts", 0, 0, struct.pack(">III", 1, len(sizes), rendition.frame_samples)),
        _samples_to_chunks(len(sizes)),
        full_box(b"stsz", 0, 0, struct.pack(">II", 0, len(sizes)), sizes.tobytes()),
        _chunk_offsets(sizes, start, wide),
    ]
    edit = full_box(b"elst", 0, 0, struct.pack(">IIiHH", 1, duration - skip, skip, 1, 0))
    track = fmp4.track(duration, table, box(b"edts", edit), heard=duration - skip)
    return box(b"moov", fmp4.movie_header(duration - skip), track)


def _samples_to_chunks(count: int) -> bytes:
    """`stsc`: chunks of `FRAMES_A_CHUNK`, and a shorter last one."""
    whole, rest = divmod(count, FRAMES_A_CHUNK)
    runs = [(1, FRAMES_A_CHUNK)] * bool(whole) + [(whole + 1, rest)] * bool(rest)
    return full_box(
        b"stsc", 0, 0, struct.pack(">I", len(runs)), *(struct.pack(">III", first, n, 1) for first, n in runs)
    )


def _chunk_offsets(sizes: Sizes, start: int, wide: bool) -> bytes:
    ends = np.cumsum(sizes, dtype=np.int64)
    offsets = start + np.concatenate(([0], ends[FRAMES_A_CHUNK - 1 : -1 : FRAMES_A_CHUNK]))
    kind, width = (b"co64", ">u8") if wide else (b"stco", ">u4")
    return full_box(kind, 0, 0, struct.pack(">I", len(offsets)), offsets.astype(width).tobytes())


def frames_of(data: bytes | memoryview) -> list[bytes]:
    """The frames of the only track, in order, wherever in the file they stand; raises `BadM4a`."""
    view = memoryview(data)
    try:
        boxes = dict(_boxes(view, 0, len(view)))
        sizes = np.frombuffer(boxes[b"stsz"][12:], ">u4").astype(np.int64)
        offsets = _frame_offsets(boxes, sizes)
    except (KeyError, ValueError, IndexError, struct.error) as error:
        raise BadM4a(f"no readable sample table: {error!r}") from None
    if len(sizes) and int((offsets + sizes).max()) > len(view):
        raise BadM4a("the file ends before its last frame")
    return [bytes(view[at : at + size]) for at, size in zip(offsets.tolist(), sizes.tolist(), strict=True)]


def _boxes(view: memoryview, at: int, end: int) -> Iterator[tuple[bytes, memoryview]]:
    """(type, contents) of all boxes, those inside containers too."""
    while at + _BOX_HEAD <= end:
        size, kind = struct.unpack_from(">I4s", view, at)
        skip = _BOX_HEAD
        if size == 1:
            (size,), skip = struct.unpack_from(">Q", view, at + 8), 16
        stop = end if size == 0 else at + size
        if size and size < skip:
            raise ValueError(f"box of {size} bytes at byte {at}")
        if kind in _CONTAINERS:
            yield from _boxes(view, at + skip, min(stop, end))
        else:
            yield kind, view[at + skip : min(stop, end)]
        at = stop


def _frame_offsets(boxes: dict[bytes, memoryview], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each frame stands, from `stsc` and `stco` or `co64` (14496-12, 8.7.4 and 8.7.5)."""
    table = boxes.get(b"stco") or boxes[b"co64"]
    chunks = np.frombuffer(table[8:], ">u4" if b"stco" in boxes else ">u8").astype(np.int64)
    runs = np.frombuffer(boxes[b"stsc"][8:], ">u4").astype(np.int64).reshape(-1, 3)
    per_chunk = np.repeat(runs[:, 1], np.diff(np.append(runs[:, 0], len(chunks) + 1)))
    if int(per_chunk.sum()) != len(sizes):
        raise ValueError("chunks and samples do not add up")
    firsts = np.cumsum(per_chunk) - per_chunk
    before = np.cumsum(sizes) - sizes
    offsets: npt.NDArray[np.int64] = np.repeat(chunks - before[firsts], per_chunk) + before
    return offsets
