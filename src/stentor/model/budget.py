"""So much in so long, and no more: what bounds that which costs, however many ask for it. No clock."""

from __future__ import annotations


class Budget:
    """`amount` in each `span_s`. What is taken comes back evenly; times are seconds of a clock that never steps."""

    def __init__(self, amount: float, span_s: float) -> None:
        self._amount = amount
        self._per_s = amount / span_s
        self._taken = 0.0
        self._looked_s = 0.0

    def take(self, cost: float, now: float) -> bool:
        """Whether `cost` can be spent now; if so, it is."""
        self._taken = max(0.0, self._taken - (now - self._looked_s) * self._per_s)
        self._looked_s = now
        if self._taken + cost > self._amount:
            return False
        self._taken += cost
        return True
