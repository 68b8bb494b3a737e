"""Ranges of numbers, put together."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stentor.formats.seqs import merged

PAIRS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)))


@given(PAIRS)
def test_the_same_numbers_in_ranges_that_are_apart(pairs: list[tuple[int, int]]) -> None:
    found = merged(pairs)
    numbers = [n for first, last in found for n in range(first, last + 1)]
    assert numbers == sorted({n for first, last in pairs for n in range(first, last + 1)})
    assert all(before[1] + 1 < after[0] for before, after in pairwise(found))
