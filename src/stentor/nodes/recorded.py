"""A recorded show as the archive has it open: its tape, followed as it grows, and what is made of it once it has ended.

All methods read files and may block; they may be called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import structlog

from stentor.core.replay import KINDS, Replay, Source, lay_out
from stentor.core.tape import Finding, TapeReader
from stentor.formats import proof, tapemeta
from stentor.io import keys
from stentor.io.tapefile import TapeFiles
from stentor.model.rendition import Rendition

BLOCK_BYTES = 64 * 1024  # of an answer, read at once
log = structlog.get_logger()


class Recorded:
    """One show. Call `refresh` to see what was recorded since."""

    def __init__(self, directory: Path) -> None:
        self.files = TapeFiles(directory)
        self.reader = TapeReader(keys.verify, hash_chunks=False)
        self._lock = threading.Lock()
        self._fed = 0  # bytes of the last segment that the reader has seen
        self._told: Finding | None = None
        self._replays: dict[str, Replay] = {}

    def refresh(self) -> None:
        """Read what is new on the tape."""
        with self._lock:
            count = self.files.count()  # first: what is in segments before these is then complete
            self._feed_last()
            while self.reader.segments < count and not self.reader.findings:
                self._feed_next()
            self._warn()

    def _warn(self) -> None:
        """Say once what is wrong with the tape."""
        if (fault := self.reader.fault) not in (None, self._told):
            self._told = fault
            log.warning("tape is damaged", directory=str(self.files.directory), **fault._asdict())

    def _feed_last(self) -> None:
        segment = self.reader.segments - 1
        if segment >= 0 and not self.reader.findings and self.files.size(segment) > self._fed:
            self.files.warm(segment, self.reader.resume_at)
            data = self.files.mapped(segment)
            self.reader.receive_more(data)
            self._fed = len(data)

    def _feed_next(self) -> None:
        segment = self.reader.segments
        self.files.warm(segment, 0)
        data = self.files.mapped(segment)
        self.reader.receive_segment(data)
        self._fed = len(data)

    @property
    def meta(self) -> tapemeta.SegmentMeta | None:
        """What the tape says of its show, or None as long as there is no tape."""
        return self.reader.meta

    @property
    def last_n(self) -> int:
        """The newest chunk recorded; below `first_n` if there is none."""
        return self.reader.next_n - 1

    @property
    def ended(self) -> bool:
        return self.reader.end is not None

    def info(self) -> dict[str, str | int | bool]:
        """What there is, for players."""
        meta = self.meta
        assert meta is not None
        return {
            "show": meta.show,
            "title": meta.title,
            "first_n": meta.first_n,
            "last_n": self.last_n,
            "ended": self.ended,
            "chunk_ms": meta.chunk_samples * 1000 // meta.sample_rate,
            "t0_ms": meta.t0_wall_ns // 1_000_000,
        }

    def rendition(self, name: str) -> Rendition | None:
        assert self.meta is not None
        return next((tapemeta.rendition_of(item) for item in self.meta.renditions if item.name == name), None)

    def read_chunk(self, rendition: Rendition, n: int, start: int = 0, stop: int | None = None) -> bytes:
        """Bytes `start`..`stop` of chunk `n` as it was aired. Raises `OSError`, `EOFError`."""
        assert self.meta is not None
        segment, offset, length = self.reader.index.entry(rendition.id, n - self.meta.first_n)
        if not length:
            return self.reader.holds[rendition.id].chunk(self.meta.grid, n)[start:stop]
        stop = length if stop is None else min(stop, length)
        return self.files.read(segment, offset + start, stop - start)

    def replay(self, suffix: str) -> Replay:
        """The layout of a file of the ended show. Raises `BadChunk`, `ValueError`, as `lay_out`."""
        with self._lock:
            if suffix not in self._replays:
                self._replays[suffix] = lay_out(KINDS[suffix], self._source(KINDS[suffix].rendition))
            return self._replays[suffix]

    def _source(self, name: str) -> Source:
        meta, rendition = self.meta, self.rendition(name)
        assert meta is not None and rendition is not None and self.ended
        lengths = np.array(self.reader.index.lengths(rendition.id), np.int64)
        for index in np.nonzero(lengths == 0)[0]:
            lengths[index] = len(self.read_chunk(rendition, meta.first_n + int(index)))
        read = partial(self.read_chunk, rendition)
        return Source(rendition, meta.grid, meta.show, meta.title, meta.first_n, lengths, read)

    def replay_blocks(self, replay: Replay, first: int, last: int) -> Iterator[bytes]:
        """Bytes `first`..`last` of a replay, in blocks."""
        rendition = self.rendition(replay.kind.rendition)
        assert rendition is not None
        return _joined(replay.read(first, last, partial(self.read_chunk, rendition)))

    def segment_blocks(self, segment: int, first: int, last: int) -> Iterator[bytes]:
        """Bytes `first`..`last` of a segment as it stands on disk, in blocks."""
        for at in range(first, last + 1, BLOCK_BYTES):
            yield self.files.read(segment, at, min(BLOCK_BYTES, last + 1 - at))

    def proof(self, name: str) -> proof.Proof:
        """The proof of a rendition of the ended show."""
        reader = self.reader
        assert reader.meta is not None and reader.end is not None
        end, signature = reader.end_body.decode(), reader.end_signature
        return proof.Proof(proof.VERSION, name, reader.meta, end, signature, tuple(reader.checkpoints))


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces joined, large ones cut, to blocks of about `BLOCK_BYTES`."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        for at in range(0, len(piece), BLOCK_BYTES):
            waiting.append(piece[at : at + BLOCK_BYTES])
            size += len(waiting[-1])
            if size >= BLOCK_BYTES:
                yield b"".join(waiting)
                waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
