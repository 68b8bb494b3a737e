"""How fast one link may give orders: a token bucket each, so that none fills the records or keeps the disk busy."""

from __future__ import annotations

BURST = 20  # orders at once: a crew that opens a show is quick
PER_S = 2.0  # in the long run
LINKS_MAX = 2_048


class Pace:
    """Buckets by key, full at first. `now` is in seconds of any clock that does not go back."""

    def __init__(self, burst: int = BURST, per_s: float = PER_S, links_max: int = LINKS_MAX) -> None:
        self._burst = burst
        self._per_s = per_s
        self._links_max = links_max
        self._buckets: dict[str, tuple[float, float]] = {}  # key: what it held, when

    def take(self, key: str, now: float) -> float:
        """Let one order through: 0.0; or seconds to wait until the next may come."""
        held = self._held(key, now)
        if held < 1.0:
            return (1.0 - held) / self._per_s
        if key not in self._buckets and len(self._buckets) >= self._links_max:
            self._forget(now)
        self._buckets[key] = (held - 1.0, now)
        return 0.0

    def _held(self, key: str, now: float) -> float:
        held, at = self._buckets.get(key, (float(self._burst), now))
        return min(float(self._burst), held + (now - at) * self._per_s)

    def _forget(self, now: float) -> None:
        """Drop buckets that are full again, as if they had never been; if none is, the one used longest ago."""
        full = [key for key in self._buckets if self._held(key, now) >= self._burst]
        for key in full or [min(self._buckets, key=lambda key: self._buckets[key][1])]:
            del self._buckets[key]
