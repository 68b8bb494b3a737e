"""The grid: chunks meet without overlap, and never stray from their time by more than half a frame."""

from hypothesis import given
from hypothesis import strategies as st

from stentor.model.grid import Grid
from stentor.model.rendition import RENDITIONS, Rendition

CHUNKS = st.sampled_from([12_000, 24_000, 48_000, 96_000])


@given(st.sampled_from(RENDITIONS), CHUNKS, st.integers(1, 10**7))
def test_a_chunk_sounds_at_its_time_to_half_a_frame(rendition: Rendition, chunk_samples: int, n: int) -> None:
    grid = Grid(0, 0, chunk_samples)
    assert abs(grid.presented_at(rendition, n) - n * chunk_samples) * 2 <= rendition.frame_samples
    assert grid.presented_at(rendition, n) >= 0
    whole = grid.presented_at(rendition, n) + grid.frame_count(rendition, n) * rendition.frame_samples
    assert whole == grid.presented_at(rendition, n + 1)


@given(CHUNKS, st.integers(0, 10**15), st.integers(0, 10**7))
def test_n_at_and_start_are_inverse(chunk_samples: int, t0: int, n: int) -> None:
    grid = Grid(0, t0, chunk_samples)
    assert grid.n_at(grid.start_ns(n) + 1) == n
    assert grid.n_at(grid.start_ns(n + 1) - 1) == n


def test_figures() -> None:
    grid = Grid(0, 0, 24_000)
    opus, _, aac, _, mp3, _ = RENDITIONS
    assert [grid.frame_count(opus, n) for n in range(1, 5)] == [25, 25, 25, 25]
    assert [grid.frame_count(aac, n) for n in range(1, 17)].count(24) == 7
    assert sum(grid.frame_count(aac, n) for n in range(1, 129)) == 3_000
    assert sum(grid.frame_count(mp3, n) for n in range(1, 49)) == 1_000
