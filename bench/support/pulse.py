"""Chunks at real time: what a studio would publish, made beforehand from noise by the real encoders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache

import numpy as np

from stentor.core import hold
from stentor.formats.chunks import Hold
from stentor.io.codec import make_holds
from stentor.model.grid import FIRST_N, Grid
from stentor.model.rendition import OPUS, RENDITIONS
from support.processes import BenchError

QUIET_SHARE = 0.12  # of a chunk, before the next one: by then a chunk should have reached everybody
Chunks = dict[int, bytes]  # by rendition id


@cache
def _sound() -> dict[int, Hold]:
    noise = np.random.default_rng(1).standard_normal(hold.LOOP_SAMPLES).astype(np.float32) / 10
    return make_holds(noise)


def chunks(grid: Grid, n: int) -> Chunks:
    """Chunk `n` of every rendition."""
    return {rendition.id: _sound()[rendition.id].chunk(grid, n) for rendition in RENDITIONS}


def opus_bytes(grid: Grid, first: int, last: int) -> int:
    """Bytes of the chunks `first` to `last` of the Opus rendition."""
    return sum(len(_sound()[OPUS.id].chunk(grid, n)) for n in range(first, last + 1))


def new_grid(chunk_samples: int) -> Grid:
    """A grid that begins now."""
    _sound()
    return Grid(time.time_ns(), time.monotonic_ns(), chunk_samples)


class Pulse:
    """Calls `publish(n, chunks)` from a thread when chunk n is due; to be used in a `with`."""

    def __init__(self, grid: Grid, publish: Callable[[int, Chunks], None]) -> None:
        self.grid = grid
        self._publish = publish
        self._n = max(FIRST_N, grid.n_at(time.monotonic_ns()))
        self._stop = threading.Event()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                made = chunks(self.grid, self._n)
                if self._stop.wait(max(0.0, self._due_s(self._n) - time.monotonic())):
                    return
                self._publish(self._n, made)
                self._n += 1
        except Exception as error:
            self._fault = error

    def _due_s(self, n: int) -> float:
        return self.grid.start_ns(n + 1) / 1e9

    def quiet(self, chunks_more: int = 0) -> int:
        """Wait until shortly before the next chunk but `chunks_more`; -> the last chunk published."""
        n = self._n + chunks_more
        self._sleep_until(self._due_s(n) - QUIET_SHARE * self.grid.chunk_s)
        if self._n != n:
            raise BenchError(f"chunk {n} was not the next one when it should be: {self._n}")
        return n - 1

    def just_after(self, share: float) -> None:
        """Wait until `share` of a chunk after the next one has gone out."""
        self._sleep_until(self._due_s(self._n) + share * self.grid.chunk_s)

    def _sleep_until(self, at_s: float) -> None:
        time.sleep(max(0.0, at_s - time.monotonic()))
        if self._fault is not None:
            raise BenchError("the chunks stopped") from self._fault
