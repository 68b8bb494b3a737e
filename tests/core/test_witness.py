"""What a worker saw, until it tells."""

from __future__ import annotations

import pytest

from stentor.core import witness
from stentor.core.witness import Witness, of_door
from stentor.formats import evidence
from stentor.formats.evidence import decode
from stentor.model.http import Request, Response


def test_counts_add_up_until_they_are_told() -> None:
    one = Witness(evidence.EDGE, 3)
    assert one.flush(1) == []
    for source in ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "unix"):
        one.count(source, "requests", 2)
    one.count("10.0.0.2", "forged")
    batch = decode(one.flush(9)[0])
    assert (batch.role, batch.worker, batch.at_ms) == (evidence.EDGE, 3, 9)
    assert batch.records["requests"].tolist() == [4, 2] and batch.records["forged"].tolist() == [0, 1]
    assert one.flush(10) == []


def test_of_too_many_sources_only_the_number_of_events_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "SOURCES_MAX", 2)
    one = Witness(evidence.DOOR, 0)
    for number in range(5):
        one.count(f"10.0.0.{number}", "requests", 3)
    one.count("10.0.0.0", "requests")
    batch = decode(one.flush(1)[0])
    assert batch.records["requests"].tolist() == [4, 3] and batch.overflow == 9


def request(path: str, method: str = "GET", **query: str) -> Request:
    return Request(method, f"/s/talk/{path}", query, {})


PLACED, GATHERED = b'{"place": "P", "state": "queue"}', b'{"place": "P", "state": "gathering"}'


@pytest.mark.parametrize(
    ("asked", "answered", "fields"),
    [
        (request("join", "POST"), Response(200, (), b'{"ticket": "T"}'), ("requests", "joins", "starts", "tickets")),
        (request("join", "POST"), Response(202, (), PLACED), ("requests", "joins", "held", "queued")),
        (request("join", "POST"), Response(202, (), GATHERED), ("requests", "joins", "places")),
        (request("join", "POST"), Response(428), ("requests", "joins", "held", "unsolved")),
        (request("listen.mp3"), Response(428), ("requests", "joins", "held")),
        (request("join", "POST"), Response(503), ("requests", "joins", "held")),
        (request("join", "POST", place="x"), Response(403), ("requests", "joins", "forged")),
        (request("listen.mp3"), Response(307), ("requests", "joins", "starts", "tickets")),
        (request("place/P"), Response(200, (), PLACED), ("requests", "polite")),
        (request("place/P"), Response(403), ("requests", "forged")),
        (request("now"), Response(200), ("requests",)),
        (request("join"), Response(405), ("requests",)),
    ],
)
def test_what_a_request_to_the_door_is_counted_as(asked: Request, answered: Response, fields: tuple[str, ...]) -> None:
    assert of_door(asked, answered) == fields
