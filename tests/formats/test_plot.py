"""The small plots: scales, gaps, and that they are well-formed whatever goes in."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.formats import plot
from stentor.formats.plot import Line, Shade, Times

TIMES = Times(1_760_000_000_000, 5, 60)
values = st.lists(st.none() | st.floats(0, 1e9), min_size=1, max_size=60)


def _elements(svg: str, kind: str) -> list[ElementTree.Element]:
    return [part for part in ElementTree.fromstring(svg).iter() if part.tag == kind]


@settings(deadline=None)
@given(values, values)
def test_lines_stay_within_the_plot(one: list[float | None], other: list[float | None]) -> None:
    svg = plot.lines("<two> & more", TIMES, [Line("a", one), Line("b", other, "b")], [Shade(0, 2**50)])
    assert ElementTree.fromstring(svg).attrib["aria-label"] == "<two> & more"
    for part in _elements(svg, "text"):
        assert -1 <= float(part.attrib["y"]) <= plot.HEIGHT
    (shade,) = [part for part in _elements(svg, "rect") if part.attrib["class"] == "shade"]
    assert float(shade.attrib["x"]) + float(shade.attrib["width"]) <= plot.WIDTH - plot.RIGHT + 2


def test_a_gap_breaks_the_line() -> None:
    path = next(
        part
        for part in _elements(plot.lines("x", TIMES, [Line("a", [1, 2, None, 3])]), "path")
        if "line" in part.attrib["class"]
    )
    assert path.attrib["d"].count("M") == 2


def test_steps_are_bars_of_their_class() -> None:
    svg = plot.steps("x", TIMES, [0, 0, 3, None, 1], ("calm", "crowd", "undecided", "attack"))
    assert [part.attrib["class"] for part in _elements(svg, "rect")] == ["bar v0", "bar v3", "bar v1"]


def test_the_start_is_marked_where_it_is_shown() -> None:
    inside = plot.lines("x", TIMES, [Line("a", [1])], mark_ms=TIMES.from_ms + 1000)
    outside = plot.lines("x", TIMES, [Line("a", [1])], mark_ms=TIMES.from_ms - 1000)
    assert ('class="mark"' in inside, 'class="mark"' in outside) == (True, False)


@pytest.mark.parametrize(
    ("largest", "round_up"), [(0, 1), (0.3, 0.4), (1, 1), (3, 4), (4_200, 5_000), (99_999, 100_000)]
)
def test_round_scales(largest: float, round_up: float) -> None:
    assert plot.nice(largest) == pytest.approx(round_up)


@settings(deadline=None)
@given(st.integers(1, 3_600), st.integers(1, 400))
def test_ticks_are_few_and_within(step_s: int, size: int) -> None:
    times = Times(1_760_000_000_123, step_s, size)
    ticks = times.ticks()
    assert len(ticks) <= plot.TICKS_MAX + 1 or step_s * size > 9 * plot.TICKS_S[-1]
    assert all(times.from_ms <= tick <= times.from_ms + times.length_ms for tick in ticks)


def test_runs() -> None:
    assert plot.runs([1, 1, None, 2]) == [(0, 2, 1), (2, 3, None), (3, 4, 2)]
