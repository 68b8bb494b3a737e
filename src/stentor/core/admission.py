"""Who may come in: the mark, as a closed loop on those who arrive at the edges.

A seat is taken by somebody who listens, or kept for somebody who was called and has not arrived. What is left is
given to the places next in line, by moving the mark; the mark never falls, so a turn that is not taken lapses (its seat
goes to the next) but its place stays at the front. Nobody who listens is ever cut: with fewer seats than listeners the
mark stands.

The seats of those who have just dropped out are kept for `RETURN_MS`: the listeners counted are the most there were in
that time. So a broken cable does not fill the hall with strangers, and an edge that is not heard of for a moment is
not empty. Seats can be exceeded by those who come back after their turn has lapsed or their seat was given away, by
those called who arrive while others are on their way back, and by places with the rank of the last one called or, from
a door that has not heard of the mark, below it; where the mark runs ahead because there are seats for all who wait, by
those below it who were not known here yet and are more than half of the seats that were free; not by more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil, floor
from typing import NamedTuple, Protocol

from stentor.model.board import Gate

RETURN_MS = 30_000
PATIENCE_MS = 30_000  # for whoever is called, beyond two polls
HASTE_MS = 3_000  # the same while an attack is on
POLLS_OF_PATIENCE = 2.4  # two, with a client's jitter
REPORT_MS = 2_500  # until the count of a door's tickets has come back
REPORT_LOOKS = 8  # values of `Line` that it may have gone by in that time
RATE_MS = 180_000  # over which leaving is averaged
SEEN_MIN = 5
POLL_MS_MIN, POLL_MS_MAX = 5_000, 30_000
POLLS_S_MAX = 20_000  # of all who wait, as far as POLL_MS_MAX allows
SHOWN_UP, RESOLVED = 9.0, 10.0  # before anybody was called: nine of ten come
RESOLVED_MAX = 2_000.0  # what is older fades
COHORTS_MAX = 4_096
LIVE_SHARE_MIN = 1 / 16  # of what is called at a time, however sure it seems that nobody of it comes


class Places(Protocol):
    """The ranks in the line (core/order.py)."""

    total: int

    def up_to(self, value: int) -> int: ...
    def at(self, k: int) -> int: ...


class Facts(NamedTuple):
    """What is, as of now. `arrivals` and `tickets` have been counted since the last time; tickets of those who were
    called are not among these. Before the draw, `gathered` are there and it comes in `draw_in_ms`. No place will come
    below the rank `settled`: while seats are short the mark goes no further, or whoever came next could walk past it.
    `void` tickets and places, of those counted before, are of people who cannot come (core/rules.py). `hasty`: many of
    those called may never come; who comes late has lost nothing but the seat, for their place stays at the front."""

    cap: int
    listening: int
    arrivals: int = 0
    tickets: int = 0
    doors: int = 1
    closed: bool = False
    gathering: bool = False
    gathered: int = 0
    draw_in_ms: int = 0
    settled: int = 2**53
    void: int = 0
    hasty: bool = False


class Decision(NamedTuple):
    """Fields as in `model.board.Line`."""

    gate: Gate
    mark: int
    at_once: int
    called: int
    waiting: int
    free: int
    soon: int
    rate_mps: int
    seen: int
    next_poll_ms: int


@dataclass(slots=True)
class _Cohort:
    lapses_at_ms: int
    left: int


class _Rate:
    """How fast listeners leave for good: an average that forgets, and from how many it is known."""

    def __init__(self) -> None:
        self._left = self._ms = self._squares_ms = 0.0  # sums over time: weight * left, weight, weight ** 2

    def receive(self, left: int, dt_ms: int) -> None:
        keep = max(0.0, 1 - dt_ms / RATE_MS)
        self._left = max(0.0, self._left * keep + left)
        self._ms = self._ms * keep + dt_ms
        self._squares_ms = self._squares_ms * keep * keep + dt_ms

    @property
    def per_s(self) -> float:
        return self._left / self._ms * 1000 if self._ms else 0.0

    @property
    def seen(self) -> int:
        """As many who left as an even average would need to be as certain."""
        return int(self._left * self._ms / self._squares_ms) if self._squares_ms else 0


class Admission:
    """One show's. `mark`, `called` and `listening` are what a usher before this one left; their times begin anew."""

    def __init__(self, calls_per_s: float, now_ms: int, mark: int = 0, called: int = 0, listening: int = 0) -> None:
        self.mark = mark
        self.gate = Gate.QUEUE if mark else Gate.FREE
        self.next_poll_ms = POLL_MS_MIN
        self._calls_per_s = calls_per_s
        self._allowance = calls_per_s
        self._cohorts: deque[_Cohort] = deque()
        self._called = 0
        self._patience_ms = PATIENCE_MS
        self._empties = 0.0  # of those called, that do not make a whole one yet
        self._void, self._void_to = 0, 0  # turns that nobody will take, and up to which rank they are
        self._peaks = deque([(now_ms + RETURN_MS, listening)])  # (until ms, listeners), falling
        self._held: int | None = None
        self._rate = _Rate()
        self._shown_up, self._resolved = SHOWN_UP, RESOLVED
        self._tick_ms = now_ms
        self._free_until_ms = 0
        self._passed: int | None = None  # places up to the mark, as of the last tick
        self._call(called, now_ms)

    def tick(self, now_ms: int, facts: Facts, places: Places) -> Decision:
        """Look at what is and decide; several times a second, with a clock that never goes back."""
        dt_ms, self._tick_ms = now_ms - self._tick_ms, now_ms
        self._patience_ms = HASTE_MS if facts.hasty else PATIENCE_MS
        held = self._hold_seats(facts.listening, now_ms)
        if self._held is not None:
            self._rate.receive(facts.arrivals - (held - self._held), dt_ms)
        self._held = held
        self._settle(facts, now_ms, places)
        passed = places.up_to(self.mark)
        self._call(
            passed - self._passed if self._passed is not None else 0, now_ms
        )  # they came where the mark had been
        self._allowance = min(self._calls_per_s, self._allowance + self._calls_per_s * dt_ms / 1000)
        free = facts.cap - held - self._called
        self.gate = self._choose(facts, free, places.total - passed)
        called = self._advance(facts, free, passed, places)
        empty = self._empty(called, passed, places)
        self._allowance = min(self._calls_per_s, self._allowance + empty)
        self._call(called - empty, now_ms)
        self._passed = passed + called
        return self._decision(facts, free - called + empty, places.total - self._passed)

    def _hold_seats(self, listening: int, now_ms: int) -> int:
        """The most listeners of the last while."""
        while self._peaks and (self._peaks[-1][1] <= listening):
            self._peaks.pop()
        self._peaks.append((now_ms + RETURN_MS, listening))
        while self._peaks[0][0] <= now_ms:
            self._peaks.popleft()
        return self._peaks[0][1]

    def _settle(self, facts: Facts, now_ms: int, places: Places) -> None:
        """Who has been called: those who arrived have, those whose time is over are not waited for."""
        if now_ms < self._free_until_ms:
            self._call(facts.tickets, now_ms)
        arrivals = facts.arrivals
        while self._cohorts and arrivals > 0:
            came = min(arrivals, self._cohorts[0].left)
            arrivals -= came
            self._resolve(came, came)
            self._cohorts[0].left -= came
            if not self._cohorts[0].left:
                self._cohorts.popleft()
        if facts.void:
            self._void, self._void_to = self._void + facts.void, places.at(places.total) if places.total else 0
            self._forget()
        while self._cohorts and self._cohorts[0].lapses_at_ms <= now_ms:
            self._resolve(self._cohorts.popleft().left, 0)

    def _forget(self) -> None:
        """Keep no seats for those called who cannot come; they say nothing of how many come of those who can."""
        while self._cohorts and self._void > 0:
            gone = min(self._void, self._cohorts[0].left)
            self._void -= gone
            self._called -= gone
            self._cohorts[0].left -= gone
            if not self._cohorts[0].left:
                self._cohorts.popleft()

    def _empty(self, called: int, passed: int, places: Places) -> int:
        """How many of the places called now are of those who cannot come: which they are nobody knows, but they are
        spread among those who waited when that was seen."""
        left = places.up_to(self._void_to) - passed
        if left <= 0:
            self._void, self._empties = 0, 0.0
        self._empties += called * self._void / max(1, left)
        empty = min(called, self._void, int(self._empties))
        self._void, self._empties = self._void - empty, self._empties - empty
        return empty

    def _resolve(self, count: int, came: int) -> None:
        self._called -= count
        self._shown_up += came
        self._resolved += count
        if self._resolved > RESOLVED_MAX:
            fade = RESOLVED_MAX / self._resolved
            self._shown_up, self._resolved = self._shown_up * fade, RESOLVED_MAX

    def _call(self, count: int, now_ms: int) -> None:
        """Keep seats for so many until they arrive or lapse."""
        if count <= 0:
            return
        lapses_at_ms = now_ms + round(POLLS_OF_PATIENCE * self.next_poll_ms) + self._patience_ms
        if self._cohorts and (len(self._cohorts) >= COHORTS_MAX or self._cohorts[-1].lapses_at_ms >= lapses_at_ms):
            self._cohorts[-1].left += count
        else:
            self._cohorts.append(_Cohort(lapses_at_ms, count))
        self._called += count

    def _choose(self, facts: Facts, free: int, waiting: int) -> Gate:
        if facts.closed:
            return Gate.CLOSED
        if facts.gathering:
            return Gate.GATHERING
        if waiting > max(0.0, min(free / 2, self._allowance)) or not self._at_once(facts, free - waiting):
            return Gate.QUEUE
        self._free_until_ms = self._tick_ms + REPORT_MS
        return Gate.FREE

    def _at_once(self, facts: Facts, free: int) -> int:
        """What each door may give until the next value: all doors together, over all values that they may have seen
        before they are heard of, no more than there are seats, nor more than are called at a time."""
        return min(max(0, free) // REPORT_LOOKS, ceil(self._calls_per_s / 4)) // max(1, facts.doors)

    def _advance(self, facts: Facts, free: int, passed: int, places: Places) -> int:
        """Move the mark to the place that is next for the last seat; -> how many are called by that. Those who cannot
        come take nothing of the rate: else whoever stands behind a flood's places waits as if it were people. Where
        there are seats for all who wait and as many more, all are called, lest those who come meanwhile keep the line
        alive; the others are for those whose place below the mark is not known here yet."""
        if self.gate is Gate.FREE:
            count = places.total - passed
        elif self.gate is Gate.QUEUE and free > 0:
            count = min(free, int(self._allowance / self._live_share(passed, places)))
            count = min(count, places.up_to(facts.settled) - passed)
        else:
            count = 0
        if count <= 0:
            return 0
        self.mark = max(self.mark, places.at(passed + count))
        called = places.up_to(self.mark) - passed
        self._allowance -= called
        return called

    def _live_share(self, passed: int, places: Places) -> float:
        """Of the places that are called next, those of who can come."""
        left = places.up_to(self._void_to) - passed
        return max(LIVE_SHARE_MIN, 1 - self._void / left) if left > 0 else 1.0

    def _decision(self, facts: Facts, free: int, waiting: int) -> Decision:
        share = self._shown_up / self._resolved
        seen = self._rate.seen
        rate_mps = round(self._rate.per_s / share * 1000) if seen >= SEEN_MIN else 0
        if facts.gathering:
            self.next_poll_ms = _poll_ms(facts.draw_in_ms, facts.gathered)
        else:
            middle_ms = waiting / 2 / rate_mps * 1_000_000 if rate_mps else 0.0
            self.next_poll_ms = _poll_ms(middle_ms, waiting)
        soon = floor((free + (1 - share) * self._called) / share)
        at_once = self._at_once(facts, free) if self.gate is Gate.FREE else 0
        return Decision(
            self.gate, self.mark, at_once, self._called, waiting, free, soon, rate_mps, seen, self.next_poll_ms
        )


def _poll_ms(wait_ms: float, waiting: int) -> int:
    """A quarter of the wait of who stands in the middle; not more polls at once than a cache answers with ease."""
    return int(min(POLL_MS_MAX, max(POLL_MS_MIN, wait_ms / 4, waiting / POLLS_S_MAX * 1000)))
