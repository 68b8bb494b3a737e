"""Numbers in order are as if they were in one sorted list."""

from bisect import bisect_right

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core import order
from stentor.core.order import TOP, Order

VALUES = st.lists(st.integers(0, 50) | st.integers(0, TOP), max_size=60)


def made(parts: list[list[int]]) -> tuple[Order, list[int]]:
    numbers = Order()
    for part in parts:
        numbers.add(np.array(part, np.uint64))
    return numbers, sorted(value for part in parts for value in part)


@given(st.lists(VALUES, max_size=6), st.integers(0, 60) | st.integers(0, TOP))
def test_counts_and_places(parts: list[list[int]], value: int) -> None:
    numbers, flat = made(parts)
    assert numbers.total == len(flat) and numbers.up_to(value) == bisect_right(flat, value)
    assert [numbers.at(k + 1) for k in range(len(flat))] == flat
    assert numbers.between(value, TOP).tolist() == sorted({item for item in flat if item > value})


@given(st.lists(VALUES, max_size=6), st.integers(0, 60) | st.integers(0, TOP), st.integers(3, 12))
def test_points_are_exact_and_end_with_the_greatest(parts: list[list[int]], above: int, count: int) -> None:
    numbers, flat = made(parts)
    points = numbers.points(above, count)
    assert points[0] == (above, bisect_right(flat, above)) and len(points) <= count
    assert [item for item, _ in points] == sorted({item for item, _ in points})
    assert all(below == bisect_right(flat, item) for item, below in points)
    assert points[-1][1] == len(flat)


def test_points_are_spread_evenly() -> None:
    numbers = Order()
    for seed in range(5):
        numbers.add(np.random.default_rng(seed).integers(0, 2**32, 10_000, dtype=np.uint64))
    counts = [below for _, below in numbers.points(0, 64)]
    assert len(counts) > 60 and max(np.diff(counts)) < 3 * 50_000 / 64


def test_runs_stay_short_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "RUN_MIN", 0)
    monkeypatch.setattr(order, "RUN_MAX", 64)
    numbers, flat = made([list(range(i * 4, i * 4 + 4)) for i in range(100)])
    assert max(map(len, numbers._runs)) == 64 and len(numbers._runs) <= 400 // 64 + 6
    assert numbers.at(200) == flat[199]
