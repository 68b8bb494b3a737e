"""Lines of the ledger: what is written is read, whatever became of the lines around it; and no address is in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.formats import ledger
from stentor.formats.ledger import Begun, Entry, Judged, Noted, Ordered, Ruled, Sampled
from stentor.model.board import Phase, Signal, Verdict

KEY = bytes(32)
counts = st.integers(0, 2**40)
words = st.text(max_size=80)
ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    st.builds(Begun, counts, words, words, counts, counts),
    st.builds(Sampled, counts, st.sampled_from(Phase), counts, counts, counts, absent=st.tuples(words)),
    st.builds(
        Judged,
        counts,
        st.sampled_from(Verdict),
        st.integers(0, 4),
        st.lists(st.builds(Signal, st.just("completion"), words, counts, counts), max_size=3).map(tuple),
    ),
    st.builds(Ruled, counts, words, st.just("made"), st.just("drop"), words, why=words, spared=words),
    st.builds(Ordered, counts, words),
    st.builds(Noted, counts, words),
)
histories = st.lists(ENTRIES, max_size=12)


def _bytes(entries: list[Entry]) -> bytes:
    return b"".join(map(ledger.encode, entries))


@settings(deadline=None)
@given(histories)
def test_what_is_written_is_read(entries: list[Entry]) -> None:
    assert ledger.read(_bytes(entries)) == (entries, 0, False)


@settings(deadline=None)
@given(histories, histories, st.data())
def test_a_torn_end_costs_its_own_line_and_no_other(
    before: list[Entry], after: list[Entry], data: st.DataObject
) -> None:
    """Cut anywhere, as by a crash; who comes later ends the line, and goes on."""
    whole = _bytes(before)
    cut = data.draw(st.integers(0, len(whole)))
    left = whole[:cut]
    torn = bool(left) and not left.endswith(b"\n")
    kept = before[: left.count(b"\n")]
    assert ledger.read(left) == (kept, 0, torn)
    found = ledger.read(left + b"\n" * torn + _bytes(after))
    assert found.unread <= torn
    last = before[len(kept) : len(kept) + 1] if torn and not found.unread else []  # only its end of line was missing
    assert found.entries == [*kept, *last, *after]


@settings(deadline=None)
@given(histories, st.binary(min_size=1, max_size=40), st.data())
def test_nothing_that_stands_in_a_file_stops_the_reader(entries: list[Entry], junk: bytes, data: st.DataObject) -> None:
    whole = _bytes(entries)
    at = data.draw(st.integers(0, len(whole)))
    found = ledger.read(whole[:at] + junk + whole[at:])
    assert len(found.entries) >= len(entries) - 1 - junk.count(b"\n")


def test_a_line_of_a_later_version_is_passed_over() -> None:
    lines = b'{"is":"foretold","at_ms":1}\n' + ledger.encode(Noted(2, "x")) + b"[]\n" + b"x" * 20_000 + b"\n"
    assert ledger.read(lines) == ([Noted(2, "x")], 3, False)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("66 joins from 203.0.113.7, none played", "66 joins from an address, none played"),
        ("203.0.113.7:443 and [2001:db8::1]:443.", "an address and [an address]:443."),
        ("from 2001:db8:0:1::/64.", "from an address."),
        ("::ffff:198.51.100.9/128 again", "an address again"),
        ("at 20:15:30, 9,800 joins in 10 s: 96.5 %", "at 20:15:30, 9,800 joins in 10 s: 96.5 %"),
        ("two\nlines", "two lines"),
    ],
)
def test_words_lose_their_addresses(said: str, written: str) -> None:
    assert ledger.nameless(said) == written


@settings(deadline=None)
@given(st.ip_addresses().map(str), words, words)
def test_no_address_stays_in_words(address: str, before: str, after: str) -> None:
    assert address not in ledger.nameless(f"{before} {address} {after}") or address == "::"


def test_words_have_a_bound() -> None:
    assert len(ledger.nameless("x" * 5_000)) == ledger.WORDS_CHARS_MAX


def test_a_source_is_hashed_by_the_key() -> None:
    one = ledger.hashed(KEY, "203.0.113.7/32")
    assert one == ledger.hashed(KEY, "203.0.113.7/32") != ledger.hashed(b"x" * 32, "203.0.113.7/32")
    assert len(one) == 16


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("203.0.113.7/32", "IPv4 address"),
        ("203.0.113.0/24", "IPv4 /24"),
        ("2001:db8::/64", "IPv6 /64"),
        ("nobody", "unknown"),
    ],
)
def test_kinds_of_targets(target: str, kind: str) -> None:
    assert ledger.kind_of(target) == kind
