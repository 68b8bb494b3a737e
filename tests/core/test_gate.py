"""Who is let in at once, who by their rank, and what a line that stands still leaves."""

from __future__ import annotations

import pytest

from stentor.core.gate import NO_RANK, STALE_S, GateKeeper
from stentor.model.board import Gate, Line


def keeper(gate: Gate, *, mark: int = 100, at_once: int = 0, age_s: float = 0.0) -> GateKeeper:
    """A gate that got its first value at 0."""
    one = GateKeeper()
    one.receive(Line(1, gate, mark, at_once), age_s, 0.0)
    return one


@pytest.mark.parametrize("gate", list(Gate))
@pytest.mark.parametrize(("rank", "called"), [(99, True), (100, True), (101, False), (NO_RANK, False)])
def test_who_was_called_comes_in_whatever_the_gate(gate: Gate, rank: int, called: bool) -> None:
    assert keeper(gate).enter(rank) is called


@pytest.mark.parametrize("gate", [Gate.GATHERING, Gate.QUEUE, Gate.CLOSED])
def test_only_a_free_gate_lets_in_at_once(gate: Gate) -> None:
    assert not keeper(gate, at_once=5).enter(NO_RANK)


def test_a_free_gate_lets_in_so_many_to_each_value() -> None:
    one = keeper(Gate.FREE, at_once=2)
    assert [one.enter(NO_RANK) for _ in range(3)] == [True, True, False]
    one.receive(Line(1, Gate.FREE, 100, 2), 0.0, 0.2)
    assert not one.enter(NO_RANK), "the same value again"
    one.receive(Line(2, Gate.FREE, 100, 1), 0.0, 0.25)
    assert [one.enter(NO_RANK) for _ in range(2)] == [True, False]


def test_who_was_called_takes_nothing_from_those_who_come() -> None:
    one = keeper(Gate.FREE, at_once=1)
    assert [one.enter(7), one.enter(7), one.enter(NO_RANK), one.enter(7)] == [True] * 4


def test_to_look_takes_nothing() -> None:
    one = keeper(Gate.FREE, at_once=1)
    assert one.may_enter(NO_RANK) and one.may_enter(NO_RANK) and one.enter(NO_RANK)
    assert not one.may_enter(NO_RANK)


def test_a_show_that_never_had_a_line_is_free_without_limit() -> None:
    one = GateKeeper()
    assert one.gate(1e9) is Gate.FREE
    assert all(one.enter(NO_RANK) for _ in range(1_000))


@pytest.mark.parametrize(
    ("gate", "then"),
    [
        (Gate.FREE, Gate.QUEUE),
        (Gate.GATHERING, Gate.GATHERING),
        (Gate.QUEUE, Gate.QUEUE),
        (Gate.CLOSED, Gate.CLOSED),
    ],
)
def test_a_line_that_stands_still_leaves_its_mark_standing(gate: Gate, then: Gate) -> None:
    one = keeper(gate, at_once=1)
    assert (one.gate(STALE_S - 0.1), one.gate(STALE_S)) == (gate, then)
    assert (one.enter(100), one.enter(101)) == (True, gate is Gate.FREE), "what is left of `at_once` may be used up"
    assert not one.enter(101)


def test_a_line_from_before_the_door_began_is_as_old_as_it_says() -> None:
    assert keeper(Gate.FREE, age_s=STALE_S + 1).gate(0.0) is Gate.QUEUE
    assert keeper(Gate.FREE, age_s=-30.0).gate(0.0) is Gate.FREE


def test_clocks_that_differ_make_no_line_stale() -> None:
    one = keeper(Gate.FREE, age_s=30.0)
    one.receive(Line(2, Gate.FREE), 30.0, 0.25)
    assert one.is_fresh(0.3) and not one.is_fresh(0.25 + STALE_S)
