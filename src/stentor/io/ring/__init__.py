"""The ring: the last minute of chunks in shared memory, one writer at a time, any number of readers.

Layout of the file (little-endian, in tmpfs):

    0        fixed fields (`_FIXED`): magic, version, rendition count, slots, slot size, grid, marks
    512      heads: u64 a rendition, the highest n published
    1024     hold table: u32 offset, u32 length a rendition
    4096     packed holds, then slots[rendition][n % slots]: u64 n, u32 length, u32 flags, u32 crc32, u32 spare, bytes

A slot is written as n = 0, contents, n; a reader copies it and looks at n again, so a writer killed half-way leaves a
slot that nobody takes. Writers exclude each other with flock, which the kernel drops when its holder dies. Likewise the
studio holds a lock on the first byte (fcntl(2), open file description locks) for as long as it makes the program.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stentor.formats.chunks import Hold
from stentor.model.grid import FIRST_N, Grid
from stentor.model.rendition import RENDITIONS, Rendition

MAGIC = b"STNRING1"
FLAG_HOLD = 1
RING_S = 64.0  # how much of the past is kept
SLOT_BYTES = 20_480  # half a second of the largest frames that AAC knows: an encoder may come to them out of silence
_FIXED = struct.Struct(
    "<8s32sIIIIQQQQQ"
)  # magic show renditions slots slot_bytes chunk t0_wall t0_mono live_n end_n base
_LIVE_AT, _END_AT = 72, 80  # of the fields above
_HEADS, _HOLDS, _DATA = 512, 1024, 4096
_SLOT = struct.Struct("<QIIII")
_U64 = struct.Struct("<Q")
_LOCK = struct.Struct("hhqqi0q")  # struct flock: type, whence, start, length, pid
_PAIR = struct.Struct("<II")


class RingError(ValueError):
    """The file is not a ring, or a chunk does not fit it."""


class Chunk(NamedTuple):
    """One published chunk of one rendition."""

    n: int
    data: bytes
    hold: bool


class Heads(NamedTuple):
    """Highest n published, by rendition id."""

    by_id: tuple[int, ...]

    @property
    def whole(self) -> int:
        """The highest n that every rendition has reached."""
        return min(self.by_id)


def create(path: Path, show: str, grid: Grid, holds: Mapping[int, Hold]) -> Ring:
    """Lay a new ring at `path` (renamed into place whole). `holds` by rendition id; `show` at most 32 bytes."""
    packed = [holds[rendition.id].pack() for rendition in RENDITIONS]
    slots = max(16, int(RING_S / grid.chunk_s))
    base = -(-(_DATA + sum(map(len, packed))) // 4096) * 4096
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    with scratch.open("wb+") as file:
        file.truncate(base + len(RENDITIONS) * slots * SLOT_BYTES)
        fields = (len(RENDITIONS), slots, SLOT_BYTES, grid.chunk_samples, grid.t0_wall_ns, grid.t0_mono_ns, 0, 0, base)
        file.write(_FIXED.pack(MAGIC, show.encode(), *fields))
        at = _DATA
        for index, hold in enumerate(packed):
            file.seek(_HOLDS + index * _PAIR.size)
            file.write(_PAIR.pack(at, len(hold)))
            file.seek(at)
            file.write(hold)
            at += len(hold)
    scratch.rename(path)
    return Ring(path)


class Ring:
    """An attached ring. Raises `RingError` if the file is not one, `OSError` if it cannot be mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.inode = os.fstat(self._file).st_ino
        try:
            self._map = mmap.mmap(self._file, 0)
            magic, show, count, self.slots, self.slot_bytes, chunk, wall, mono, _, _, self._base = _FIXED.unpack_from(
                self._map
            )
        except (ValueError, struct.error) as error:
            os.close(self._file)
            raise RingError(f"{path}: {error}") from None
        if magic != MAGIC or count != len(RENDITIONS):
            self.close()
            raise RingError(f"{path}: not a ring of this version")
        self.show = show.rstrip(b"\0").decode()
        self.grid = Grid(wall, mono, chunk)
        self.holds = {rendition.id: self._hold(rendition) for rendition in RENDITIONS}
        self._heads = struct.Struct(f"<{count}Q")

    def _hold(self, rendition: Rendition) -> Hold:
        at, size = _PAIR.unpack_from(self._map, _HOLDS + rendition.id * _PAIR.size)
        return Hold.unpack(rendition, self._map[at : at + size])

    def close(self) -> None:
        self._map.close()
        os.close(self._file)

    def heads(self) -> Heads:
        return Heads(self._heads.unpack_from(self._map, _HEADS))

    def head(self, rendition_id: int) -> int:
        return int(_U64.unpack_from(self._map, _HEADS + 8 * rendition_id)[0])

    def _slot(self, rendition_id: int, n: int) -> int:
        return int(self._base + (rendition_id * self.slots + n % self.slots) * self.slot_bytes)

    def get(self, rendition_id: int, n: int) -> Chunk | None:
        """Chunk `n`, or None if it is not there: not yet, no more, never, or being overwritten."""
        at = self._slot(rendition_id, n)
        found, length, flags, crc, _ = _SLOT.unpack_from(self._map, at)
        if found != n or n < FIRST_N:
            return None
        data = self._map[at + _SLOT.size : at + _SLOT.size + length]
        if _U64.unpack_from(self._map, at)[0] != n or zlib.crc32(data) != crc:
            return None
        return Chunk(n, data, bool(flags & FLAG_HOLD))

    def oldest(self) -> int:
        """The lowest n that may still be in the ring (one slot is kept clear for the writer)."""
        return max(FIRST_N, max(self.heads().by_id) - self.slots + 2)

    def publish(self, rendition_id: int, n: int, data: bytes, *, hold: bool = False) -> bool:
        """Write chunk `n` unless it, or a later one, is there already; -> whether it was written.

        Raises `RingError` for a chunk larger than a slot, `BlockingIOError` if another writer holds the lock.
        """
        if len(data) > self.slot_bytes - _SLOT.size:
            raise RingError(f"chunk {n} of rendition {rendition_id} has {len(data)} bytes, a slot {self.slot_bytes}")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            if n <= self.head(rendition_id):
                return False
            at = self._slot(rendition_id, n)
            _U64.pack_into(self._map, at, 0)
            _SLOT.pack_into(self._map, at, 0, len(data), FLAG_HOLD if hold else 0, zlib.crc32(data), 0)
            self._map[at + _SLOT.size : at + _SLOT.size + len(data)] = data
            _U64.pack_into(self._map, at, n)
            _U64.pack_into(self._map, _HEADS + 8 * rendition_id, n)
            return True
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def attend(self) -> bool:
        """Say that the program is made by this process, until `leave` or its death; False if another one does."""
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
        except BlockingIOError:
            return False
        return True

    def leave(self) -> None:
        fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 1, 0))

    @property
    def attended(self) -> bool:
        """Whether somebody else who attached this ring makes the program, and lives."""
        asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
        found = _LOCK.unpack(fcntl.fcntl(self._file, fcntl.F_OFD_GETLK, asked))
        return bool(found[0] != fcntl.F_UNLCK)

    @property
    def live_n(self) -> int:
        """The first recorded chunk; 0 while the show is not live."""
        return int(_U64.unpack_from(self._map, _LIVE_AT)[0])

    @live_n.setter
    def live_n(self, n: int) -> None:
        _U64.pack_into(self._map, _LIVE_AT, n)

    @property
    def end_n(self) -> int:
        """One past the last chunk of the show; 0 while it has no end."""
        return int(_U64.unpack_from(self._map, _END_AT)[0])

    @end_n.setter
    def end_n(self, n: int) -> None:
        _U64.pack_into(self._map, _END_AT, n)
