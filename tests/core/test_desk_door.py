"""What the crew may want of the door, what is refused and why, and that a second press changes nothing."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stentor.core import desk_door
from stentor.formats import seqs
from stentor.formats.crew import RevokeOrder
from stentor.formats.refusal import Reason, Refusal
from stentor.model.board import Revoked, Show

SHOW = Show(id="a", title="A", starts_at_ms=9_000, opens_at_ms=0, draws_at_ms=6_000, beacon_name="drand 4242")
SEQS = st.integers(0, 60)
RANGES = st.lists(st.tuples(SEQS, SEQS).map(lambda pair: (min(pair), max(pair))), max_size=12)


def _show(result: Show | Refusal) -> Show:
    assert isinstance(result, Show), result
    return result


def _refused(result: Show | Refusal, reason: Reason, word: str) -> None:
    assert isinstance(result, Refusal) and result.reason is reason and word in result.detail, result


def test_the_door_is_closed_and_opened_again() -> None:
    assert desk_door.set_closed(SHOW, False) is SHOW
    closed = desk_door.set_closed(SHOW, True)
    assert closed == replace(SHOW, closed=True) and desk_door.set_closed(closed, True) is closed
    assert desk_door.set_closed(closed, False) == SHOW


@pytest.mark.parametrize("rung", [0, 1, 2, 3, 4])
def test_the_ladder_by_hand_and_back_to_measure(rung: int) -> None:
    by_hand = _show(desk_door.set_rung(SHOW, rung))
    assert by_hand.rung == rung and desk_door.set_rung(by_hand, rung) is by_hand
    assert desk_door.set_rung(by_hand, -1) == SHOW


@pytest.mark.parametrize("rung", [-2, 5])
def test_a_ladder_has_no_other_steps(rung: int) -> None:
    _refused(desk_door.set_rung(SHOW, rung), Reason.INPUT, "rung: from 0")


def test_a_beacon_is_given_once() -> None:
    given_ = _show(desk_door.set_beacon(SHOW, " ab12\n", drawn=False))
    assert given_.beacon == "ab12"
    assert desk_door.set_beacon(given_, "ab12", drawn=True) is given_  # a second press, even after the draw
    _refused(desk_door.set_beacon(given_, "cd34", drawn=False), Reason.BEACON_REFUSED, "cannot be changed")


def test_a_beacon_that_nobody_could_check_is_refused() -> None:
    _refused(desk_door.set_beacon(SHOW, "ab12", drawn=True), Reason.BEACON_REFUSED, "draw has been made")
    unnamed = replace(SHOW, beacon_name="")
    _refused(desk_door.set_beacon(unnamed, "ab12", drawn=False), Reason.BEACON_REFUSED, "No beacon was announced")
    for value, word in (("", "empty"), ("x" * 201, "at most 200")):
        _refused(desk_door.set_beacon(SHOW, value, drawn=False), Reason.INPUT, word)


def test_what_is_revoked_adds_up_until_it_is_cleared() -> None:
    first = _show(desk_door.set_revoked(SHOW, RevokeOrder(keys=(7,), classes=("late", "drawn"), seqs=((5, 9),))))
    assert first.revoked == Revoked((7,), (4, 5), ((5, 9),))
    more = _show(desk_door.set_revoked(first, RevokeOrder(keys=(3, 7), seqs=((10, 12), (1, 1)))))
    assert more.revoked == Revoked((3, 7), (4, 5), ((1, 1), (5, 12)))
    assert desk_door.set_revoked(more, RevokeOrder(keys=(3,), classes=("late",), seqs=((6, 11),))) is more
    assert desk_door.set_revoked(more, RevokeOrder()) is more
    assert _show(desk_door.set_revoked(more, RevokeOrder(keys=(1,), clear=True))).revoked == Revoked((1,))
    assert desk_door.set_revoked(more, RevokeOrder(clear=True)) == SHOW


@pytest.mark.parametrize(
    "fields",
    [
        {"keys": (-1,)},
        {"keys": (256,)},
        {"seqs": ((-1, 5),)},
        {"seqs": ((5, 4),)},
        {"seqs": ((0, 2**32),)},
    ],
)
def test_what_no_ticket_can_be_is_not_revoked(fields: dict[str, Any]) -> None:
    _refused(desk_door.set_revoked(SHOW, RevokeOrder(**fields)), Reason.INPUT, next(iter(fields)))


def test_lists_of_what_is_revoked_are_bounded_after_merging() -> None:
    apart = tuple((2 * n, 2 * n) for n in range(desk_door.REVOKED_RANGES_MAX))
    full = _show(desk_door.set_revoked(SHOW, RevokeOrder(seqs=apart)))
    _refused(desk_door.set_revoked(full, RevokeOrder(seqs=((9_999, 9_999),))), Reason.REVOKED_FULL, "ranges")
    closed_up = _show(desk_door.set_revoked(full, RevokeOrder(seqs=((0, 9_999),))))
    assert closed_up.revoked.seqs == ((0, 9_999),)
    keys = tuple(range(desk_door.REVOKED_KEYS_MAX))
    full = _show(desk_door.set_revoked(SHOW, RevokeOrder(keys=keys)))
    _refused(desk_door.set_revoked(full, RevokeOrder(keys=(255,))), Reason.REVOKED_FULL, "keys")


@pytest.mark.parametrize("fields", [{"keys": (1,) * 65}, {"seqs": ((1, 2),) * 129}, {"classes": ("late",) * 6}])
def test_one_order_is_bounded_too(fields: dict[str, Any]) -> None:
    _refused(desk_door.set_revoked(SHOW, RevokeOrder(**fields)), Reason.INPUT, "At most")


@given(RANGES)
def test_merged_ranges_hold_the_same_numbers_and_are_apart(ranges: list[tuple[int, int]]) -> None:
    merged = seqs.merged(ranges)

    def numbers(of: Any) -> set[int]:
        return {n for first, last in of for n in range(first, last + 1)}

    assert numbers(merged) == numbers(ranges)
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(merged))
    assert seqs.merged(merged) == merged
