"""What a worker of the door counts for the usher."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from stentor.formats.problem import Refused
from stentor.formats.waiting import Ticket, Waits, Want
from stentor.io.board import Board
from stentor.io.places import RECORD, write_drawn
from stentor.model import board
from stentor.model.board import Gate
from stentor.nodes import door_line
from stentor.nodes.door_line import Lines
from stentor.settings import Settings

SECRET = bytes(32)


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    hall = Hall(tmp_path)
    yield hall
    hall.lines.close()


class Hall:
    """A worker of the door, and what the usher tells it."""

    def __init__(self, tmp_path: Path) -> None:
        self.settings = replace(Settings(), data_dir=tmp_path / "data", run_dir=tmp_path / "run")
        self.now_s, self.board = int(time.time()), Board(self.settings.board_dir)
        friday = board.Show("friday", "Friday", self.now_s * 1000, (self.now_s - 60) * 1000)
        self.shows = {"friday": friday}
        self.lines = Lines(self.settings, self.board, self.shows)
        self._told = 0

    def tell(self, gate: Gate, **fields: Any) -> None:
        self._told += 1
        self.board.put("line-friday", board.Line(self._told, gate, **fields))
        self.lines.look()

    def revoke(self, revoked: board.Revoked) -> None:
        self.shows["friday"] = changed(self.shows["friday"], revoked=revoked)

    def place(self) -> Waits:
        given = self.lines.join("friday", "", Want.IN)
        assert isinstance(given, Waits)
        return given


def test_who_came_after_a_draw_that_was_early_is_told_so(hall: Hall) -> None:
    """By the plan they would have been in it, and their place says so."""
    hall.tell(Gate.GATHERING, base_s=hall.now_s + 600)
    given = hall.place()
    assert not given.late
    hall.tell(Gate.QUEUE, key=SECRET.hex(), base_s=hall.now_s - 5)
    found = hall.lines.join("friday", given.place, Want.HERE)
    assert isinstance(found, Waits) and found.late


def test_no_number_is_given_that_is_revoked(hall: Hall) -> None:
    hall.tell(Gate.QUEUE, key=SECRET.hex(), base_s=hall.now_s - 60)
    first = hall.place().seq
    hall.revoke(board.Revoked(seqs=((first + 1, first + 3), (first + 5, 2**32 - 1))))
    assert hall.place().seq == first + 4
    refused = hall.lines.join("friday", "", Want.IN)
    assert isinstance(refused, Refused) and refused.code == "withdrawn"
    hall.revoke(board.Revoked())
    assert hall.place().seq > first + 4


def test_what_was_drawn_comes_in_pages(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_line, "PLACES_A_PAGE", 2)
    assert hall.lines.drawn("friday", 0) is None
    records = [RECORD.pack(seq, 7) for seq in range(1, 6)]
    write_drawn(hall.settings.data_dir / "shows", "friday", b"".join(records))
    pages = [hall.lines.drawn("friday", first) for first in (0, 2, 4, 6)]
    assert pages == [(b"".join(records[:2]), 2), (b"".join(records[2:4]), 4), (records[4], 0), (b"", 0)]


def test_tickets_at_once_are_told_from_those_of_who_was_called(tmp_path: Path) -> None:
    settings = replace(Settings(), data_dir=tmp_path / "data", run_dir=tmp_path / "run")
    now_s, values = int(time.time()), Board(settings.board_dir)
    shows = {"friday": board.Show("friday", "Friday", starts_at_ms=now_s * 1000, opens_at_ms=(now_s - 60) * 1000)}
    line = board.Line(1, Gate.QUEUE, key=SECRET.hex(), base_s=now_s - 60)
    values.put("line-friday", line)
    lines = Lines(settings, values, shows)
    lines.look()
    place = lines.join("friday", "", Want.IN)
    assert isinstance(place, Waits) and place.rank is not None
    called = board.Line(2, Gate.FREE, mark=place.rank, at_once=1, key=line.key, base_s=line.base_s)
    values.put("line-friday", called)
    lines.look()
    for _ in range(2):
        assert isinstance(lines.join("friday", place.place, Want.HERE), Ticket)
    assert (lines.tickets, lines.at_once) == (2, 0)
    assert isinstance(lines.join("friday", "", Want.IN), Ticket)
    assert isinstance(lines.join("friday", "", Want.IN), Waits)
    assert (lines.tickets, lines.at_once, dict(lines.at_once_by)) == (3, 1, {"friday": 1})
    del shows["friday"]
    lines.look()
    assert not lines.at_once_by, "bounded by what is announced"
    lines.close()
