"""A wait in words: short, and no more exact than what is known."""

from __future__ import annotations

import json

import pytest

from stentor.formats import waiting
from stentor.formats.waiting import Waits
from stentor.model.board import Gate

IN_LINE = Waits("P", 7, Gate.QUEUE, 5_000, rank=9, ahead=1_237, eta_s=(370, 520), chance=0.71, reason="All taken.")
GATHERED = Waits("P", 7, Gate.GATHERING, 5_000, draws_at_ms=720_000)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (0, ("Next", "Nobody is ahead of you.")),
        (1, ("1", "ahead of you")),
        (99, ("99", "ahead of you")),
        (104, ("about 100", "ahead of you")),
        (996, ("about 1,000", "ahead of you")),
        (1_237, ("about 1,240", "ahead of you")),
        (12_345, ("about 12,300", "ahead of you")),
        (999_999, ("about 1,000,000", "ahead of you")),
    ],
)
def test_a_count_is_as_exact_as_it_stays(ahead: int, words: tuple[str, str]) -> None:
    assert waiting.count_words(ahead) == words


@pytest.mark.parametrize(
    ("eta_s", "words"),
    [
        (None, "How long it takes is not known yet."),
        ((0, 20), "It takes less than a minute."),
        ((0, 61), "It takes less than 2 minutes."),
        ((370, 520), "It takes between 6 and 9 minutes."),
        ((540, 540), "It takes about 9 minutes."),
        ((61, 7_200), "It takes between 1 and 120 minutes."),
        ((3_000, 7_201), "It takes less than 3 hours."),
        ((7_200, 10_000), "It takes between 2 and 3 hours."),
    ],
)
def test_a_range_in_words(eta_s: tuple[int, int] | None, words: str) -> None:
    assert waiting.eta_words(eta_s) == words


@pytest.mark.parametrize(
    ("chance", "words"),
    [(1.0, "You come in before"), (0.95, "You come in"), (0.94, "About 9 in 10"), (0.5, "About 5 in 10"),
     (0.05, "About 1 in 10"), (0.04, "You will hardly"), (0.0, "You will hardly")],
)  # fmt: skip
def test_a_chance_in_words(chance: float, words: str) -> None:
    assert waiting.chance_words(chance).startswith(words)


def test_what_is_assumed_is_said_to_be() -> None:
    assert all("90 minutes are assumed" in waiting.chance_words(chance, assumed=True) for chance in (0.0, 0.5, 1.0))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 seconds"), (1.2, "1 second"), (119, "119 seconds"), (121, "3 minutes"), (7_200, "2 h 00 min")],
)
def test_what_is_left_in_words(seconds: float, words: str) -> None:
    assert waiting.countdown_words(seconds) == words


def test_a_place_in_line_says_range_chance_reason_and_what_else_there_is() -> None:
    words = waiting.say(IN_LINE, 0)
    assert (words.label, words.figure, words.unit) == ("Your place in line", "about 1,240", "ahead of you")
    assert words.lines[:3] == ("It takes between 6 and 9 minutes.", waiting.chance_words(0.71), "All taken.")
    assert waiting.OFFER in words.lines


def test_before_the_draw_nobody_has_a_number() -> None:
    assert waiting.say(GATHERED, 0)[:2] == ("Until the draw", "12 minutes")
    assert waiting.say(GATHERED, 0).lines[0] == waiting.DRAWN_WORDS
    assert waiting.say(GATHERED._replace(late=True), 0).lines[0] == waiting.AFTER_DRAW_WORDS
    assert waiting.say(GATHERED, 720_000).figure == "Any moment"
    assert waiting.say_public(GATHERED, 0).lines == (waiting.DRAW_WORDS,)


def test_a_closed_door_promises_nothing() -> None:
    words = waiting.say(IN_LINE._replace(state=Gate.CLOSED, reason="The guest is tired."), 0)
    assert words.lines[:2] == (waiting.CLOSED_WORDS, "The guest is tired.")
    assert waiting.say_public(IN_LINE._replace(state=Gate.CLOSED), 0).lines[0] == waiting.CLOSED_TO_ALL_WORDS


def test_json_has_what_the_words_are_made_of() -> None:
    body = json.loads(IN_LINE.body())
    assert body == {
        "place": "P", "seq": 7, "state": "queue", "next_poll_ms": 5_000, "rank": 9, "ahead": 1_237,
        "eta_s": [370, 520], "chance": 0.71, "reason": "All taken.", "late": False, "assumed": False,
    }  # fmt: skip
    assert json.loads(GATHERED.body())["draws_at_ms"] == 720_000
