"""How long it will be, for a place in the line, and how likely it is to get in at all. Page and door compute the same.

What is known is in the `Line` on the board and in the `now` object. A page repeats, for a place of rank `r`:

    ahead  = (waiting places of a lower rank, from `table`) = N(r) - N(mark)
    k      = ahead + 1                        me among them
    k_high = max(0, k - free)                 seats that somebody has to leave first
    k_low  = max(0, k - soon)                 the same, if of those called as many stay away as did so far
    s(k)   = sqrt(1/k + 1/seen + DRIFT**2)    Poisson noise of k leaving, of the rate's estimate, and its drift
    low    = max(k_low/rate * exp(-Z*s(k_low)), k/calls) - 2     from 0 on; the first is 0 where k_low is 0
    high   = k_high/rate * exp(+Z*s(k_high)) + k/calls + 1.2*poll + 1     the same where k_high is 0
    chance = 1 / (1 + exp(-1.702 * ln(left * rate / k_high) / s(k_high)))   1 where k_high is 0

with rate = rate_mps/1000, calls = calls_mps/1000, poll = next_poll_ms/1000 and `left` the seconds to the end of the
show. Where the rate is not known (0) and k_high is not 0 there is neither a range nor a chance. [low, high] are the
5 % and 95 % quantiles of a lognormal wait: wide on purpose, so that no less than 80 % of real waits are in it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil, exp, floor, log, sqrt
from typing import NamedTuple

from stentor.formats.now import SHOW_MS_ASSUMED

Z = 1.645
DRIFT = 0.2  # how far the rate will be from what it was, as a share of it
LOGISTIC = 1.702  # makes a logistic curve of the normal distribution's
POLL_SPREAD = 1.2
FRESH_S = 2  # so old may a `now` object be that a page goes by
WAIT_S_MAX = 7 * 86_400

Table = Sequence[tuple[int, int]]


class Pace(NamedTuple):
    """What the line goes by; fields as in `model.board.Line`."""

    rate_mps: int
    seen: int
    free: int
    soon: int
    calls_mps: int
    next_poll_ms: int


def places_up_to(table: Table, rank: int) -> int:
    """How many places have at most `rank`: exact at the points of `table`, in proportion between them."""
    at = bisect_right(table, rank, key=lambda point: point[0])
    if at == 0:
        return 0
    (before, count), after = table[at - 1], table[at : at + 1]
    if not after:
        return count
    return count + (after[0][1] - count) * (rank - before) // (after[0][0] - before)


def ahead(table: Table, mark: int, rank: int) -> int:
    """How many are let in before a place of `rank`; 0 if its turn has come."""
    return 0 if rank <= mark else max(0, places_up_to(table, rank - 1) - places_up_to(table, mark))


def range_s(places_ahead: int, pace: Pace) -> tuple[int, int] | None:
    """-> the seconds from..to which it will take until the turn comes of whoever has so many ahead; None: unknown."""
    k = places_ahead + 1
    k_low, k_high = max(0, k - max(pace.soon, pace.free)), max(0, k - pace.free)
    if k_high and not _known(pace):
        return None
    calls_s = k * 1000 / max(1, pace.calls_mps)
    low = max(0.0, max(_wait_s(k_low, pace, -Z), calls_s) - FRESH_S)
    high = _wait_s(k_high, pace, Z) + calls_s + POLL_SPREAD * pace.next_poll_ms / 1000 + 1
    return floor(min(low, WAIT_S_MAX)), ceil(min(high, WAIT_S_MAX))


def chance(places_ahead: int, pace: Pace, left_s: float) -> float | None:
    """The probability that the turn comes within `left_s`, in hundredths; None: unknown."""
    k = max(0, places_ahead + 1 - pace.free)
    if left_s <= 0:
        return 0.0
    if not k:
        return 1.0
    if not _known(pace):
        return None
    z = (log(left_s) + log(pace.rate_mps / 1000 / k)) / _spread(k, pace)  # the product of both may be too small
    return round(1 / (1 + exp(-min(max(LOGISTIC * z, -50.0), 50.0))), 2)


def ends_at_ms(starts_at_ms: int, planned_ms: int) -> tuple[int, bool]:
    """-> (Unix ms at which the show will end, whether that is only assumed). `planned_ms` is 0 where nothing is."""
    return (planned_ms, False) if planned_ms else (starts_at_ms + SHOW_MS_ASSUMED, True)


def _known(pace: Pace) -> bool:
    return pace.rate_mps > 0 and pace.seen > 0


def _wait_s(k: int, pace: Pace, z: float) -> float:
    return k / pace.rate_mps * 1000 * exp(z * _spread(k, pace)) if k else 0.0


def _spread(k: int, pace: Pace) -> float:
    return sqrt(1 / k + 1 / pace.seen + DRIFT**2)
