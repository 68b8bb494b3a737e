"""Counters of workers that come, go and start again, added up to what has happened.

A worker is heard of when its value changes; how long ago that was is told by the reader's own clock, so that a worker
whose clock is off counts as much as any other.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    """`receive` everything that stands on the board; `level` is the sum over those who are there.

    A worker is known by its pid: in a reload the old one and the new one write under one name for a moment, and then
    the old one has another.
    """

    def __init__(self) -> None:
        self._heard: dict[int, _Heard] = {}  # by pid, whoever was there last comes last
        self._begun = False
        self.level = 0
        self.workers = 0

    @property
    def known(self) -> int:
        """Workers that would not count anew if they came back."""
        return len(self._heard)

    def receive(self, values: dict[str, Said], now_ms: int) -> int:
        """-> by how much all totals have grown. What was counted before the first call does not count."""
        there = _newest(list(values.values())[:WORKERS_MAX])
        grown = sum(self._hear(said, now_ms) for said in there)
        while len(self._heard) > WORKERS_MAX:
            del self._heard[next(iter(self._heard))]
        ages = [(now_ms - self._heard[said.pid].now_ms, said.level) for said in there]
        self.level = sum(level for age_ms, level in ages if age_ms < KEPT_MS)
        self.workers, self._begun = sum(age_ms < STALE_MS for age_ms, _ in ages), True
        return grown

    def _hear(self, said: Said, now_ms: int) -> int:
        heard = self._heard.pop(said.pid, None)
        if heard is not None and said.at_ms == heard.said.at_ms:
            self._heard[said.pid] = heard
            return 0
        self._heard[said.pid] = _Heard(said, now_ms)
        return self._grown(heard, said)

    def _grown(self, heard: _Heard | None, said: Said) -> int:
        if heard is None:
            return said.total if self._begun else 0
        return said.total - heard.said.total if said.total >= heard.said.total else said.total


def _newest(values: Iterable[Said]) -> list[Said]:
    """One value of each worker: what it said last."""
    newest: dict[int, Said] = {}
    for said in values:
        if said.pid not in newest or said.at_ms > newest[said.pid].at_ms:
            newest[said.pid] = said
    return list(newest.values())
