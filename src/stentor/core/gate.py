"""The gate of one show, as one worker of the door keeps it by the `Line` that the usher publishes. No clock.

    FREE       in at once, `at_once` of them to each value; who was called comes in besides
    GATHERING  places only
    QUEUE      in with a rank up to the mark
    CLOSED     only who was called before; nobody else gets a place

A `Line` that stands still for `STALE_S` leaves its mark standing, what is left of its `at_once`, and its gate, but that
a free one becomes a queue. A show of which there never was a `Line` is free without limit: a small installation works
without its usher.
"""

from __future__ import annotations

from stentor.model.board import Gate, Line

STALE_S = 5.0
NO_RANK = 1 << 53  # behind every place


class GateKeeper:
    """Of one show. Times are seconds of a clock that never steps."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self._fresh_until = 0.0
        self._left = 0  # of `at_once`

    def receive(self, line: Line, age_s: float, now: float) -> None:
        """The value on the board. How old it says it is (`age_s`, by another clock) counts only for the first."""
        if self.line is not None and line.at_ms == self.line.at_ms:
            return
        stale = self.line is None and age_s > STALE_S
        self.line, self._left = line, line.at_once
        self._fresh_until = now if stale else now + STALE_S

    def is_fresh(self, now: float) -> bool:
        return now < self._fresh_until

    def gate(self, now: float) -> Gate:
        """By which those who come now are treated."""
        if self.line is None:
            return Gate.FREE
        return Gate.QUEUE if self.line.gate is Gate.FREE and not self.is_fresh(now) else self.line.gate

    def is_called(self, rank: int) -> bool:
        """Whether the usher keeps a seat for somebody of this rank."""
        return self.line is not None and rank <= self.line.mark

    def may_enter(self, rank: int) -> bool:
        """Whether somebody of this rank would be let in now; `NO_RANK` for who has none."""
        return self.line is None or self.is_called(rank) or (self.line.gate is Gate.FREE and self._left > 0)

    def enter(self, rank: int) -> bool:
        """The same, and takes what is to be taken for it."""
        may = self.may_enter(rank)
        if may and not self.is_called(rank):
            self._left -= 1
        return may
