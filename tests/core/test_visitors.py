"""How many play HLS: who says so is counted, who cannot is estimated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core import visitors
from stentor.core.visitors import FORGOTTEN_S, GONE_S, HALF_S, Visitors
from stentor.formats import ticket


def token(seq: int, key_id: int = 5, cls: ticket.Class = ticket.Class.LATE) -> ticket.Token:
    return ticket.Token(ticket.Kind.TICKET, ticket.show_tag("talk"), cls, seq, 0, 0, 60, key_id, 1)


def crowd(count: int, now_s: float = 0.0) -> Visitors:
    """So many who have asked for the playlist of playlists."""
    one = Visitors()
    for seq in range(count):
        one.visit(token(seq), now_s)
    return one


def test_who_only_asked_for_the_playlist_is_estimated_and_fades() -> None:
    one = crowd(100)
    assert one.count(0.0) == (0, 100)
    assert one.count(HALF_S) == (0, 50)
    assert one.count(2 * HALF_S) == (0, 25)
    assert one.count(FORGOTTEN_S) == (0, 0) and not one.rows()[0].size and not one.seqs().size


def test_who_asks_again_has_come_anew() -> None:
    one = crowd(100)
    for seq in range(100):
        one.visit(token(seq), HALF_S)
    assert one.count(HALF_S) == (0, 100)


def test_who_sends_beacons_is_counted_until_two_have_not_come() -> None:
    one = crowd(3)
    for seq in range(2):
        one.beacon(token(seq), 10.0)
    assert one.count(10.0) == (2, 1)
    one.beacon(token(1), 40.0)
    assert one.count(10.0 + GONE_S) == (1, 1)
    assert one.count(40.0 + GONE_S) == (0, 1)


def test_a_page_that_asks_for_the_playlist_again_stays_counted() -> None:
    one = Visitors()
    one.beacon(token(1), 0.0)
    one.visit(token(1), 1.0)
    assert one.count(1.0) == (1, 0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["visit", "beacon", "leave"]), st.integers(0, 4), st.floats(0, 900)), max_size=40
    )
)
def test_the_estimate_is_the_sum_over_all_of_what_is_left_of_each(did: list[tuple[str, int, float]]) -> None:
    one, seen, signed, now_s = Visitors(), {}, set(), 0.0
    for what, seq, passed_s in did:
        now_s += passed_s
        one.count(now_s)
        if what == "visit":
            one.visit(token(seq), now_s)
            signed_now = {kept for kept in signed if kept[0] == seq and kept[1] > now_s - GONE_S}
            seen |= {} if signed_now else {seq: now_s}
            signed |= {(seq, now_s)} if signed_now else set()
        elif what == "beacon":
            one.beacon(token(seq), now_s)
            seen.pop(seq, None)
            signed |= {(seq, now_s)}
        else:
            one.leave(seq)
            seen.pop(seq, None)
            signed = {kept for kept in signed if kept[0] != seq}
    left = sum(2 ** ((at_s - now_s) / HALF_S) for at_s in seen.values() if at_s > now_s - FORGOTTEN_S)
    assert abs(one.count(now_s).estimated - left) <= 0.5 + 1e-9


def test_who_leaves_has_no_seat() -> None:
    one = crowd(2)
    one.beacon(token(1), 0.0)
    one.leave(0)
    one.leave(1)
    one.leave(2)
    assert one.count(0.0) == (0, 0)


def test_all_are_named_with_what_stood_in_their_tickets() -> None:
    one = Visitors()
    one.visit(token(7, key_id=9), 0.0)
    one.beacon(token(8, cls=ticket.Class.RECONNECT), 0.0)
    rows = [tuple(int(value) for value in row) for row in zip(*one.rows(), strict=True)]
    assert rows == [(8, 5, int(ticket.Class.RECONNECT)), (7, 9, int(ticket.Class.LATE))]
    assert one.seqs().tolist() == [8, 7]


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "VISITORS_MAX", 10)
    assert crowd(50).count(0.0) == (0, 10)
