"""Hold: what fills the program when the stage gives none, and who writes it when.

The deadline rule keeps all writers of one machine in step without a word between them: until `hold_grace` after a chunk
was due only the studio writes it; then the usher writes hold in its place; after `edge_grace` every edge airs the same
bytes by itself, and the studio, however late, airs hold for that chunk too. For a studio that is known to be
dead nobody waits: its grace is 0. All clocks are CLOCK_MONOTONIC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stentor.formats.chunks import HOLD_PERIOD_SAMPLES
from stentor.model.grid import FIRST_N, SAMPLE_RATE, Grid

LOOP_SAMPLES = 8 * HOLD_PERIOD_SAMPLES  # 7.68 s: whole frames of every codec
PEAK = 0.03  # -30 dBFS: there to be noticed when listened for, and no shock when cut
_CHORD_HZ = (146.8, 220.0, 293.7, 370.0)
_SWELLS = (1, 2, 1, 3)  # a loop, a voice
EDGE_MARGIN_NS = 50_000_000


def loop() -> npt.NDArray[np.float32]:
    """One period of the hold tone, float32 mono at 48 kHz: a soft chord whose voices swell in turn.

    Every partial has a whole number of cycles in the loop, so that it repeats without a seam.
    """
    turn = 2 * np.pi * np.arange(LOOP_SAMPLES) / LOOP_SAMPLES
    tone = np.zeros(LOOP_SAMPLES)
    for index, (hertz, swells) in enumerate(zip(_CHORD_HZ, _SWELLS, strict=True)):
        cycles = round(hertz * LOOP_SAMPLES / SAMPLE_RATE)
        swell = 0.55 - 0.45 * np.cos(swells * turn + index * np.pi / 2)
        tone += swell * np.sin(cycles * turn) / (1 + index)
    return np.asarray(PEAK * tone / np.abs(tone).max(), np.float32)


def slice_at(tone: npt.NDArray[np.float32], position: int, samples: int) -> npt.NDArray[np.float32]:
    """`samples` of the endless repetition of `tone` from show time `position` on."""
    return tone[np.arange(position, position + samples) % len(tone)]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """When a chunk that has not come is hold. Graces count from when the chunk was due."""

    grid: Grid
    hold_grace_ns: int
    edge_grace_ns: int

    def usher_at(self, n: int) -> int:
        """From then on the usher writes hold for chunk `n`."""
        return self.grid.start_ns(n + 1) + self.hold_grace_ns

    def edge_at(self, n: int) -> int:
        """From then on an edge airs hold for chunk `n` by itself."""
        return self.grid.start_ns(n + 1) + self.edge_grace_ns

    def studio_must_hold(self, n: int, now_ns: int) -> bool:
        """Whether it is too late to air anything but hold as chunk `n`: edges may be doing so."""
        return now_ns >= self.edge_at(n) - EDGE_MARGIN_NS


@dataclass(slots=True)
class HoldWatch:
    """Which chunks the usher has to fill. `slots`: how many chunks the ring keeps."""

    deadlines: Deadlines
    slots: int

    def tick(self, heads: tuple[int, ...], end_n: int, now_ns: int) -> list[tuple[int, int]]:
        """-> (rendition id, n) to fill with hold now, in order of n. `end_n` 0: the show has no end yet."""
        due = []
        newest = self._newest_due(now_ns)
        last = min(newest, end_n - 1) if end_n else newest
        for rendition_id, head in enumerate(heads):
            first = max(head + 1, last - self.slots + 2, FIRST_N)
            due += [(n, rendition_id) for n in range(first, last + 1)]
        return [(rendition_id, n) for n, rendition_id in sorted(due)]

    def _newest_due(self, now_ns: int) -> int:
        """The highest n with `usher_at(n) <= now_ns`."""
        n = self.deadlines.grid.n_at(now_ns - self.deadlines.hold_grace_ns) - 1
        return n + 1 if self.deadlines.usher_at(n + 1) <= now_ns else n

    def next_look(self, heads: tuple[int, ...], now_ns: int) -> int | None:
        """When the next chunk is due, or its grace is over; None if both are past."""
        n = max(FIRST_N, min(heads) + 1)
        moments = (self.deadlines.grid.start_ns(n + 1), self.deadlines.usher_at(n))
        return min((moment for moment in moments if moment > now_ns), default=None)
