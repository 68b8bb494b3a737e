"""Counters of workers that come, go and start again, added up to what has happened.

A worker is heard of when its value changes; how long ago that was is told by the reader's own clock, so that a worker
whose clock is off counts as much as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

STALE_MS = 5_000  # a worker that has not written for so long is not there
KEPT_MS = 30_000  # but it may be that it only cannot write: so long its level counts
WORKERS_MAX = 1_024


class Said(NamedTuple):
    """A worker's value: `at_ms` and `pid` are its own, `total` has grown since it started, `level` is as of now."""

    at_ms: int
    pid: int
    total: int
    level: int = 0


@dataclass(slots=True)
class _Heard:
    said: Said
    now_ms: int


class Tally:
    """`receive` everything that stands on the board; `level` is the sum over those who are there."""

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}
        self._begun = False
        self.level = 0
        self.workers = 0

    def receive(self, values: dict[str, Said], now_ms: int) -> int:
        """-> by how much all totals have grown. What was counted before the first call does not count."""
        grown = 0
        for key, said in list(values.items())[:WORKERS_MAX]:
            heard = self._heard.get(key)
            if heard is None or said.at_ms != heard.said.at_ms or said.pid != heard.said.pid:
                grown += self._grown(heard, said)
                self._heard[key] = _Heard(said, now_ms)
        self._heard = {key: heard for key, heard in self._heard.items() if key in values}
        ages = [(now_ms - heard.now_ms, heard.said.level) for heard in self._heard.values()]
        self.level = sum(level for age_ms, level in ages if age_ms < KEPT_MS)
        self.workers, self._begun = sum(age_ms < STALE_MS for age_ms, _ in ages), True
        return grown

    def _grown(self, heard: _Heard | None, said: Said) -> int:
        if heard is None:
            return said.total if self._begun else 0
        same = heard.said.pid == said.pid and said.total >= heard.said.total
        return said.total - heard.said.total if same else said.total
