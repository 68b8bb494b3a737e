"""What the usher tells the public, and how soon."""

import json

import pytest

from stentor.io.board import Board
from stentor.model import board
from stentor.nodes.usher import Usher
from stentor.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(run_dir=tmp_path / "run", data_dir=tmp_path / "data", capacity=100)


def test_what_the_crew_orders_is_announced_when_it_is_seen(settings):
    values, usher = Board(settings.board_dir), Usher(settings)
    for revision, notice in enumerate(("", "We begin at nine.", "")):
        show = board.Show("s", "An evening", 10**13, 10**13, notice=notice)
        values.put("desk", board.Desk(revision, (show,)))
        usher.heed()
        value = values.get("now-s", board.Now)
        assert json.loads(value.text).get("notice", "") == notice
        usher.heed()
        assert values.get("now-s", board.Now) == value  # nothing new, nothing said


def test_the_show_on_stage_has_its_ladder(settings):
    values, usher = Board(settings.board_dir), Usher(settings)
    values.put("stage", board.Stage(10**13, show="s", n=10))
    values.put("desk", board.Desk(1, (board.Show("s", "An evening", 0, 0, cap=40), board.Show("t", "Next", 0, 0))))
    usher.announce()
    ladder = json.loads(values.get("now-s", board.Now).text)["ladder"]
    assert ladder == {
        "rung": 0, "group": 1, "from_n": 0, "low": False, "cap": 40, "reason": "We go on with 40 listeners.",
    }  # fmt: skip
    assert "ladder" not in json.loads(values.get("now-t", board.Now).text)


def test_a_bad_value_costs_no_more_than_itself(settings):
    values, usher = Board(settings.board_dir), Usher(settings)
    values.put("desk", board.Desk(1, (board.Show("s", "An evening", 0, 0),)))
    for key in ("stage", "edge-0"):
        (settings.board_dir / f"{key}.json").write_text("{")
    usher.announce()
    assert json.loads(values.get("now-s", board.Now).text)["title"] == "An evening"
