"""Hold: the tone repeats without a seam, and each late chunk has exactly one author at any time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.hold import LOOP_SAMPLES, PEAK, Deadlines, HoldWatch, loop, slice_at
from stentor.model.grid import Grid
from stentor.model.rendition import RENDITIONS

MS = 1_000_000
GRID = Grid(0, 5_000 * MS, 24_000)
DEADLINES = Deadlines(GRID, 150 * MS, 400 * MS)


def test_the_tone_has_no_seam_and_is_quiet() -> None:
    tone = loop()
    assert len(tone) == LOOP_SAMPLES and all(LOOP_SAMPLES % r.frame_samples == 0 for r in RENDITIONS)
    assert abs(tone[0] - tone[-1]) <= np.abs(np.diff(tone)).max()
    assert np.abs(tone).max() <= PEAK * 1.0001
    assert np.array_equal(slice_at(tone, 3 * LOOP_SAMPLES - 5, 10), np.concatenate([tone[-5:], tone[:5]]))


def test_nothing_is_filled_before_its_grace_and_all_after() -> None:
    watch = HoldWatch(DEADLINES, 128)
    heads = (10, 10, 9, 9, 9, 9)
    due = GRID.start_ns(11)  # chunk 10 is due
    assert watch.tick(heads, 0, due + 149 * MS) == []
    assert watch.tick(heads, 0, due + 150 * MS) == [(i, 10) for i in (2, 3, 4, 5)]


def test_the_usher_looks_when_a_chunk_is_due_and_when_its_grace_is_over() -> None:
    watch, heads, due = HoldWatch(DEADLINES, 128), (10, 10, 9, 9, 9, 9), GRID.start_ns(11)
    assert watch.next_look(heads, due - 1) == due
    assert watch.next_look(heads, due) == due + 150 * MS
    assert watch.next_look(heads, due + 150 * MS) is None


def test_for_a_dead_studio_nobody_waits() -> None:
    watch = HoldWatch(Deadlines(GRID, 0, 400 * MS), 128)
    due = GRID.start_ns(11)
    assert watch.tick((9,) * 6, 0, due - 1) == []
    assert watch.tick((9,) * 6, 0, due) == [(i, 10) for i in range(6)]


def test_a_long_absence_is_filled_only_as_far_as_the_ring_reaches() -> None:
    watch = HoldWatch(DEADLINES, 16)
    filled = watch.tick((3,) * 6, 0, GRID.start_ns(1001) + 150 * MS)
    assert {n for _, n in filled} == set(range(986, 1001))
    assert filled == sorted(filled, key=lambda item: (item[1], item[0]))


def test_nothing_is_filled_after_the_end() -> None:
    watch = HoldWatch(DEADLINES, 128)
    assert watch.tick((7,) * 6, 9, GRID.start_ns(50)) == [(i, 8) for i in range(6)]


@given(st.integers(1, 10**6), st.integers(0, 10**12))
def test_the_studio_gives_way_before_any_edge_fills(n: int, late_ns: int) -> None:
    now = GRID.start_ns(n) + late_ns
    if now >= DEADLINES.edge_at(n):
        assert DEADLINES.studio_must_hold(n, now)
    if now < DEADLINES.usher_at(n):
        assert not DEADLINES.studio_must_hold(n, now)


@given(st.lists(st.integers(0, 300), min_size=6, max_size=6), st.integers(0, 400 * 500 * MS))
def test_after_a_round_every_rendition_stands_at_the_same_chunk(heads: list[int], elapsed: int) -> None:
    watch = HoldWatch(DEADLINES, 128)
    now = GRID.t0_mono_ns + elapsed
    reached = list(heads)
    for rendition_id, n in watch.tick(tuple(heads), 0, now):
        assert n > reached[rendition_id]
        reached[rendition_id] = n
    newest = max((n for n in range(0, 500) if DEADLINES.usher_at(n) <= now), default=0)
    assert all(head >= newest for head in reached)
