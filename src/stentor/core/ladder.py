"""The ladder: what is given up, in which order, so that more can listen. No clock, no board.

Latency first, then bitrate, then the number of listeners; what was aired is on tape whatever happens. Up as soon as the
present rung is nearly used up, down only when the rung below would be half empty for a minute, one rung at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

UP_SHARE = 0.70  # of a rung's capacity: there the next one begins
DOWN_SHARE = 0.50  # of the capacity of the rung below: there that one begins again
CALM_S = 60.0  # for so long
STEP_S = 15.0  # between two steps: a switch is announced, carried out and seen before the next
CAP_SHARE = 0.75  # of the last rung's capacity: the number of seats
BUSY_SHARE = 0.5  # of a core that an edge worker's sends may take; the rest is for joins, HLS, and everybody else
CROWDED = 3.0  # as many times what was measured among few a write costs among ten thousand (docs/PERFORMANCE.md)
TLS_WRITE_NS = 8_600  # on top of it, to seal a chunk (the same)
OVERHEAD_BYTES = 220  # of a fragment around its frames
RATES_BPS = (48_000, 48_000, 48_000, 36_000, 24_000)  # by rung; at the fourth a half are taken to be new
NEAR_SHARE = 0.99  # a rung above is worth a step if the present one carries less than this share of it


class Rung(IntEnum):
    FULL = 0
    PAIRS = 1
    FOURS = 2
    LOW_NEW = 3
    LOW_ALL = 4


GROUPS = (1, 2, 4, 4, 4)  # chunks at a time, by rung
_REASONS = (
    "",
    "Latency is raised to carry more listeners: sound comes two pieces at a time.",
    "Latency is raised to carry more listeners: sound comes four pieces at a time.",
    "To carry more listeners, new ones get the low bitrate.",
    "To carry more listeners, everybody gets the low bitrate.",
)
_BY_CREW = " The crew asked for it."


class Cost(NamedTuple):
    """Of one write to a listener's socket, measured among few: `write_ns`, and `kib_ns` for each KiB in it."""

    write_ns: float
    kib_ns: float
    tls: bool = False

    def among_many_ns(self, size: float) -> float:
        """CPU time of a write of `size` bytes to one of very many listeners."""
        return CROWDED * (self.write_ns + self.kib_ns * size / 1024) + (TLS_WRITE_NS if self.tls else 0)


class Wish(NamedTuple):
    """What the crew asks for. `rung` is the least that is given up, -1: by measure. `cap` 0: by measure."""

    rung: int = -1
    cap: int = 0


BY_MEASURE = Wish()


class Decision(NamedTuple):
    """`low`: new listeners get the low rendition; `low_all`: so does everybody who can be spliced. `cap`: seats."""

    rung: Rung
    group: int
    low: bool
    low_all: bool
    cap: int
    reason: str


def capacities(cost: Cost, chunk_s: float, workers: float, places: int) -> tuple[int, ...]:
    """Listeners at each rung: of `workers`, each with a core, and no more than `places` connections."""
    found = []
    for group, rate_bps in zip(GROUPS, RATES_BPS, strict=True):
        span_s = chunk_s * group
        write_s = cost.among_many_ns(rate_bps / 8 * span_s + OVERHEAD_BYTES * group) / 1e9
        found.append(min(places, int(workers * BUSY_SHARE * span_s / write_s)))
    return tuple(found)


def scaled(capacity: Sequence[int], full: int, places: int) -> tuple[int, ...]:
    """The same proportions where rung 0 is said to carry `full`."""
    return tuple(min(places, full * one // max(1, capacity[0])) for one in capacity)


@dataclass(slots=True)
class Ladder:
    """Call `tick` once a second or so. `rung` may be where an earlier one stood. Times are monotonic seconds."""

    rung: Rung = Rung.FULL
    _stepped_s: float = float("-inf")
    _calm_since_s: float | None = None

    def tick(self, now_s: float, listeners: int, capacity: Sequence[int], wish: Wish = BY_MEASURE) -> Decision:
        """One look at how many listen; `capacity` is by rung and does not fall from one rung to the next."""
        self._watch_calm(now_s, listeners, capacity)
        if now_s - self._stepped_s >= STEP_S:
            self._step(now_s, listeners, capacity, wish)
        return self._decision(capacity, wish)

    def _watch_calm(self, now_s: float, listeners: int, capacity: Sequence[int]) -> None:
        below = max(0, self.rung - 1)
        if listeners >= DOWN_SHARE * capacity[below]:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s

    def _step(self, now_s: float, listeners: int, capacity: Sequence[int], wish: Wish) -> None:
        """At most one rung up or down. The crew's rung is a floor: the measure goes further up, never below."""
        full = listeners >= UP_SHARE * capacity[self.rung]
        worth = capacity[self.rung] < NEAR_SHARE * capacity[-1]
        if self.rung < Rung.LOW_ALL and ((full and worth) or self.rung < wish.rung):
            self._go(self.rung + 1, now_s)
        elif self.rung > max(Rung.FULL, wish.rung) and self._is_calm(now_s):
            self._go(self.rung - 1, now_s)

    def _is_calm(self, now_s: float) -> bool:
        return self._calm_since_s is not None and now_s - self._calm_since_s >= CALM_S

    def _go(self, rung: int, now_s: float) -> None:
        self.rung = Rung(rung)
        self._stepped_s, self._calm_since_s = now_s, None

    def _decision(self, capacity: Sequence[int], wish: Wish) -> Decision:
        cap = min(wish.cap, capacity[-1]) if wish.cap else int(CAP_SHARE * capacity[-1])
        rung = self.rung
        return Decision(rung, GROUPS[rung], rung >= Rung.LOW_NEW, rung >= Rung.LOW_ALL, cap, self._reason(cap, wish))

    def _reason(self, cap: int, wish: Wish) -> str:
        """In words for crew, page and metrics; empty while nothing is given up."""
        given_up = _REASONS[self.rung] + (_BY_CREW if 0 < self.rung <= wish.rung else "")
        return " ".join(one for one in (given_up, f"We go on with {cap:,} listeners." if wish.cap else "") if one)
