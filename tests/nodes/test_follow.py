"""The show on stage is read along: its replay waits for nobody's first request."""

import shutil
from pathlib import Path

import pytest

from stentor.io.board import Board
from stentor.model import board
from stentor.nodes.follow import Follower
from stentor.nodes.recorded import Recorded
from stentor.nodes.shelf import Shelf
from support import tapes

SECONDS = 6


@pytest.fixture
def stage(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


def tape_of(tmp_path: Path, show: str) -> Path:
    return tmp_path / "shows" / show / "tape"


def test_a_tape_is_read_as_it_grows_and_laid_out_at_its_end(
    tmp_path: Path, stage: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out: list[str] = []
    monkeypatch.setattr(Recorded, "replay", lambda _, suffix: laid_out.append(suffix))
    shelf = Shelf(tmp_path)
    follower = Follower(stage, shelf)
    follower.look()  # nothing on the board yet
    stage.put("stage", board.Stage(0, show="talk", live_n=3))
    follower.look()  # and no tape
    tape = tapes.begin(tape_of(tmp_path, "talk"), "talk")
    recorded = shelf.find("talk")
    assert recorded is not None
    for stop in (5, 8):
        tape.add_until(stop, SECONDS)
        follower.look()
        assert (recorded.last_n, recorded.ended, laid_out) == (stop - 1, False, [])
    tape.end()
    follower.look()
    assert recorded.ended and laid_out == ["m4a", "opus", "mp3"]
    shutil.rmtree(tape.directory)
    follower.look()  # what has ended is read no more, though it stays on the board
    assert laid_out == ["m4a", "opus", "mp3"]


def test_a_show_before_its_first_chunk_is_left_alone(
    tmp_path: Path, stage: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.put("stage", board.Stage(0, show="early"))
    monkeypatch.setattr(Shelf, "find", pytest.fail)
    Follower(stage, Shelf(tmp_path)).look()


def test_a_tape_without_a_replay_is_said_once(tmp_path: Path, stage: Board) -> None:
    tapes.begin(tape_of(tmp_path, "empty"), "empty").end()
    stage.put("stage", board.Stage(0, show="empty", live_n=3))
    follower = Follower(stage, Shelf(tmp_path))
    with pytest.raises(ValueError, match="no chunks"):
        follower.look()
    follower.look()
