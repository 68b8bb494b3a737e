"""Whether what is shut out still comes: rules that stop nobody any more are for nothing. No clock."""

from __future__ import annotations

SPAN_MS = 10_000
SHARE = 0.1  # of the most that came in a span
FORGET_MS = 60_000  # after so long without much of it


class Pressure:
    """`receive` how many packets and connections were refused in all; it counts what came in each span of time."""

    def __init__(self) -> None:
        self._total: int | None = None
        self._most = self._due_ms = 0
        self.last_ms = 0  # when much of it came last

    def receive(self, refused: int, now_ms: int) -> None:
        """A total that falls is of workers that were started anew."""
        if now_ms < self._due_ms:
            return
        before = refused if self._total is None else self._total
        came, self._total, self._due_ms = max(0, refused - before), refused, now_ms + SPAN_MS
        if now_ms - self.last_ms >= FORGET_MS:
            self._most = 0  # what comes from now on is of something else
        self._most = max(self._most, came)
        if came > SHARE * self._most:
            self.last_ms = now_ms
