"""The window: what comes in leaves it ten seconds later, and the table is bounded."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.evidence import KNOWN_MS, RIPE_MS, WINDOW_MS, Evidence
from stentor.core.witness import Witness
from stentor.formats import evidence
from stentor.formats.evidence import decode

SEEN = st.lists(
    st.tuples(st.integers(0, 4_000), st.integers(1, 6), st.sampled_from(["requests", "starts", "forged"])), max_size=60
)


def told(at: Evidence, now_ms: int, *counts: tuple[str, str, int]) -> None:
    """A worker tells of (source, field, how often)."""
    one = Witness(evidence.DOOR, 0)
    for source, field, n in counts:
        one.count(source, field, n)
    for data in one.flush(now_ms):
        at.receive(decode(data), now_ms)


@given(SEEN)
def test_the_window_holds_what_came_in_the_last_ten_seconds(seen: list[tuple[int, int, str]]) -> None:
    at, now_ms, all_ = Evidence(), 0, []
    for passed_ms, number, field in seen:
        now_ms += passed_ms
        told(at, now_ms, (f"10.0.0.{number}", field, number))
        all_.append((now_ms, f"10.0.0.{number}/32", field, number))
        picture = at.tick(now_ms)
        for name in ("requests", "starts", "forged"):
            expected: Counter[str] = Counter()
            for at_ms, target, what, n in all_:
                expected[target] += n * (what == name and at_ms > now_ms - WINDOW_MS)
            found = dict(
                zip(map(evidence.target, map(bytes, picture.keys)), picture.column(name).tolist(), strict=True)
            )
            assert found == {target: n for target, n in expected.items() if target in found}
            assert all(target in found for target, n in expected.items() if n)


def test_a_start_is_ripe_when_it_can_have_been_completed() -> None:
    at = Evidence()
    told(at, 0, ("10.0.0.1", "starts", 5))
    assert at.tick(RIPE_MS - 1).ripe.tolist() == [0]
    told(at, RIPE_MS, ("10.0.0.1", "starts", 2))
    assert at.tick(RIPE_MS).ripe.tolist() == [5]
    assert at.tick(WINDOW_MS).ripe.tolist() == [2]
    assert at.tick(WINDOW_MS + RIPE_MS).ripe.tolist() == []


def test_who_behaved_well_is_known_for_a_while() -> None:
    at = Evidence()
    told(at, 0, ("10.0.0.1", "places", 1), ("10.0.0.2", "requests", 1))
    picture = at.tick(1)
    assert picture.known[np.argsort(picture.keys)].tolist() == [True, False]
    at.tick(WINDOW_MS)
    told(at, KNOWN_MS - 1, ("10.0.0.1", "starts", 1))
    assert at.tick(KNOWN_MS - 1).known.tolist() == [True]
    assert at.tick(KNOWN_MS).known.tolist() == [False]


def test_of_sources_beyond_the_table_only_their_events_are_counted() -> None:
    at = Evidence(sources_max=3)
    told(at, 0, *((f"10.0.0.{number}", "requests", 2) for number in range(5)))
    picture = at.tick(0)
    assert (len(picture.keys), picture.overflow) == (3, 4)
    assert at.tick(WINDOW_MS).overflow == 0
    told(at, WINDOW_MS, *((f"10.0.1.{number}", "requests", 2) for number in range(3)))
    assert len(at.tick(WINDOW_MS).keys) == 3, "their rows are free again"
