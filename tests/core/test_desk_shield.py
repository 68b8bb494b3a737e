"""Orders to the shield: what they make of a show, and what is refused."""

from __future__ import annotations

import pytest

from stentor.core import desk_shield
from stentor.formats.crew import ReleaseOrder
from stentor.formats.refusal import Reason, Refusal
from stentor.model.board import Show

SHOW = Show("a", "A", 2_000, 1_000)


def test_switches_that_change_nothing_return_the_very_same_show() -> None:
    for set_, name in ((desk_shield.set_dry_run, "dry_run"), (desk_shield.set_siege, "siege")):
        on = set_(SHOW, True)
        assert getattr(on, name) and set_(on, True) is on and set_(on, False) == SHOW


def test_who_is_released_stays_so_until_the_list_is_cleared() -> None:
    one = desk_shield.release(SHOW, ReleaseOrder(" 10.0.0.7/32 "))
    assert isinstance(one, Show) and one.released == ("10.0.0.7/32",)
    assert desk_shield.release(one, ReleaseOrder("10.0.0.7/32")) is one
    two = desk_shield.release(one, ReleaseOrder("2001:db8::/64"))
    assert isinstance(two, Show) and two.released == ("10.0.0.7/32", "2001:db8::/64")
    assert desk_shield.release(two, ReleaseOrder(clear=True)) == SHOW
    again = desk_shield.release(two, ReleaseOrder("10.0.0.9/32", clear=True))
    assert isinstance(again, Show) and again.released == ("10.0.0.9/32",)


@pytest.mark.parametrize("target", ["10.0.0.0/24", "nobody", "2001:db8::1/128"])
def test_what_is_no_target_of_a_rule_is_refused(target: str) -> None:
    refused = desk_shield.release(SHOW, ReleaseOrder(target))
    assert isinstance(refused, Refusal) and refused.reason is Reason.INPUT


def test_an_address_may_be_given_without_its_prefix() -> None:
    one = desk_shield.release(SHOW, ReleaseOrder("10.0.0.7"))
    assert isinstance(one, Show) and one.released == ("10.0.0.7/32",)


def test_the_list_is_bounded() -> None:
    full = Show("a", "A", 2, 1, released=tuple(f"10.0.{n}.1/32" for n in range(desk_shield.RELEASED_MAX)))
    refused = desk_shield.release(full, ReleaseOrder("10.9.9.9/32"))
    assert isinstance(refused, Refusal) and refused.reason is Reason.REVOKED_FULL
