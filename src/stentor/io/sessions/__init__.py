"""Which process of this machine a ticket plays at: a table in shared memory, a slot a seq, the newest word wins.

A slot (u32, 0: never touched) holds the pid of the process that took the seq last, or `SEEN`, and above it how often
seqs have gone round the table before: so it names its seq exactly. When as many tickets as the table has slots have
been given since, a slot is another seq's, and the one before it is forgotten.

Nothing is locked. Of two processes that take a seq in the same instant, one wins; the other finds out at its next look.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

_SLOT_BITS = 22
SLOTS = 1 << _SLOT_BITS  # 16 MiB, of which only pages that are used take memory
_SLOT = SLOTS - 1
PID_BITS = 22  # Linux gives no higher pids
SEEN = 1  # in the place of a pid: nobody plays by it. (Pid 1 is no edge: `serve`, or what a container begins with.)
_PID = (1 << PID_BITS) - 1
_SLOT_BYTES = 4
_PAGE_SLOTS = mmap.PAGESIZE // _SLOT_BYTES


class SessionsError(ValueError):
    """The file is not a table of sessions."""


class Sessions:
    """The table at `path`, made on first use, as process `pid`. Raises `SessionsError`, `OSError`."""

    def __init__(self, path: Path, pid: int | None = None) -> None:
        self._pid = (os.getpid() if pid is None else pid) & _PID
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(self._file).st_size not in (0, SLOTS * _SLOT_BYTES):
                raise SessionsError(f"{path} is not a table of sessions")
            os.ftruncate(self._file, SLOTS * _SLOT_BYTES)
            self._map = mmap.mmap(self._file, SLOTS * _SLOT_BYTES)
        except (OSError, SessionsError):
            os.close(self._file)
            raise
        self._slots = memoryview(self._map).cast("I")
        self._row: npt.NDArray[np.uint32] = np.frombuffer(self._map, np.uint32)
        self._backed = bytearray(SLOTS // _PAGE_SLOTS)  # pages that have memory, as far as this process knows

    def take(self, seq: int) -> int:
        """`seq` plays here from now on; -> the pid where it did before, `SEEN`, or 0 if it was never heard of.

        Raises `OSError` if there is no memory for it; then nothing has changed.
        """
        rounds, slot = seq >> _SLOT_BITS, seq & _SLOT
        if not self._backed[slot // _PAGE_SLOTS]:
            self._back(slot // _PAGE_SLOTS)
        found = self._slots[slot]
        self._slots[slot] = rounds << PID_BITS | self._pid
        return found & _PID if found >> PID_BITS == rounds else 0

    def see(self, seq: int) -> bool:
        """Note that `seq` was here, without taking it; -> whether this is the first time. Raises as `take`."""
        rounds, slot = seq >> _SLOT_BITS, seq & _SLOT
        if not self._backed[slot // _PAGE_SLOTS]:
            self._back(slot // _PAGE_SLOTS)
        found = self._slots[slot]
        if found & _PID and found >> PID_BITS == rounds:
            return False
        self._slots[slot] = rounds << PID_BITS | SEEN
        return True

    def _back(self, page: int) -> None:
        """A page gets memory before it is touched: where there is none left, to touch it is the end of the process
        (SIGBUS)."""
        os.posix_fallocate(self._file, page * mmap.PAGESIZE, mmap.PAGESIZE)
        self._backed[page] = 1

    def elsewhere(self, seqs: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of these, all once taken here, play at another process by now."""
        found = self._row[seqs % SLOTS]
        pids = found & _PID
        return (found >> PID_BITS == seqs // SLOTS) & (pids != self._pid) & (pids > SEEN)

    def close(self) -> None:
        """The table may not be used any more. Its memory is given back with the last reference to it."""
        self._slots.release()
        os.close(self._file)
