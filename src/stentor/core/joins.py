"""How many listeners come a second, from the counters of workers that come and go."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from stentor.model.board import Edge

WINDOW_MS = 10_000
STEP_MS = 1_000  # workers write once a second: looking oftener shows nothing new
SILENT_MS = 5_000  # with no look for so long, nothing is known of the present
WORKERS_MAX = 1_024


class Joins:
    """Fed about once a second. A worker that is new since the last look counts from zero, a late value not at all."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}  # by pid: a worker that is started anew has another
        self._points: deque[tuple[int, int]] = deque(maxlen=WINDOW_MS // STEP_MS + 1)
        self._total = 0

    def due(self, now_ms: int) -> bool:
        return not self._points or now_ms - self._points[-1][0] >= STEP_MS

    def receive(self, edges: Sequence[Edge], now_ms: int) -> None:
        first = not self._points
        for edge in edges:
            before = self._counts.pop(edge.pid, edge.joins if first else 0)
            self._total += max(0, edge.joins - before)
            self._counts[edge.pid] = max(edge.joins, before)
        while len(self._counts) > WORKERS_MAX:
            del self._counts[next(iter(self._counts))]
        self._points.append((now_ms, self._total))

    def hz(self, now_ms: int) -> float | None:
        """Joins a second over the last ten; None while that is not known."""
        points = [point for point in self._points if now_ms - WINDOW_MS - STEP_MS < point[0]]
        if len(points) < 2 or now_ms - points[-1][0] > SILENT_MS:
            return None
        (first_ms, first), (last_ms, last) = points[0], points[-1]
        return round((last - first) * 1000 / max(1, last_ms - first_ms), 1)
