"""What a worker of the door tells of those who poll, on a real socket."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from stentor.core.polls import AT_ONCE
from stentor.formats.evidence import decode
from stentor.io.post import Receiver
from stentor.model import board
from support.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    one.board.put("line-show-1", board.Line(1, board.Gate.GATHERING, base_s=int(time.time()) + 600))
    one.door.look()
    yield one
    one.close()


def test_polls_of_one_place_beyond_what_a_page_does_are_told_as_such(house: House) -> None:
    told: Counter[str] = Counter()
    usher = Receiver(house.settings.shield_socket)

    def hear() -> None:
        for data in usher.receive(0):
            records = decode(data).records
            told.update({name: int(records[name].sum()) for name in ("requests", "polite", "early")})

    place = json.loads(house.ask("/s/show-1/join", "POST").body)["place"]
    polls = 60
    for _ in range(polls):
        assert house.ask(f"/s/show-1/place/{place}").status == 200
        hear()
    house.door._telling.tell()
    hear()
    usher.close()
    assert told["requests"] == polls + 1 and told["polite"] + told["early"] == polls
    assert told["early"] > 0 and told["polite"] >= AT_ONCE
