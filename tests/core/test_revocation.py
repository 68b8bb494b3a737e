"""What is revoked: each ticket by itself, and many at once, by the same rule."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.revocation import Revocation
from stentor.formats.ticket import Class, Kind, Token
from stentor.model.board import Revoked

SEQS = st.integers(0, 60)
TOP = 2**32 - 1


def token(seq: int = 1, key_id: int = 9, cls: Class = Class.LATE) -> Token:
    return Token(Kind.TICKET, b"8 bytes.", cls, seq, 0, 0, 0, key_id)


def test_nothing_is_revoked_to_begin_with() -> None:
    assert not Revocation(Revoked())
    assert not Revocation(Revoked()).covers(token())


def test_by_key_by_class_and_by_seq() -> None:
    revocation = Revocation(Revoked((9,), (int(Class.INVITED),), ((5, 7), (TOP, TOP))))
    assert revocation
    assert revocation.keys == {9}
    assert revocation.covers(token(key_id=9))
    assert not revocation.covers(token(key_id=8))
    assert revocation.covers(token(key_id=8, cls=Class.INVITED))
    assert [revocation.covers(token(seq, 8)) for seq in (4, 5, 7, 8, TOP)] == [False, True, True, False, True]


@given(
    st.lists(st.tuples(SEQS, SEQS), max_size=8),
    st.sets(st.integers(0, 3)),
    st.sets(st.sampled_from(Class)),
    st.lists(st.tuples(SEQS, st.integers(0, 3), st.sampled_from(Class)), max_size=40),
)
def test_many_at_once_are_judged_as_each_by_itself(
    ranges: list[tuple[int, int]],
    key_ids: set[int],
    classes: set[Class],
    tickets: list[tuple[int, int, Class]],
) -> None:
    revocation = Revocation(Revoked(tuple(key_ids), tuple(map(int, classes)), tuple(ranges)))
    expected = [
        key_id in key_ids or cls in classes or any(first <= seq <= last for first, last in ranges)
        for seq, key_id, cls in tickets
    ]
    assert [revocation.covers(token(*one)) for one in tickets] == expected
    seqs, keys, kinds = (
        (np.array(row, np.int64) for row in zip(*tickets, strict=True)) if tickets else [np.empty(0)] * 3
    )
    assert revocation.among(seqs, keys, kinds).tolist() == expected
