"""Who listens from where: heard, or taking nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stentor.core.attendance import HEARD_S, PATIENCE_S, SLICES, UNDRAINED_S, Attendance

KEY, OTHER = b"k" * 16, b"o" * 16


def test_who_has_taken_two_seconds_has_heard_something() -> None:
    one = Attendance()
    one.join(7, KEY, 0.0)
    assert one.look(HEARD_S - 0.1, lambda fd: 0) == [] and KEY not in one
    assert one.look(HEARD_S, lambda fd: 0) == [(KEY, "completed")] and KEY in one
    assert one.look(60.0, lambda fd: 0) == []
    one.part(7)
    assert KEY not in one


def test_who_takes_nothing_is_told_of_once_and_is_nobody_who_listens() -> None:
    one, found = Attendance(), []
    one.join(7, KEY, 0.0)
    for tick in range(int(4 * PATIENCE_S)):
        found += one.look(tick / 2, lambda fd: 30_000)
    assert found == [(KEY, "undrained")] and KEY not in one
    assert one.some() == []


def test_who_takes_it_late_has_heard_it_all_the_same() -> None:
    one = Attendance()
    one.join(7, KEY, 0.0)
    for now_s in (HEARD_S, UNDRAINED_S):
        told = one.look(now_s, lambda fd: 30_000)
    assert told == [(KEY, "undrained")]
    assert one.look(UNDRAINED_S + 1, lambda fd: 0) == [(KEY, "completed")] and KEY in one


def test_a_descriptor_that_is_somebody_else_s_by_now_says_nothing_of_who_had_it() -> None:
    one = Attendance()
    one.join(7, KEY, 0.0)
    one.part(7)
    one.join(7, OTHER, 1.0)
    assert one.look(HEARD_S, lambda fd: 0) == []
    assert one.look(1.0 + HEARD_S, lambda fd: 0) == [(OTHER, "completed")]


def test_who_was_dropped_took_nothing() -> None:
    one = Attendance()
    one.join(7, KEY, 0.0)
    one.drop(7)
    one.part(7)
    assert one.look(0.1, lambda fd: 0) == [(KEY, "undrained")]


@given(st.sets(st.binary(min_size=16, max_size=16), max_size=50))
def test_all_sources_are_told_in_so_many_parts(keys: set[bytes]) -> None:
    one = Attendance()
    for fd, key in enumerate(sorted(keys)):
        one.join(fd, key, 0.0)
    one.look(HEARD_S, lambda fd: 0)
    told = [key for _ in range(SLICES) for key in one.some()]
    assert set(told) == keys
