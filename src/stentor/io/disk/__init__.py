"""The tape's files: records are appended and synced by a thread of its own, so that live never waits for a disk.

A failing disk is met with patience: what could not be written stays in memory, in order and within a bound, and goes
into a new segment as soon as one can be opened. A file is never truncated, and never written to again after a failure.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

RETRY_S = 1.0
BATCH_RECORDS_MAX = 64  # so many may stand in two segments after a failed sync: core/tape.py looks back as far


class Pending(NamedTuple):
    """A record that is not on disk yet. `before` is the chain that it goes on from."""

    before: bytes
    record: bytes
    n: int


@dataclass(slots=True)
class State:
    """What the thread did last; read by others without a lock, each field by itself."""

    durable_n: int = 0
    pending_bytes: int = 0
    problem: str = ""
    segments: list[str] = field(default_factory=list)


def segment_name(index: int) -> str:
    return f"{index:04d}.tape"


def segments(directory: Path) -> list[Path]:
    """The segments of a tape, in order."""
    return sorted(directory.glob("[0-9][0-9][0-9][0-9].tape"))


def _write_all(file: int, data: bytes) -> None:
    """Write and sync; a disk that takes only a part of a write is asked again, and says then why."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.fdatasync(file)


class TapeDisk:
    """Appends records to segments in `directory`.

    `open_segment(chain)` gives (index, first record) of the next segment. It is called on the disk's thread.
    """

    def __init__(
        self, directory: Path, open_segment: Callable[[bytes], tuple[int, bytes]], *, memory_bytes_max: int
    ) -> None:
        self.state = State()
        self._directory = directory
        self._open_segment = open_segment
        self._memory_bytes_max = memory_bytes_max
        self._pending: deque[Pending] = deque()
        self._wanted = threading.Condition()
        self._closing = False
        self._file: int | None = None
        self._spare: tuple[bytes, int, bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="tape-disk", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """Whether there is memory for another record while the disk fails. Ask before a record is made: once made, it
        is a link of the chain and must be appended."""
        return self.state.pending_bytes < self._memory_bytes_max

    def append(self, pending: Pending) -> None:
        """Queue a record."""
        with self._wanted:
            self._pending.append(pending)
            self.state.pending_bytes += len(pending.record)
            self._wanted.notify()

    def close(self, timeout_s: float) -> bool:
        """Wait until all is on disk, or `timeout_s`; -> whether it is."""
        with self._wanted:
            self._closing = True
            self._wanted.notify()
        self._thread.join(timeout_s)
        return not self._pending

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            try:
                self._write(batch)
            except OSError as error:
                self._fail(error)
        self._drop_file()

    def _take(self) -> list[Pending] | None:
        with self._wanted:
            while not self._pending:
                if self._closing:
                    return None
                self._wanted.wait()
            return list(islice(self._pending, BATCH_RECORDS_MAX))

    def _write(self, batch: list[Pending]) -> None:
        """Write and sync a batch, then forget it. One sync serves all that came while the last one ran."""
        if self._file is None:
            self._open(batch[0].before)
        assert self._file is not None
        _write_all(self._file, b"".join(pending.record for pending in batch))
        with self._wanted:
            for pending in batch:
                self._pending.popleft()
                self.state.pending_bytes -= len(pending.record)
        self.state.durable_n = max(self.state.durable_n, batch[-1].n)
        self.state.problem = ""

    def _open(self, chain: bytes) -> None:
        """Open the next segment. One that could not be written is tried again under its name, after its remains."""
        if self._spare is None or self._spare[0] != chain:
            self._spare = (chain, *self._open_segment(chain))
        _, index, record = self._spare
        self._directory.mkdir(parents=True, exist_ok=True)
        scratch = self._directory / f".{segment_name(index)}.new"
        self._file = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        _write_all(self._file, record)
        final = self._directory / segment_name(index)
        if final.exists():
            raise FileExistsError(f"{final} stands where a new segment belongs")
        scratch.rename(final)
        self._sync_directory()
        self._spare = None
        self.state.segments.append(final.name)

    def _sync_directory(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _fail(self, error: OSError) -> None:
        """Say why, leave the file as it is, and wait a little before the next try."""
        self.state.problem = f"{error.strerror or error}: {len(self._pending)} records wait in memory"
        self._drop_file()
        time.sleep(RETRY_S / 4 if self._closing else RETRY_S)

    def _drop_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
