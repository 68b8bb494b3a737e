"""What is written into the ledger, of which show, and how much."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from stentor.core import ledger
from stentor.formats.ledger import Begun, Judged, Noted, Ordered, Ruled, Sampled, encode, read
from stentor.model.board import Phase, Rule, Shield, Show, Signal, Stage, Verdict

KEY = b"k" * 32
RULE = Rule("r1", "drop", "203.0.113.7/32", 1_000, 61_000, why="66 joins from 203.0.113.7, none played")
SHOW = Show("friday", "Friday", starts_at_ms=100_000, opens_at_ms=50_000)
NEXT = Show("monday", "Monday", starts_at_ms=900_000, opens_at_ms=850_000)


def _ruled(at_ms: int = 0) -> Ruled:
    return ledger.ruled(RULE, "made", KEY, at_ms)


def test_a_rule_is_written_without_its_address() -> None:
    line = encode(_ruled())
    assert b"203.0.113" not in line
    assert read(line).entries == [_ruled()]
    assert (_ruled().kind, _ruled().why) == ("IPv4 address", "66 joins from an address, none played")


def test_a_verdict_is_written_without_addresses() -> None:
    shield = Shield(7, Verdict.ATTACK, 5, 3, (Signal("completion", "198.51.100.1 plays nothing", 1, 66, 0.999),), 412)
    assert ledger.judged(shield) == Judged(
        7, Verdict.ATTACK, 3, (Signal("completion", "an address plays nothing", 1, 66, 0.999),), 412
    )


def test_an_entry_where_the_verdict_or_its_consequence_is_another() -> None:
    calm, crowd = Shield(1), Shield(2, Verdict.CROWD, 2, 1)
    assert not ledger.judged_anew(None, calm)
    assert ledger.judged_anew(None, crowd) and ledger.judged_anew(calm, crowd)
    assert not ledger.judged_anew(crowd, replace(crowd, at_ms=9, joins=700))
    assert ledger.judged_anew(crowd, replace(crowd, level=2))


def test_rules_make_room_for_everything_else() -> None:
    book = ledger.Book(ledger.RULES_BYTES_MAX - 30)
    lines = book.receive(_ruled())
    assert [type(entry) for entry in read(lines).entries] == [Ruled, Noted]
    assert book.receive(_ruled()) == b""
    assert read(book.receive(Sampled(5))).entries == [Sampled(5)]
    assert ledger.Book(ledger.RULES_BYTES_MAX).receive(_ruled()) == b""


def test_the_last_line_says_that_there_is_no_more() -> None:
    book = ledger.Book(ledger.BYTES_MAX - ledger.LAST_BYTES - 10)
    *_, last = read(book.receive(Sampled(5))).entries
    assert isinstance(last, Noted) and "full" in last.words
    assert book.full and book.receive(Sampled(6)) == b""
    assert ledger.Book(ledger.BYTES_MAX).full


def test_never_beyond_the_bound() -> None:
    book, written = ledger.Book(ledger.BYTES_MAX - 20_000), ledger.BYTES_MAX - 20_000
    for at_ms in range(2_000):
        written += len(book.receive(Sampled(at_ms, joins=7, waiting=9)))
    assert written <= ledger.BYTES_MAX


def test_samples_come_each_second_and_catch_up_with_nothing() -> None:
    pace = ledger.Pace()
    due = [now for now in range(0, 5_000, 250) if pace.due(now, busy=True)]
    assert due == [0, 1_000, 2_000, 3_000, 4_000]
    assert pace.due(60_000, busy=True) and not pace.due(60_250, busy=True)
    assert not pace.due(90_000, busy=False) and pace.due(120_000, busy=False)


@pytest.mark.parametrize(
    ("stage", "ended", "now_ms", "found"),
    [
        (None, {}, 0, SHOW),
        (Stage(0, show="monday", phase=Phase.OPEN), {}, 0, NEXT),
        (Stage(0, show="friday", phase=Phase.ENDED), {"friday": 200_000}, 250_000, SHOW),  # for a while
        (None, {"friday": 200_000}, 200_000 + ledger.AFTER_MS, NEXT),
        (None, {"friday": 800_000}, 860_000, NEXT),  # the doors of the next are open
        (None, {"friday": 200_000, "monday": 950_000}, 10**9, NEXT),  # none to come
        (Stage(0, show="unknown", phase=Phase.LIVE), {}, 0, SHOW),
    ],
)
def test_whose_ledger_it_is(stage: Stage | None, ended: dict[str, int], now_ms: int, found: Show) -> None:
    assert ledger.subject([NEXT, SHOW], stage, ended, now_ms) == found


def test_without_a_show_there_is_no_ledger() -> None:
    assert ledger.subject([], None, {}, 0) is None
    assert ledger.subject([replace(SHOW, wish="cancel")], None, {}, 0) is None


def test_orders_of_the_crew_in_words() -> None:
    after = replace(SHOW, dry_run=True, siege=True, cap=5_000, released=("203.0.113.7/32",), closed=True, rung=2)
    words = [order.words for order in ledger.orders(SHOW, after, 9)]
    assert words == [
        "Dry run: rules are made, but not enforced",
        "Siege: only tickets and places are let in",
        "Closed the door",
        "At most 5,000 listeners",
        "Quality: step 2 at least",
        "Released 1 rule",
    ]
    assert list(ledger.orders(None, SHOW, 9)) == list(ledger.orders(NEXT, SHOW, 9)) == []
    assert [order.words for order in ledger.orders(after, replace(after, siege=False), 9)] == ["Siege over"]
    assert all(isinstance(order, Ordered) for order in ledger.orders(SHOW, after, 9))


def test_the_first_entry_names_the_show() -> None:
    assert ledger.begun(SHOW, 5) == Begun(5, "friday", "Friday", 50_000, 100_000)
