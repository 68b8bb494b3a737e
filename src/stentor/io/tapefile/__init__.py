"""The segments of a tape directory, for readers: which there are, their bytes, and a mapping of each.

A segment only ever grows, and nobody writes to it again once the next one stands.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import threading
import weakref
from pathlib import Path

SEGMENTS_MAX = 10_000  # names have four digits
_WARM_BLOCK_BYTES = 1 << 20


def segment_name(index: int) -> str:
    return f"{index:04d}.tape"


class TapeFiles:
    """Segments stay open while this object is referred to; all methods may be called from any thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._count = 0
        self._files: dict[int, int] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._files)

    def count(self) -> int:
        """How many segments there are, without a gap, from the first on."""
        while self._count < SEGMENTS_MAX and (self.directory / segment_name(self._count)).exists():
            self._count += 1
        return self._count

    def size(self, segment: int) -> int:
        return os.fstat(self._file(segment)).st_size

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """Raises `OSError`, `EOFError` if the segment ends before."""
        data = os.pread(self._file(segment), length, offset)
        if len(data) != length:
            raise EOFError(f"{segment_name(segment)} ends at byte {offset + len(data)}")
        return data

    def mapped(self, segment: int) -> memoryview:
        """The segment as it is now, read-only."""
        file = self._file(segment)
        if not os.fstat(file).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file, 0, prot=mmap.PROT_READ))

    def warm(self, segment: int, offset: int) -> None:
        """Read from `offset` to the end into the page cache.

        A fault in a mapping stops all threads of Python until the disk has answered; a read stops only its own.
        """
        block = bytearray(_WARM_BLOCK_BYTES)
        while got := os.preadv(self._file(segment), [block], offset):
            offset += got

    def _file(self, segment: int) -> int:
        with self._lock:
            if segment not in self._files:
                path = self.directory / segment_name(segment)
                self._files[segment] = _open(path)
            return self._files[segment]


def _open(path: Path) -> int:
    """A file to read. Raises `OSError`, also for what is no file: opening a pipe would wait for its writer."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a file", str(path))
    return file


def _close_all(files: dict[int, int]) -> None:
    for file in files.values():
        os.close(file)
