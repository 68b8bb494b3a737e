"""Encoder frames in, chunks out: cuts one rendition's frames at the chunk grid."""

from __future__ import annotations

from typing import NamedTuple

from stentor.formats import chunks
from stentor.model.grid import FIRST_N, Grid
from stentor.model.rendition import Rendition


class Chunk(NamedTuple):
    n: int
    data: bytes


class Chunker:
    """Takes the frames of one encoder in order.

    The first of them has index `first_frame` in the grid: the encoder's input began at sample `first_frame *
    frame_samples` of show time. A chunk that cannot be filled from its first frame on is not made.
    """

    def __init__(self, rendition: Rendition, grid: Grid, first_frame: int) -> None:
        self.rendition = rendition
        self._grid = grid
        self._index = first_frame
        self._frames: list[bytes] = []
        self.n = max(FIRST_N, first_frame * rendition.frame_samples // grid.chunk_samples - 1)
        while grid.first_frame(rendition, self.n) < first_frame:
            self.n += 1
        self._start = grid.first_frame(rendition, self.n)
        self._stop = grid.first_frame(rendition, self.n + 1)

    def receive(self, frame: bytes) -> Chunk | None:
        """Take the next frame; -> the chunk that it completes, if it does."""
        if self._index >= self._start:
            self._frames.append(frame)
        self._index += 1
        if self._index < self._stop:
            return None
        done = Chunk(self.n, chunks.build(self.rendition, self._grid, self.n, self._frames))
        self.n, self._start, self._frames = self.n + 1, self._stop, []
        self._stop = self._grid.first_frame(self.rendition, self.n + 1)
        return done
