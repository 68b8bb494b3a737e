"""A phone that sleeps for ten minutes while its turn comes and goes: the usher by a time of the test's, a real door."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stentor.core.admission import Facts
from stentor.model import board
from stentor.nodes.line import ShowLine
from support.house import House

TEN_MINUTES_MS = 600_000
SETTLED_MS = 3_000  # until nobody can come in front of who is here


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    now_ms = time.time_ns() // 1_000_000
    one = House(tmp_path, board.Show("show-1", "A talk", starts_at_ms=now_ms, opens_at_ms=now_ms - 60_000))
    yield one
    one.close()


def join(house: House, place: str = "") -> dict:
    return json.loads(house.ask("/s/show-1/join" + (f"?place={place}" if place else ""), "POST").body)


def test_who_slept_through_their_turn_is_let_in_when_they_wake(house: House) -> None:
    desk = house.board.get("desk", board.Desk)
    assert desk is not None
    line, began_ms = ShowLine(house.settings, house.board, desk.shows[0], 0), time.time_ns() // 1_000_000

    def look(at_ms: int, facts: Facts) -> board.Line:
        while line.roll.step():
            pass
        line.decide(desk.shows[0], facts, began_ms + at_ms, at_ms, live=True)
        line.keep()
        line.tell()
        house.door.look()
        said = house.board.get("line-show-1", board.Line)
        assert said is not None
        return said

    look(0, Facts(cap=1, listening=0))
    sleeper, other = sorted((join(house) for _ in range(2)), key=lambda place: place["rank"])
    assert look(SETTLED_MS, Facts(cap=1, listening=0)).called == 1
    assert "ticket" not in join(house, other["place"]), "it is the sleeper's turn"
    woken_ms = SETTLED_MS + TEN_MINUTES_MS
    assert look(woken_ms, Facts(cap=1, listening=0)).called == 1, "the next one's turn"
    assert join(house, other["place"])["seq"] == other["seq"]
    look(woken_ms + 1_000, Facts(cap=1, listening=1, arrivals=1))
    page = house.ask(f"/s/show-1/wait/{sleeper['place']}").body
    assert b"It is your turn" in page and b"<audio" in page
    for _ in range(2):
        admitted = join(house, sleeper["place"])
        assert admitted["ticket"] and admitted["seq"] == sleeper["seq"]
