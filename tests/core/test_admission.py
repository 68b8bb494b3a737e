"""Admission as a closed loop: seats, turns that lapse, the gate, and a mark that only rises."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stentor.core.admission import (
    HASTE_MS,
    PATIENCE_MS,
    POLL_MS_MAX,
    POLLS_OF_PATIENCE,
    REPORT_LOOKS,
    RETURN_MS,
    Admission,
    Decision,
    Facts,
)
from stentor.model.board import Gate

LOOK_MS = 250


class Ranks:
    """The line as a plain list."""

    def __init__(self, ranks: range | list[int] = range(0)) -> None:
        self.ranks = sorted(ranks)

    @property
    def total(self) -> int:
        return len(self.ranks)

    def up_to(self, value: int) -> int:
        return bisect_right(self.ranks, value)

    def at(self, k: int) -> int:
        return self.ranks[k - 1]


class House:
    """An admission with its clock: `look` ticks once with what is given, else as it was."""

    def __init__(self, cap: int, waiting: int = 0, **more: int) -> None:
        self.places = Ranks(range(1, waiting + 1))
        self.facts = Facts(cap, 0)
        self.now_ms = 0
        self.admission = Admission(1_000_000, 0, **more)

    def look(self, after_ms: int = LOOK_MS, arrivals: int = 0, tickets: int = 0, **facts: int | bool) -> Decision:
        self.now_ms += after_ms
        self.facts = self.facts._replace(**facts)
        return self.admission.tick(self.now_ms, self.facts._replace(arrivals=arrivals, tickets=tickets), self.places)


def test_the_mark_rises_by_the_seats_and_waits_for_arrivals() -> None:
    house = House(cap=10, waiting=30)
    first = house.look()
    assert (first.gate, first.mark, first.called, first.waiting, first.free) == (Gate.QUEUE, 10, 10, 20, 0)
    assert house.look().mark == 10
    assert house.look(listening=7, arrivals=7)[1:4] == (10, 0, 3)
    after = house.look(listening=7)
    assert (after.mark, after.called) == (10, 3), "kept for those who were called"


def test_a_turn_not_taken_lapses_and_its_place_stays_in_front() -> None:
    house = House(cap=10, waiting=30)
    house.look()
    house.look(listening=7, arrivals=7)
    lapsed = house.look(PATIENCE_MS + 3 * POLL_MS_MAX, listening=7)
    assert (lapsed.mark, lapsed.called) == (13, 3)
    assert house.places.up_to(lapsed.mark) == 13, "the three may come yet"


def test_seats_of_those_who_dropped_are_kept_for_a_while() -> None:
    house = House(cap=10, waiting=30)
    house.look(listening=10)
    assert house.look(listening=0).mark == 0
    assert house.look(RETURN_MS - 2 * LOOK_MS, listening=9).mark == 0
    assert house.look(3 * LOOK_MS).mark == 1, "nine have come back, one has gone"


def test_a_cap_below_those_who_listen_cuts_nobody() -> None:
    house = House(cap=10, waiting=30)
    house.look(listening=10)
    low = house.look(cap=4)
    assert (low.mark, low.called, low.free) == (0, 0, -6)
    assert house.look(2 * RETURN_MS, listening=5).mark == 0
    house.look(listening=3)
    assert house.look(2 * RETURN_MS).mark == 1


def test_free_gives_no_more_than_there_are_seats_before_the_doors_report() -> None:
    house = House(cap=1_600)
    free = house.look(doors=2)
    assert free.gate is Gate.FREE and free.at_once * 2 * REPORT_LOOKS == 1_600
    taken = house.look(tickets=800)
    assert taken.called == 800 and taken.at_once == 50
    full = house.look(tickets=795)
    assert full.gate is Gate.QUEUE and full.at_once == 0


def test_whoever_waits_comes_before_whoever_comes_now() -> None:
    house = House(cap=100)
    assert house.look().gate is Gate.FREE
    house.places = Ranks(range(1, 6))
    called = house.look()
    assert (called.gate, called.mark, called.called) == (Gate.FREE, 5, 5), "their seats are kept"
    house.places.ranks += range(6, 55)
    called = house.look()
    assert (called.gate, called.mark, called.called) == (Gate.QUEUE, 54, 54), "not half of the seats that are free"
    house.places.ranks += range(55, 100)
    called = house.look()
    assert (called.gate, called.mark, called.called) == (Gate.QUEUE, 99, 99)
    house.places.ranks += range(100, 200)
    called = house.look()
    assert (called.gate, called.mark, called.called) == (Gate.QUEUE, 100, 100), "and nobody is let in past the others"


def test_before_the_draw_and_when_closed_nobody_is_called() -> None:
    house = House(cap=10, waiting=5)
    assert house.look(gathering=True)[:2] == (Gate.GATHERING, 0)
    assert house.look(gathering=False, closed=True)[:2] == (Gate.CLOSED, 0)
    assert house.look(closed=False)[:2] == (Gate.QUEUE, 5)


def test_no_seat_is_kept_for_tickets_that_went_to_whoever_is_shut_out_now() -> None:
    house = House(cap=100)
    assert house.look().gate is Gate.FREE
    assert house.look(tickets=100).free == 0
    full = house.look()
    assert (full.gate, full.called) == (Gate.QUEUE, 100)
    freed = house.look(void=90)
    assert (freed.gate, freed.called, freed.free) == (Gate.FREE, 10, 90)
    assert house.look(void=0, after_ms=PATIENCE_MS + 3 * POLL_MS_MAX).called == 0, "the rest lapses as ever"
    assert house.look(void=50).free == 100, "and of more than are called nobody knows"


def test_places_of_whoever_is_shut_out_are_passed_over() -> None:
    """Four of five in the line are of an attacker: the mark goes past them, and seats are kept for the fifth."""
    house = House(cap=100, waiting=1_000)
    assert house.look().called == 100
    after = house.look(void=800, settled=1_000)
    assert (after.mark, after.called) == (200, 23), "all who were called may have been of those, and most of the next"
    for _ in range(40):
        last = house.look(void=0)
    assert 450 <= last.mark <= 650 and last.called == 100, "a hundred seats for a hundred of the two hundred people"
    for _ in range(3):
        last = house.look(arrivals=100, listening=100)
    assert (last.called, last.free) == (0, 0)


def test_places_of_the_last_two_seconds_are_passed_over_too() -> None:
    """Ranks may still come among them, but those who were counted hold theirs already."""
    house = House(cap=1_000, waiting=400)
    assert house.look(settled=100).mark == 400, "there are seats for all of them"
    house.places.ranks += range(401, 2_401)
    freed = house.look(void=1_900, settled=200)
    assert (freed.gate, freed.called, freed.mark) == (Gate.QUEUE, 0, 400)
    after = house.look(void=0, settled=2_400)
    assert (after.mark, after.called) == (1_400, 250), "of the next thousand three of four are nobody's"


def test_the_places_of_a_flood_do_not_take_the_rate_of_calls() -> None:
    """Three hundred people in a flood of fifteen thousand, at a hundred calls a second: not two and a half minutes."""
    house = House(cap=20_000, waiting=15_300)
    house.admission = Admission(100, 0)
    house.look()
    marks = [house.look(void=15_000, settled=15_300).mark] + [house.look(void=0).mark for _ in range(59)]
    assert marks[-1] == 15_300, "all in a quarter of a minute"
    assert max(after - before for before, after in pairwise(marks)) <= 16 * 100
    assert house.look().called <= 300


def test_a_line_for_which_there_are_seats_ends_though_people_come_all_the_time() -> None:
    """Whoever comes takes a place while there is a line, and would be the line of the next who come."""
    house = House(cap=10_000, waiting=30)
    house.admission = Admission(100, 0)
    assert house.look(settled=0).gate is Gate.FREE and house.admission.mark == 30
    house.places.ranks += range(31, 61)
    last = house.look(settled=40)
    assert (last.gate, last.mark, last.called, last.waiting) == (Gate.FREE, 60, 60, 0)
    house.places.ranks += range(61, 261)
    assert house.look(settled=260).gate is Gate.QUEUE, "more than are called at a time"


def test_what_is_known_of_empty_places_ends_with_those_who_had_come_by_then() -> None:
    house = House(cap=1_000, waiting=20)
    house.look()
    house.look(void=500, settled=20)
    house.places.ranks += range(21, 81)
    assert house.look(void=0, settled=80).called == 60, "who comes later is waited for"


def test_in_an_attack_who_does_not_come_is_not_waited_for_as_long() -> None:
    house = House(cap=10, waiting=30)
    first = house.look(hasty=True)
    patience_ms = HASTE_MS + round(POLLS_OF_PATIENCE * first.next_poll_ms)
    assert house.look(patience_ms - LOOK_MS).mark == 10
    assert house.look(LOOK_MS + 1).mark == 20


def test_calls_come_at_a_limited_rate() -> None:
    house = House(cap=10_000, waiting=10_000)
    house.admission = Admission(100, 0)
    marks = [house.look().mark for _ in range(9)]
    assert marks[0] == 100 and marks[-1] == 300


def test_a_new_usher_goes_on_from_mark_and_called() -> None:
    house = House(cap=10, waiting=30, mark=12, called=4)
    assert house.look(listening=6)[:4] == (Gate.QUEUE, 12, 0, 4)
    assert house.look(listening=10, arrivals=4)[1:4] == (12, 0, 0)


def test_the_rate_is_of_those_who_leave_and_of_turns_not_taken() -> None:
    house = House(cap=100, waiting=10_000)
    house.look(listening=100)
    listening = 100
    for look in range(1, 2_000):
        called = house.admission._called
        came = called if look % 4 == 0 else 0
        left = look % 2  # two a second
        listening += came - left
        decision = house.look(listening=listening, arrivals=came)
    assert 1_600 < decision.rate_mps < 2_400 and decision.seen > 300


@given(
    st.lists(
        st.tuples(
            st.integers(1, 40_000),
            st.integers(0, 300),
            st.integers(0, 50),
            st.integers(0, 50),
            st.integers(0, 200),
            st.booleans(),
            st.booleans(),
            st.lists(st.integers(1, 5_000), max_size=20),
            st.integers(0, 300),
        ),
        max_size=30,
    )
)
def test_whatever_is_said_the_mark_never_falls_and_no_seat_is_given_twice(history: list[tuple]) -> None:
    house, mark = House(cap=100), 0
    for after_ms, listening, arrivals, tickets, cap, gathering, closed, more, void in history:
        house.places.ranks = sorted([*house.places.ranks, *more])
        before = house.places.up_to(mark)
        decision = house.look(
            after_ms,
            arrivals,
            tickets,
            listening=listening,
            cap=cap,
            gathering=gathering,
            closed=closed,
            void=void if void > 200 else 0,
            hasty=void > 200,
        )
        assert decision.mark >= mark and decision.called >= 0
        if decision.mark > mark:
            ties = house.places.ranks.count(decision.mark) - 1
            assert house.places.up_to(decision.mark) - before <= max(0, cap - listening) + ties
        mark = decision.mark
