"""The chunk grid: which encoder frames make chunk *n* of a rendition, and when.

Show time is counted in samples at 48 kHz from `t0`, the instant at which the grid of a show was laid.
Chunk *n* covers `[n * chunk_samples, (n + 1) * chunk_samples)` in every rendition, to the nearest frame. Chunk 0 is
never aired: frame 0 of an encoder holds its priming, and counting from 1 keeps every presentation time positive.
"""

from __future__ import annotations

from dataclasses import dataclass

from stentor.model.rendition import Rendition

SAMPLE_RATE = 48_000
FIRST_N = 1


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of one show. `t0_wall_ns` is Unix time, `t0_mono_ns` CLOCK_MONOTONIC of the machine that laid it."""

    t0_wall_ns: int
    t0_mono_ns: int
    chunk_samples: int

    @property
    def chunk_s(self) -> float:
        return self.chunk_samples / SAMPLE_RATE

    def first_frame(self, rendition: Rendition, n: int) -> int:
        """Index of the first encoder frame of chunk `n`: the one presented nearest to the chunk's start."""
        doubled = 2 * (n * self.chunk_samples + rendition.priming_samples) + rendition.frame_samples
        return doubled // (2 * rendition.frame_samples)

    def frame_count(self, rendition: Rendition, n: int) -> int:
        """How many encoder frames chunk `n` has in this rendition."""
        return self.first_frame(rendition, n + 1) - self.first_frame(rendition, n)

    def presented_at(self, rendition: Rendition, n: int) -> int:
        """Show time in samples at which chunk `n` of this rendition begins to sound: its tfdt."""
        return self.first_frame(rendition, n) * rendition.frame_samples - rendition.priming_samples

    def n_at(self, mono_ns: int) -> int:
        """The chunk being spoken at this instant."""
        return (mono_ns - self.t0_mono_ns) * SAMPLE_RATE // (1_000_000_000 * self.chunk_samples)

    def start_ns(self, n: int) -> int:
        """CLOCK_MONOTONIC at which chunk `n` starts; it is due, whole, at `start_ns(n + 1)`."""
        return self.t0_mono_ns + n * self.chunk_samples * 1_000_000_000 // SAMPLE_RATE

    def wall_ns(self, n: int) -> int:
        """Unix time at which chunk `n` starts, by the clock that was right when the grid was laid."""
        return self.t0_wall_ns + n * self.chunk_samples * 1_000_000_000 // SAMPLE_RATE
