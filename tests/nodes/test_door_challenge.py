"""A door that asks strangers to solve something first, on a real socket."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from stentor.core.challenge import SLOT_S
from stentor.formats import blocked, challenge
from stentor.formats.blocked import FAVOUR, Block
from stentor.formats.evidence import key_of
from stentor.io.net.loop import Loop
from stentor.model import board
from stentor.model.http import Request
from stentor.nodes.door import Door
from stentor.nodes.guard import rules_path
from support.house import House

JSON = "Accept: application/json\r\n"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path, hashes=100)
    now_s = int(time.time())
    one.board.put("line-show-1", board.Line(1, at_once=50, base_s=now_s - 60))
    asks(one)
    yield one
    one.close()


def asks(house: House, age_ms: int = 0, *, wanted: bool = True) -> None:
    at_ms = time.time_ns() // 1_000_000 - age_ms
    house.board.put("shield", board.Shield(at_ms, level=2, challenge=wanted, share=0))
    house.door.look()


def join(house: House, headers: str = "", **query: str) -> Any:
    return house.ask("/s/show-1/join" + ("?" + urlencode(query) if query else ""), "POST", headers)


def solved(asked: dict[str, Any]) -> dict[str, str]:
    return dict(parse_qsl(challenge.solve(asked), strict_parsing=True))


def counts(house: House) -> board.Door:
    house.door.publish()
    found = house.board.get("door-0", board.Door)
    assert found is not None
    return found


def test_a_join_without_anything_is_asked_to_solve_one_and_then_let_in(house: House) -> None:
    asked = join(house)
    assert asked.status == 428 and asked.headers["content-type"] == "application/problem+json"
    assert asked.headers["cache-control"] == "no-store"
    body = json.loads(asked.body)
    assert body["code"] == "challenge-needed"
    answer = solved(body)
    assert join(house, **answer).status == 200
    again = join(house, **answer)
    assert (again.status, json.loads(again.body)["code"]) == (428, "challenge-needed"), "replayed"
    assert (counts(house).challenged, counts(house).solved, counts(house).tickets) == (2, 1, 1)


def test_what_was_solved_at_one_worker_counts_at_another_and_only_there(house: House) -> None:
    answer = solved(json.loads(join(house).body))
    loop = Loop(house.faults.append)
    other = Door(house.settings, 1, loop)
    first, house.door = house.door, other
    house.server._answer = other.answer  # type: ignore[attr-defined]
    try:
        assert join(house, **answer).status == 200
        assert join(house, **answer).status == 428
    finally:
        house.door = first
        other.close()
        loop.close()


def test_in_an_overload_strangers_are_put_off_by_being_asked_and_others_by_being_told_to_come_again(
    house: House,
) -> None:
    paths = ("/s/show-1/join", "/s/show-1/wait", "/s/show-1/place/x", "/s/show-1")
    requests = [
        Request("POST" if path.endswith(("join", "wait")) else "GET", path, {}, {}, source="192.0.2.7")
        for path in paths
    ]
    assert [house.door.put_off(one) is None for one in requests] == [True, True, False, False]
    asks(house, wanted=False)
    assert [house.door.put_off(one) is None for one in requests] == [False] * 4


def test_a_place_is_asked_nothing(house: House) -> None:
    asks(house, wanted=False)
    line = board.Line(2, board.Gate.QUEUE, key=bytes(32).hex(), base_s=int(time.time()) - 60)
    house.board.put("line-show-1", line)
    house.door.look()
    place = json.loads(join(house).body)["place"]
    asks(house)
    assert join(house, place=place).status == 202
    assert house.ask(f"/s/show-1/place/{place}").status == 200
    assert counts(house).challenged == 0


def test_who_is_known_to_behave_is_asked_nothing(house: House) -> None:
    until_ms = time.time_ns() // 1_000_000 + 60_000
    rules_path(house.settings).write_bytes(blocked.encode(0, {key_of("127.0.0.1"): Block(FAVOUR, until_ms)}))
    house.door._guard.look()
    assert join(house).status == 200


def test_a_dead_usher_asks_nothing(house: House) -> None:
    asks(house, age_ms=60_000)
    assert join(house).status == 200


def test_players_are_told_in_words(house: House) -> None:
    refused = house.ask("/s/show-1/listen.mp3")
    body = json.loads(refused.body)
    assert (refused.status, body["code"]) == (428, "challenge-needed")
    assert "/s/show-1/wait" in body["detail"]
    assert house.ask("/s/show-1/listen.m3u").status == 200


def test_paths_of_no_show_are_answered_as_ever(house: House) -> None:
    assert house.ask("/join", "POST").status in (404, 405)
    assert house.ask("/a/b/c/d/join", "POST").status in (404, 405)


def test_without_javascript_there_is_a_wait_and_then_a_place(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    page = house.ask("/s/show-1/wait").body.decode()
    assert "<audio" not in page and 'method="post" action="/s/show-1/wait"' in page
    asked = house.ask("/s/show-1/wait", "POST")
    found = re.search(r'content="(\d+); url=(/s/show-1/wait\?stamp=[\w.]+)"', asked.body.decode())
    assert asked.status == 428 and found is not None
    wait_s, address = int(found[1]), found[2]
    assert SLOT_S <= wait_s <= 2 * SLOT_S and asked.headers["retry-after"] == found[1]
    early = house.ask(address, "POST")
    assert early.status == 428 and address in early.body.decode()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + wait_s)
    asks(house, age_ms=-wait_s * 1000)
    come = house.ask(address)
    assert come.status == 200 and come.headers["cache-control"] == "no-store"
    assert f'action="{address}"' in come.body.decode()
    taken = house.ask(address, "POST")
    assert taken.status == 303
    place = taken.headers["location"]
    assert re.fullmatch(r"/s/show-1/wait/[\w-]{20,}", place)
    assert "listen.mp3?place=" in house.ask(place).body.decode(), "which is asked nothing more"
    again = house.ask(address, "POST")
    assert again.status == 428


def test_nothing_of_a_request_is_written_into_the_page(house: House) -> None:
    page = house.ask("/s/show-1/wait?stamp=%22%3E%3Cscript%3E").body.decode()
    assert "script" not in page and "stamp" not in page


def test_json_is_answered_with_json(house: House) -> None:
    asked = house.ask("/s/show-1/wait", "POST", JSON)
    assert json.loads(asked.body)["challenge"]["algorithm"] == "SHA-256"


@pytest.mark.parametrize(
    ("shield", "status", "words"), [({"level": 4}, 503, "ticket or a place"), ({"share": 1}, 429, "address")]
)
def test_who_sent_the_form_and_is_not_let_in_is_shown_a_page(
    house: House, shield: dict[str, Any], status: int, words: str
) -> None:
    house.board.put("shield", board.Shield(time.time_ns() // 1_000_000, **shield))
    house.door._guard.look()
    house.door.look()
    answers = [house.ask("/s/show-1/wait", "POST") for _ in range(2)]
    assert (answers[1].status, answers[1].headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert words in answers[1].body.decode() and "retry-after" in answers[1].headers
    asked = house.ask("/s/show-1/wait", "POST", JSON)
    assert (asked.status, asked.headers["content-type"]) == (status, "application/problem+json")
    assert house.ask("/s/show-1/join", "POST").headers["content-type"] == "application/problem+json"
    assert house.ask("/wait", "POST").status in (404, 405, status)
