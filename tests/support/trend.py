"""Whether what was measured over a long time grew: a straight line through samples that a few bad ones do not bend."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

_Z = 1.96  # 95 %


class Trend(NamedTuple):
    """Growth in units an hour: the most likely, and the ends of its 95 % interval."""

    per_h: float
    low: float
    high: float

    def report(self) -> dict[str, float | None]:
        """None: not known."""
        return {name: round(value, 2) if math.isfinite(value) else None for name, value in self._asdict().items()}


class Ends(NamedTuple):
    """What stood in the first and in the last part of a run."""

    first: float
    last: float

    @property
    def grown(self) -> float:
        return self.last - self.first


def trend(at_s: Sequence[float], values: Sequence[float]) -> Trend:
    """Theil and Sen: the median of the slopes between all pairs of samples; the interval by Kendall's variance
    (Sen 1968, section 3). With fewer than three samples nothing is known."""
    points = list(zip(at_s, values, strict=True))
    slopes = sorted(3600 * (w - v) / (t - s) for (s, v), (t, w) in combinations(points, 2) if t > s)
    if len(points) < 3 or not slopes:
        return Trend(0.0, -math.inf, math.inf)
    count = len(points)
    spread = _Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, round((len(slopes) - spread) / 2))
    high = min(len(slopes) - 1, round((len(slopes) + spread) / 2))
    return Trend(median(slopes), slopes[low], slopes[high])


def ends(values: Sequence[float], part: float, by: Callable[[Sequence[float]], float] = median) -> Ends:
    """The medians (or what `by` says) of the first and the last `part` (0 to 0.5) of the samples, of one at least."""
    count = max(1, int(len(values) * part))
    return Ends(by(values[:count]), by(values[-count:]))
