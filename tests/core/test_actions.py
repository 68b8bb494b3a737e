"""The log of what was done, in words that are understood without knowing the orders."""

from __future__ import annotations

import msgspec
import pytest

from stentor.core.actions import RUNGS, said, who, written
from stentor.core.desk_door import RUNG_MAX
from stentor.formats.crew import (
    BeaconOrder,
    CapOrder,
    DoorOrder,
    DryRunOrder,
    NewSeat,
    NoticeOrder,
    Order,
    ReleaseOrder,
    RenewOrder,
    RevokeOrder,
    RungOrder,
    SeatOrder,
    SiegeOrder,
    WishOrder,
)
from stentor.model.board import Seat, Show

ADA = Seat(id="ada-x7k2", name="Ada", token_hash="ab" * 32, crew=True)
SHOW = Show(id="a", title="A", starts_at_ms=9_000, opens_at_ms=0, seats=(ADA,))


@pytest.mark.parametrize(
    ("verb", "order", "words"),
    [
        ("wish", WishOrder("hold", "The line is being mended"), "Held the start: The line is being mended"),
        ("wish", WishOrder("go"), "Went live"),
        ("notice", NoticeOrder("Soon {now}"), "Posted a notice: Soon {now}"),
        ("notice", NoticeOrder(""), "Took the notice down"),
        ("cap", CapOrder(12_000), "Go on with at most 12,000 listeners"),
        ("cap", CapOrder(0), "As many listeners as the machine carries"),
        ("door", DoorOrder(closed=True), "Closed the door"),
        ("door", DoorOrder(closed=False), "Opened the door again"),
        ("rung", RungOrder(2), "Ladder at step 2 or above: sound four pieces at a time"),
        ("rung", RungOrder(-1), "Ladder by measure alone"),
        ("release", ReleaseOrder("IPv4 address"), "Released an IPv4 address"),
        ("release", ReleaseOrder(clear=True), "Let rules be made again against all who were released"),
        ("dry-run", DryRunOrder(True), "Dry run: rules are written down only"),
        ("dry-run", DryRunOrder(False), "Rules are enforced again"),
        ("siege", SiegeOrder(True), "Siege: only tickets and places are let in"),
        ("siege", SiegeOrder(False), "Lifted the siege"),
        ("beacon", BeaconOrder("ab12"), "Gave the beacon's value: ab12"),
        (
            "revoke",
            RevokeOrder((7,), ("late",), ((3, 3), (5, 9))),
            "Revoked tickets: key 7, class late, 3, 5 to 9",
        ),
        (
            "revoke",
            RevokeOrder(seqs=tuple((n, n) for n in range(0, 14, 2))),
            "Revoked tickets: 0, 2, 4, 6, 8 and 2 more",
        ),
        ("revoke", RevokeOrder(clear=True), "Made all revoked tickets good again"),
        ("seat ada-x7k2", SeatOrder(on_air=True, muted=False), "Put Ada on air; Unmuted Ada"),
        ("seat ada-x7k2", SeatOrder(removed=True), "Removed Ada"),
        ("add", NewSeat("Ben"), "Gave Ben a link"),
        ("renew ada-x7k2", RenewOrder(), "Gave Ada a new link"),
    ],
)
def test_each_order_in_words(verb: str, order: Order, words: str) -> None:
    assert said(f"{verb} {msgspec.json.encode(order).decode()}", SHOW) == words


def test_what_is_not_known_is_shown_as_it_is_kept() -> None:
    assert said("create", SHOW) == "Announced the show"
    for what in ("", "dance {}", "cap {", "cap {}", 'rung {"rung":9}', 'wish {"wish":"run"}', "cap []"):
        assert said(what, SHOW) == what


def test_who_did_it() -> None:
    assert who("ab" * 6, SHOW) == "Ada"
    assert who("admin", SHOW) == "command line"
    assert who("cd" * 6, SHOW) == "a link since replaced"


def test_every_step_of_the_ladder_has_words() -> None:
    assert len(RUNGS) == RUNG_MAX + 1


def test_padding_is_not_kept() -> None:
    assert written(NoticeOrder(" " * 10_000 + "Soon\n" + "\t" * 10_000 + "again")) == '{"text":"Soon again"}'
    assert written(RevokeOrder(seqs=((1, 2),))) == msgspec.json.encode(RevokeOrder(seqs=((1, 2),))).decode()
