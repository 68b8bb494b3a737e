"""How fast one link may give orders."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stentor.core.pace import Pace


def test_a_burst_then_one_at_a_time() -> None:
    pace = Pace(burst=3, per_s=2.0)
    assert [pace.take("a", 10.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert pace.take("a", 10.25) == 0.25
    assert pace.take("a", 10.5) == 0.0


def test_links_do_not_slow_each_other() -> None:
    pace = Pace(burst=1)
    assert pace.take("a", 0.0) == 0.0
    assert pace.take("b", 0.0) == 0.0
    assert pace.take("a", 0.0) > 0.0


def test_the_longest_unused_bucket_makes_room() -> None:
    pace = Pace(burst=2, per_s=0.001, links_max=2)
    for number, key in enumerate("abc"):
        assert pace.take(key, float(number)) == 0.0
    assert len(pace._buckets) == 2 and "a" not in pace._buckets


@given(st.lists(st.floats(0.0, 2.0), max_size=200))
def test_never_more_than_the_burst_and_the_rate(waits: list[float]) -> None:
    pace, now, taken = Pace(burst=5, per_s=2.0), 0.0, 0
    for wait in waits:
        now += wait
        taken += pace.take("a", now) == 0.0
    assert taken <= 5 + 2.0 * now + 1e-6
