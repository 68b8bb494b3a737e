"""Small plots over time as SVG, for pages without scripts: one column of values a step, None where nothing is known.

Colours are CSS classes, so that a page has them light and dark; what a line is stands beside it in words, and lines
differ in their dashes too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 960, 150
LEFT, RIGHT, TOP, BOTTOM = 66, 118, 12, 26
TICKS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
TICKS_MAX = 9
SMALL = 1e-6  # below, a value is nothing
Values = Sequence[float | None]


class Times(NamedTuple):
    """The axis that the plots of a page share: `size` steps of `step_s` from `from_ms` (Unix) on."""

    from_ms: int
    step_s: int
    size: int

    @property
    def length_ms(self) -> int:
        return max(1, self.size) * self.step_s * 1000

    def x(self, at_ms: float) -> float:
        """Where a moment is, within the plot."""
        share = min(1.0, max(0.0, (at_ms - self.from_ms) / self.length_ms))
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def at(self, step: int) -> float:
        return self.x(self.from_ms + step * self.step_s * 1000)

    def ticks(self) -> list[int]:
        """Round moments, Unix ms."""
        every_ms = 1000 * next((s for s in TICKS_S if self.length_ms / (s * 1000) <= TICKS_MAX), TICKS_S[-1])
        first = -(-self.from_ms // every_ms) * every_ms
        return list(range(first, self.from_ms + self.length_ms + 1, every_ms))


class Line(NamedTuple):
    """`kind` is one of the page's classes for lines: a, b or c."""

    name: str
    values: Values
    kind: str = "a"


class Shade(NamedTuple):
    """A time that is shaded in all plots of a page."""

    from_ms: int
    to_ms: int


def lines(name: str, times: Times, drawn: Sequence[Line], shades: Sequence[Shade] = (), mark_ms: int = 0) -> str:
    """Lines from 0 up to the largest value; `name` is what a screen reader says instead."""
    top = nice(max((value for line in drawn for value in line.values if value is not None), default=0.0))
    body = [_grid(times, [0, top / 2, top], top)]
    body += [f'<path class="line {line.kind}" d="{_path(times, line.values, top)}"/>' for line in drawn]
    labels = [(_last(line.values), line) for line in drawn]
    spots = _apart([_y(value, top) for value, _ in labels])
    body += [
        f'<text class="{line.kind}" x="{WIDTH - RIGHT + 8}" y="{spot:.1f}">{escape(line.name)}</text>'
        for spot, (_, line) in zip(spots, labels, strict=True)
    ]
    return _svg(name, times, body, shades, mark_ms)


def steps(
    name: str, times: Times, values: Values, rows: Sequence[str], shades: Sequence[Shade] = (), mark_ms: int = 0
) -> str:
    """A value of `rows` (index from 0, the lowest) in each step, as bars that rise with it."""
    top = max(1, len(rows) - 1)
    body = [_grid(times, [], top)]
    body += [
        f'<text class="tick" x="{WIDTH - RIGHT + 8}" y="{_y(at, top) + 4:.1f}">{escape(row)}</text>'
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(at, top):.1f}" y2="{_y(at, top):.1f}"/>'
        for at, row in enumerate(rows)
    ]
    body += [_bar(times, first, stop, value, top) for first, stop, value in runs(values) if value is not None]
    return _svg(name, times, body, shades, mark_ms)


def _bar(times: Times, first: int, stop: int, value: float, top: float) -> str:
    x, width, y = times.at(first), times.at(stop) - times.at(first), _y(value, top) - 2
    return (
        f'<rect class="bar v{int(value)}" x="{x:.1f}" y="{y:.1f}" width="{max(1.0, width):.1f}" '
        f'height="{HEIGHT - BOTTOM - y:.1f}"/>'
    )


def runs(values: Values) -> list[tuple[int, int, float | None]]:
    """(first, one past the last, value) of each run of equal values."""
    found: list[tuple[int, int, float | None]] = []
    for at, value in enumerate(values):
        if found and found[-1][2] == value:
            found[-1] = (found[-1][0], at + 1, value)
        else:
            found.append((at, at + 1, value))
    return found


def nice(largest: float) -> float:
    """A round value that is not below `largest`, and above 0."""
    if largest < SMALL:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(largest))
    return next(unit * step for step in (1, 2, 4, 5, 10) if unit * step >= largest * (1 - SMALL))


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(1.0, value / top))


def _path(times: Times, values: Values, top: float) -> str:
    """Lines between neighbours that are known; a single one is a short dash."""
    parts = []
    before: float | None = None
    for at, value in enumerate(values):
        if value is not None:
            x, y = times.at(at), _y(value, top)
            parts.append(
                f"{'L' if before is not None else 'M'}{x:.1f} {y:.1f}" + ("" if before is not None else "h0.8")
            )
        before = value
    return "".join(parts)


def _last(values: Values) -> float:
    return next((value for value in reversed(values) if value is not None), 0.0)


def _apart(spots: Sequence[float]) -> list[float]:
    """The same heights, moved so that words there do not cover each other."""
    order = sorted(range(len(spots)), key=lambda at: spots[at])
    placed = list(spots)
    lowest = TOP + 4.0
    for at in order:
        placed[at] = max(spots[at] + 4, lowest)
        lowest = placed[at] + 15
    over = max(0.0, lowest - 15 - (HEIGHT - BOTTOM + 4))
    return [spot - over for spot in placed]


def _grid(times: Times, rows: Sequence[float], top: float) -> str:
    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(row, top):.1f}" y2="{_y(row, top):.1f}"/>'
        f'<text class="tick end" x="{LEFT - 8}" y="{_y(row, top) + 4:.1f}">{row:,.6g}</text>'
        for row in rows
    ]
    for tick in times.ticks():
        word = datetime.fromtimestamp(tick / 1000, UTC).strftime("%H:%M:%S" if times.length_ms < 600_000 else "%H:%M")
        parts.append(f'<text class="tick mid" x="{times.x(tick):.1f}" y="{HEIGHT - 8}">{word}</text>')
        parts.append(f'<path class="grid" d="M{times.x(tick):.1f} {HEIGHT - BOTTOM}v4"/>')
    return "".join(parts)


def _svg(name: str, times: Times, body: Sequence[str], shades: Sequence[Shade], mark_ms: int) -> str:
    height = HEIGHT - TOP - BOTTOM
    back = [
        f'<rect class="shade" x="{times.x(shade.from_ms):.1f}" y="{TOP}" height="{height}" '
        f'width="{max(1.5, times.x(shade.to_ms) - times.x(shade.from_ms)):.1f}"/>'
        for shade in shades
    ]
    if times.from_ms <= mark_ms <= times.from_ms + times.length_ms:
        back.append(f'<path class="mark" d="M{times.x(mark_ms):.1f} {TOP}v{height}"/>')
    inner = "".join([*back, *body])
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">{inner}</svg>'
