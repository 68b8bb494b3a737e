"""Millions of numbers in order, growing: how many are at most so much, which is the k-th, all of them in parts.

Sorted runs of bounded length instead of one array: what is added is sorted and merged only with runs of its own size,
so no step costs more than a few milliseconds, however many there are. 8 bytes a number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

RUN_MIN, RUN_MAX = 2**12, 2**18
WAYS = 64  # of a search: values looked at together
TOP = 2**64 - 1

Values = npt.NDArray[np.uint64]


class Order:
    """Numbers 0..2**64-1; the same may come several times."""

    def __init__(self) -> None:
        self.total = 0
        self._runs: list[Values] = []

    def add(self, values: Values) -> None:
        if not len(values):
            return
        self.total += len(values)
        self._runs.append(np.sort(values))
        while self._may_merge():
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))

    def _may_merge(self) -> bool:
        if len(self._runs) < 2:
            return False
        before, last = len(self._runs[-2]), len(self._runs[-1])
        return before + last <= (RUN_MAX if before <= last else RUN_MIN)

    def up_to(self, value: int) -> int:
        """How many are at most `value`."""
        wanted = np.uint64(value)
        return sum(int(run.searchsorted(wanted, "right")) for run in self._runs)

    def up_to_each(self, values: Sequence[int]) -> list[int]:
        wanted, counts = np.array(values, np.uint64), np.zeros(len(values), np.int64)
        for run in self._runs:
            counts += run.searchsorted(wanted, "right")
        return list(map(int, counts))

    def at(self, k: int) -> int:
        """The k-th smallest, 1 <= k <= total."""
        assert 1 <= k <= self.total, (k, self.total)
        low, high = 0, max(int(run[-1]) for run in self._runs)
        while low < high:
            probes = [low + (high - low) * way // WAYS for way in range(WAYS)]
            enough = next((i for i, count in enumerate(self.up_to_each(probes)) if count >= k), WAYS)
            low, high = probes[enough - 1] + 1 if enough else low, probes[enough] if enough < WAYS else high
        return low

    def between(self, above: int, up_to: int) -> Values:
        """All of `above` < value <= `up_to`, sorted, each value once."""
        span = np.array([above, up_to], np.uint64)
        cuts = [(run, run.searchsorted(span, "right")) for run in self._runs]
        return np.unique(np.concatenate([np.zeros(0, np.uint64), *(run[a:b] for run, (a, b) in cuts)]))

    def points(self, above: int, count: int) -> tuple[tuple[int, int], ...]:
        """(value, how many are at most that), ascending: `above`, the greatest, and up to `count` - 2 between them."""
        first = self.up_to(above)
        if first == self.total:
            return ((above, first),)
        picked = self._spread(above, count - 2)
        return tuple(zip((above, *picked), (first, *self.up_to_each(picked)), strict=True))

    def _spread(self, above: int, count: int) -> list[int]:
        """About `count` values beyond `above` with equally many between each two, and the greatest of all."""
        tails = [run[run.searchsorted(np.uint64(above), "right") :] for run in self._runs]
        stride = max(1, sum(map(len, tails)) // (count * len(tails) * 4))
        sample = np.unique(np.concatenate([tail[::stride] for tail in tails]))
        where = np.linspace(0, len(sample) - 1, min(count, len(sample))).astype(np.int64)
        greatest = max(int(tail[-1]) for tail in tails if len(tail))
        return sorted({*map(int, sample[where]), greatest})
