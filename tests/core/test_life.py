"""The life of a show: by the clock with nobody there, by wishes, and on from where a studio left off."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.life import FINAL, MOVES, Cause, Life, Times, mermaid, outcome
from stentor.model.board import Phase, Wish

T0 = 1_000_000
OPENS = T0 - 900
TIMES = Times(opens_at_ms=OPENS, starts_at_ms=T0)
DRAWN = Times(opens_at_ms=OPENS, starts_at_ms=T0, draws_at_ms=T0 - 300)
WISHES: tuple[Wish, ...] = ("", "go", "hold", "end", "cancel")


def _phases(life: Life, *ticks: tuple[int, Wish]) -> list[str]:
    return [change.after.value for now_ms, wish in ticks for change in life.tick(now_ms, wish)]


def test_live_at_its_minute_with_nobody_there() -> None:
    life = Life(TIMES)
    assert _phases(life, (OPENS - 1, ""), (OPENS, ""), (T0 - 1, ""), (T0, "")) == ["open", "live"]


def test_a_show_with_a_draw_is_drawn_in_between() -> None:
    assert _phases(Life(DRAWN), (OPENS, ""), (T0 - 300, ""), (T0, "")) == ["open", "drawn", "live"]


def test_a_studio_that_comes_late_catches_up_in_one_tick() -> None:
    assert _phases(Life(DRAWN), (T0 + 5, "")) == ["open", "drawn", "live"]


def test_go_starts_early() -> None:
    life = Life(TIMES)
    (change,) = life.tick(OPENS - 50, "go", "all here")
    assert change == (OPENS - 50, Phase.ANNOUNCED, Cause.GO, Phase.LIVE, "all here")
    assert _phases(life, (T0, "go")) == []


def test_hold_keeps_a_show_from_its_minute_until_go() -> None:
    life = Life(TIMES)
    life.tick(OPENS, "")
    (change,) = life.tick(T0 - 10, "hold", "the guest is late")
    assert (change.after, change.reason) == (Phase.HELD, "the guest is late")
    assert _phases(life, (T0, "hold"), (T0 + 500, "hold"), (T0 + 600, "go")) == ["live"]


def test_the_clock_gives_no_reason() -> None:
    assert [change.reason for change in Life(TIMES).tick(T0, "", "left over")] == ["", ""]


def test_hold_is_too_late_once_live() -> None:
    life = Life(TIMES, Phase.LIVE)
    assert _phases(life, (T0 + 1, "hold")) == []
    assert _phases(life, (T0 + 3, "end"), (T0 + 4, "go")) == ["ended"]


def test_an_end_that_the_desk_took_for_a_show_to_come_still_ends_the_show_that_has_begun() -> None:
    """The desk made a cancel of it (core/desk.set_wish), and T0 came before the studio heard."""
    assert _phases(Life(TIMES, Phase.OPEN), (T0, ""), (T0 + 63, "cancel")) == ["live", "ended"]


@pytest.mark.parametrize("wish", ["cancel", "end"])
@pytest.mark.parametrize("phase", [Phase.ANNOUNCED, Phase.OPEN, Phase.DRAWN, Phase.HELD])
def test_what_is_stopped_before_it_began_is_cancelled(phase: Phase, wish: Wish) -> None:
    assert _phases(Life(TIMES, phase), (T0 + 1, wish)) == ["cancelled"]


@pytest.mark.parametrize("phase", list(Phase))
def test_a_restarted_studio_goes_on_from_its_phase(phase: Phase) -> None:
    life = Life(TIMES, phase)
    clock_moves_it = phase in (Phase.ANNOUNCED, Phase.OPEN, Phase.DRAWN)
    life.tick(T0 + 1, "")
    assert life.phase == (Phase.LIVE if clock_moves_it else phase)


def test_next_deadline_is_the_next_step_of_the_clock() -> None:
    life = Life(DRAWN)
    assert life.next_deadline() == OPENS
    life.tick(OPENS, "")
    assert life.next_deadline() == T0 - 300
    life.tick(T0 - 300, "")
    assert life.next_deadline() == T0
    life.tick(T0, "")
    assert life.next_deadline() is None


@pytest.mark.parametrize(
    ("phase", "wish", "result"),
    [
        (Phase.OPEN, "go", Phase.LIVE),
        (Phase.LIVE, "go", Phase.LIVE),  # the clock was faster than the button
        (Phase.HELD, "hold", Phase.HELD),
        (Phase.LIVE, "hold", None),
        (Phase.LIVE, "cancel", Phase.ENDED),
        (Phase.ENDED, "go", None),
        (Phase.ENDED, "end", Phase.ENDED),
        (Phase.CANCELLED, "end", Phase.CANCELLED),
    ],
)
def test_outcome(phase: Phase, wish: Wish, result: Phase | None) -> None:
    assert outcome(phase, wish) == result


def test_a_table_without_doubt() -> None:
    pairs = [(move.before, move.cause) for move in MOVES]
    assert len(set(pairs)) == len(pairs)
    assert {move.after for move in MOVES} | {Phase.ANNOUNCED} == set(Phase)
    assert {Phase.ENDED, Phase.CANCELLED} == FINAL


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(WISHES)), max_size=30), st.sampled_from(list(Phase)))
def test_every_step_is_in_the_table_and_nothing_leaves_the_end(steps: list[tuple[int, Wish]], start: Phase) -> None:
    life, now_ms = Life(DRAWN, start), OPENS - 100
    for wait_ms, wish in steps:
        now_ms += wait_ms
        before = life.phase
        changes = life.tick(now_ms, wish, "because")
        assert all((change.before, change.cause, change.after) in MOVES for change in changes)
        assert [before, *(change.after for change in changes)][-1] == life.phase
        assert not (changes and before in FINAL)
        assert life.tick(now_ms, wish, "because") == ()


def test_the_diagram_in_the_docs_is_the_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "LIFE.md").read_text()
    (diagram,) = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    assert diagram == mermaid(), "put what stentor.core.life.mermaid() gives into docs/LIFE.md"
