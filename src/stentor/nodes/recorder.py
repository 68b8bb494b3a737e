"""From the ring to the tape: what was aired, in order, once every rendition has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from stentor.core.tape import TapeReader, TapeWriter
from stentor.formats import tapemeta
from stentor.formats.proof import CHECKPOINT_CHUNKS
from stentor.io import disk, keys
from stentor.io.ring import Ring
from stentor.io.tapefile import TapeFiles, segment_name
from stentor.model import board
from stentor.model.grid import SAMPLE_RATE
from stentor.model.rendition import RENDITIONS

log = structlog.get_logger()


class TapeUnusable(ValueError):
    """The tape on disk cannot be gone on with; the reason says where and why."""


def recover(directory: Path) -> TapeReader | None:
    """The tape in `directory` up to its last whole record, or None if there is none. Raises `TapeUnusable`."""
    files = TapeFiles(directory)
    if not files.count():
        return None
    reader = TapeReader(keys.verify, hash_chunks=False)
    for segment in range(files.count()):
        if not reader.receive_segment(files.mapped(segment)):
            break
    if (fault := reader.fault) is not None:
        raise TapeUnusable(f"{segment_name(fault.segment)}, byte {fault.offset}: {fault.reason}")
    return reader


def new_meta(ring: Ring, title: str, first_n: int, key: bytes) -> tapemeta.SegmentMeta:
    grid = ring.grid
    return tapemeta.SegmentMeta(
        tapemeta.VERSION,
        ring.show,
        title,
        0,
        grid.t0_wall_ns,
        grid.chunk_samples,
        SAMPLE_RATE,
        first_n,
        key.hex(),
        tapemeta.rendition_metas(),
    )


class Recorder:
    """The tape of one show. `step` runs on the airing thread, `finish` on another after it: a lock keeps them apart."""

    def __init__(self, ring: Ring, writer: TapeWriter, directory: Path, memory_bytes_max: int) -> None:
        self._ring, self._writer = ring, writer
        self._lock = threading.Lock()
        self._checkpoint = (0, b"")
        self._lost = False  # whether chunks could not be recorded, for want of room
        self._disk = disk.TapeDisk(directory, self._open_segment, memory_bytes_max=memory_bytes_max)

    def _open_segment(self, chain: bytes) -> tuple[int, bytes]:
        index = self._writer.segment
        return index, self._writer.open_segment(chain)

    def step(self) -> None:
        """Record every chunk that all renditions have."""
        with self._lock:
            if self._writer.ended:
                return
            end_n = self._ring.end_n
            last = min(self._ring.heads().whole, end_n - 1 if end_n else 1 << 62)
            self._record_gone(min(last, self._ring.oldest() - 1))
            while self._writer.next_n <= last and self._has_room():
                self._record(self._writer.next_n)

    def _has_room(self) -> bool:
        self._lost = self._lost or not self._disk.has_room
        return self._disk.has_room

    def _record_gone(self, last: int) -> None:
        """Chunks that left the ring before they were recorded: hold, or lost to a disk that failed for too long."""
        if last < self._writer.next_n or not self._disk.has_room:
            return
        what = "lost" if self._lost else "hold"
        self._append(lambda: self._writer.add_event(what, _now_ms(), last=last))
        self._append(lambda: self._writer.add_hold(last))
        self._lost = False

    def _record(self, n: int) -> None:
        found = {rendition.id: self._ring.get(rendition.id, n) for rendition in RENDITIONS}
        by_id = {i: None if chunk is None or chunk.hold else chunk.data for i, chunk in found.items()}
        self._append(lambda: self._writer.add_chunk(by_id))
        if n % CHECKPOINT_CHUNKS == 0:
            self._checkpoint = (n, self._writer.chain)

    def _append(self, make: Callable[[], bytes]) -> None:
        before, n = self._writer.chain, self._writer.next_n
        self._disk.append(disk.Pending(before, make(), n))

    def note(self, what: str, text: str, last: int = 0) -> None:
        with self._lock:
            if not self._writer.ended:
                self._append(lambda: self._writer.add_event(what, _now_ms(), text, last))

    @property
    def complete(self) -> bool:
        """Whether all chunks of the ended show are recorded."""
        return self._writer.ended or 0 < self._ring.end_n <= self._writer.next_n

    def finish(self, signer: keys.Signer, timeout_s: float) -> bool:
        """Write the signed end and wait until all is on disk, or `timeout_s`; -> whether it is."""
        with self._lock:
            if not self._writer.ended:
                self._append(lambda: self._writer.add_end(time.time_ns(), signer.sign))
        return self._disk.close(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Leave the tape without an end: the studio stops, the show does not."""
        self._disk.close(timeout_s)

    def state(self) -> board.Tape:
        disk_state = self._disk.state
        n, chain = self._checkpoint
        return board.Tape(
            first_n=self._writer.meta.first_n,
            next_n=self._writer.next_n,
            chain=chain.hex(),
            chain_n=n,
            durable_n=disk_state.durable_n,
            pending_bytes=disk_state.pending_bytes,
            problem=disk_state.problem,
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
