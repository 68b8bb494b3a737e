"""From which addresses many of the listeners of the last five minutes came. Bounded; no clock."""

from __future__ import annotations

from collections import Counter, deque

from stentor.formats.evidence import Batch

SPAN_MS, SPANS = 60_000, 5
SOURCES_MAX = 65_536  # in a span; of more, those that come later are not counted
SHARE, LISTENERS_MIN = 0.001, 4  # of all listeners; below so many it is nobody's place
LOOK_MS = 1_000


class Gathered:
    """`places`: the sources that more than a thousandth of all listeners came from, and more than a few."""

    def __init__(self) -> None:
        self.places: frozenset[bytes] = frozenset()
        self._spans: deque[Counter[bytes]] = deque([Counter()], SPANS)
        self._span_ms = self._looked_ms = 0

    def receive(self, batch: Batch) -> None:
        """What a worker saw; of interest are the sessions in which somebody heard something."""
        span, records = self._spans[-1], batch.records
        for record in records[records["completed"] > 0]:
            key = record["key"].tobytes()
            if key in span or len(span) < SOURCES_MAX:
                span[key] += int(record["completed"])

    def tick(self, now_ms: int) -> None:
        if now_ms - self._span_ms >= SPAN_MS:
            self._span_ms = now_ms
            self._spans.append(Counter())
        if now_ms - self._looked_ms >= LOOK_MS:
            self._looked_ms = now_ms
            self.places = self._look()

    def _look(self) -> frozenset[bytes]:
        total = sum(span.total() for span in self._spans)
        least = max(LISTENERS_MIN, SHARE * total)
        # Whoever has so many in all has a fifth of them in one span at least.
        likely = {key for span in self._spans for key, count in span.items() if count * SPANS > least}
        return frozenset(key for key in likely if sum(span[key] for span in self._spans) > least)
