"""When something is given up, what, and why: every listener count there may be, on a clock of this test's own."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.ladder import (
    BY_MEASURE,
    CALM_S,
    CAP_SHARE,
    GROUPS,
    STEP_S,
    Cost,
    Decision,
    Ladder,
    Rung,
    Wish,
    capacities,
    scaled,
)

CAPACITY = (1_000, 1_700, 3_000, 3_100, 3_300)
SECONDS = range(400)


def run(ladder: Ladder, listeners: list[int], wish: Wish = BY_MEASURE, began_s: int = 0) -> list[Decision]:
    """One look a second."""
    return [ladder.tick(began_s + at_s, count, CAPACITY, wish) for at_s, count in enumerate(listeners)]


def test_few_listeners_and_nothing_is_given_up() -> None:
    decisions = run(Ladder(), [600] * 300)
    assert set(decisions) == {Decision(Rung.FULL, 1, False, False, 2_475, "")}


def test_latency_then_bitrate_then_the_number() -> None:
    decisions = run(Ladder(), [3_000] * 100)
    steps = [after.rung for before, after in pairwise(decisions) if before.rung != after.rung]
    assert [decisions[0].rung, *steps] == [1, 2, 3, 4]
    assert next(one.group for one in decisions if one.rung == 1) == 2
    last = decisions[-1]
    assert (last.group, last.low, last.low_all) == (4, True, True)
    assert last.reason == "To carry more listeners, everybody gets the low bitrate."


@pytest.mark.parametrize(
    ("listeners", "rung"), [(699, 0), (700, 1), (1_189, 1), (1_190, 2), (2_099, 2), (2_100, 3), (2_170, 4)]
)
def test_a_rung_ends_at_seventy_percent_of_what_it_carries(listeners: int, rung: int) -> None:
    assert run(Ladder(), [listeners] * 200)[-1].rung == rung


def test_it_comes_down_when_the_rung_below_is_half_empty_for_a_minute() -> None:
    ladder = Ladder(Rung.PAIRS)
    assert run(ladder, [500] * 200)[-1].rung == Rung.PAIRS
    assert run(ladder, [499] * int(CALM_S), began_s=200)[-1].rung == Rung.PAIRS
    assert run(ladder, [700], began_s=260)[-1].rung == Rung.PAIRS  # one look is enough to begin anew
    decisions = run(ladder, [499] * int(CALM_S + 1), began_s=261)
    assert [one.rung for one in decisions][-2:] == [Rung.PAIRS, Rung.FULL]


def test_the_crews_rung_is_a_floor() -> None:
    ladder = Ladder()
    decisions = run(ladder, [10] * 200, Wish(rung=2))
    assert decisions[-1].rung == Rung.FOURS and decisions[-1].reason.endswith("The crew asked for it.")
    assert run(ladder, [2_150] * 100, Wish(rung=2), began_s=200)[-1].rung == Rung.LOW_NEW
    decisions = run(ladder, [10] * 400, Wish(rung=1), began_s=300)
    assert decisions[-1].rung == Rung.PAIRS
    assert run(ladder, [10] * 100, BY_MEASURE, began_s=700)[-1].rung == Rung.FULL


def test_the_crews_number() -> None:
    assert Ladder().tick(0, 10, CAPACITY, Wish(cap=50)).cap == 50
    assert Ladder().tick(0, 10, CAPACITY, Wish(cap=50)).reason == "We go on with 50 listeners."
    assert Ladder().tick(0, 10, CAPACITY, Wish(cap=10**6)).cap == CAPACITY[-1]


def test_no_rung_is_climbed_that_carries_no_more() -> None:
    ladder = Ladder()
    decisions = [ladder.tick(at_s, 18_000, (18_000,) * 5) for at_s in SECONDS]
    assert {one.rung for one in decisions} == {Rung.FULL}


@given(st.lists(st.integers(0, 4_000), max_size=200), st.integers(-1, 4), st.integers(0, 5_000))
def test_whatever_comes(listeners: list[int], rung: int, cap: int) -> None:
    decisions = run(Ladder(), listeners, Wish(rung, cap))
    for before, after in pairwise(decisions):
        assert abs(after.rung - before.rung) <= 1
    for one in decisions:
        assert one.cap <= (CAPACITY[-1] if cap else CAP_SHARE * CAPACITY[-1])
        assert one.group == GROUPS[one.rung]
        assert bool(one.rung) <= bool(one.reason)
        assert one.low_all <= one.low


def walk(seed: int) -> list[int]:
    """Listeners as they come and go for an hour: drift, waves, storms."""
    rng = random.Random(seed)
    count, found = 0.0, []
    for _ in range(3_600):
        count += rng.gauss(0, 20) + (rng.choice((-800, 800)) if rng.random() < 0.002 else 0)
        count = min(3_500.0, max(0.0, count))
        found.append(int(count))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_it_does_not_flap(seed: int) -> None:
    rungs = [one.rung for one in run(Ladder(), walk(seed))]
    steps = [(at_s, after - before) for at_s, (before, after) in enumerate(pairwise(rungs))]
    steps = [step for step in steps if step[1]]
    for (first_s, first), (second_s, second) in pairwise(steps):
        least_s = CALM_S if (first, second) == (1, -1) else STEP_S
        assert second_s - first_s >= least_s, f"seed {seed}: {first_s} {first}, {second_s} {second}"


@pytest.mark.parametrize("count", range(0, 3_400, 50))
def test_a_steady_number_comes_to_rest(count: int) -> None:
    rungs = [one.rung for one in run(Ladder(), [count] * 600)]
    assert rungs == sorted(rungs)
    assert len(set(rungs[-400:])) == 1


def test_capacity_is_of_what_was_measured() -> None:
    cost = Cost(write_ns=10_000, kib_ns=500)
    found = capacities(cost, 0.5, workers=2, places=10**6)
    assert found == tuple(sorted(found))
    assert found[1] > 1.6 * found[0] and found[2] > 2.8 * found[0]
    assert capacities(cost, 1.0, 2, 10**6)[0] == pytest.approx(found[1], rel=0.02)
    assert capacities(cost, 0.5, 2, 500) == (500,) * 5
    assert scaled(found, 100, 10**6)[0] == 100
    assert scaled(found, 100, 150) == (100, 150, 150, 150, 150)
