"""Polls in good order, and polls that no page makes."""

from __future__ import annotations

import random

from stentor.core.polls import AT_ONCE, EACH_S, Polls


def test_a_page_that_polls_as_it_is_told_is_in_good_order_all_evening() -> None:
    polls, rng, now_s = Polls(), random.Random(1), 0.0
    for _ in range(2_000):
        now_s += 5.0 * rng.uniform(0.8, 1.2)
        assert polls.receive("place", now_s)


def test_somebody_who_loads_the_page_again_each_second_is_still_in_good_order() -> None:
    polls = Polls()
    assert all(polls.receive("place", float(second)) for second in range(20))


def test_a_program_is_not_but_for_its_share() -> None:
    polls = Polls()
    in_order = sum(polls.receive("place", number / 100) for number in range(1_000))
    assert in_order == AT_ONCE + int(9.99 / EACH_S)
    assert polls.receive("another place", 10.0), "many may be behind one address"
    assert polls.receive("place", 10.0 + EACH_S), "it is held against nobody for longer"


def test_of_too_many_places_the_one_unheard_of_for_longest_is_forgotten() -> None:
    polls = Polls(places_max=2)
    for _ in range(AT_ONCE):
        polls.receive("first", 0.0)
    assert not polls.receive("first", 0.0)
    for place in ("second", "third"):
        assert polls.receive(place, 0.0)
    assert polls.receive("first", 0.0)
