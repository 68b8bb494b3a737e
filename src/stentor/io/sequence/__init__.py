"""Numbers that are never given out twice, by any process of this installation, before or after a restart.

A file counts the blocks taken so far, and a process takes whole blocks: what is left of one when it ends is not used.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

BLOCK = 4_096
BLOCKS_MAX = 2**32 // BLOCK  # a number has 32 bits in a ticket
_COUNT = struct.Struct(">Q")


class SequenceError(ValueError):
    """All numbers are given out, or the file does not hold a count."""


class Sequence:
    """`next()` gives numbers from 1 on. The file is touched once in `BLOCK` numbers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = self._stop = 0

    def next(self) -> int:
        """Raises `SequenceError`, `OSError`."""
        if self._next == self._stop:
            block = self._take_block()
            self._next, self._stop = max(1, block * BLOCK), (block + 1) * BLOCK
        number, self._next = self._next, self._next + 1
        return number

    def _take_block(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            found = os.pread(file, _COUNT.size, 0)
            if len(found) not in (0, _COUNT.size):
                raise SequenceError(f"{self._path} holds no count")
            block = _COUNT.unpack(found)[0] if found else 0
            if block >= BLOCKS_MAX:
                raise SequenceError(f"{self._path}: all numbers are given out")
            os.pwrite(file, _COUNT.pack(block + 1), 0)
            os.fdatasync(file)
            return int(block)
        finally:
            os.close(file)
