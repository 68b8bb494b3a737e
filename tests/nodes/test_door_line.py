"""What a worker of the door counts for the usher."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from stentor.formats.waiting import Ticket, Waits, Want
from stentor.io.board import Board
from stentor.model import board
from stentor.model.board import Gate
from stentor.nodes.door_line import Lines
from stentor.settings import Settings

SECRET = bytes(32)


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
