"""The line at a door worker, end to end: a real board, a real log of places, real sockets."""

from __future__ import annotations

import json
import re
import struct
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from stentor.core import draw
from stentor.formats import ticket
from stentor.formats.ticket import Class, Token
from stentor.io import places
from stentor.io.places import Reader
from stentor.model import board
from stentor.model.board import Gate, Line
from stentor.nodes import door_line
from stentor.nodes.door_line import Lines
from support.house import SHOW, House

KEY = bytes(range(32))
LONG_AGO_MS = 1_000


class Front(House):
    """A door before whose line the test stands in for the usher."""

    base_s = int(time.time()) - 60

    def line(self, gate: Gate, *, at_ms: int = 0, **fields: object) -> None:
        """Publish a `Line` (of now, unless said otherwise) and let the door look."""
        values = {"base_s": self.base_s, "key": "" if gate is Gate.GATHERING else KEY.hex(), **fields}
        self.board.put("line-show-1", Line(at_ms or time.time_ns() // 1_000_000, gate, **values))
        self.door.look()

    def join(self, place: str = "") -> tuple[int, dict]:
        answer = self.ask("/s/show-1/join" + (f"?place={place}" if place else ""), "POST")
        return answer.status, json.loads(answer.body)

    def place(self, token: str) -> dict:
        return json.loads(self.ask(f"/s/show-1/place/{token}").body)

    def logged(self) -> list[tuple[int, int]]:
        """(seq, issued) of every place that was given."""
        return list(struct.iter_unpack(">II", Reader(self.settings.data_dir / "shows", "show-1").read(1_000)))

    def counters(self) -> board.Door:
        self.door.publish_changes()
        value = self.board.get("door-0", board.Door)
        assert value is not None
        return value


@pytest.fixture
def front(tmp_path):
    one = Front(tmp_path)
    yield one
    one.close()


def test_in_a_queue_everybody_gets_a_place_that_is_written_down(front):
    front.line(Gate.QUEUE, waiting=40, reason="All taken.")
    status, body = front.join()
    assert status == 202
    assert (body["state"], body["reason"], body["late"]) == ("queue", "All taken.", True)
    ((seq, issued),) = front.logged()
    assert seq == body["seq"] and abs(issued - time.time()) < 60
    base_s = front.board.get("line-show-1", Line).base_s
    assert body["rank"] == draw.rank(draw.draw_key(KEY), seq, issued, base_s)
    assert (front.counters().places, front.counters().tickets) == (1, 0)


def test_a_place_comes_in_at_its_turn_with_the_same_number_and_never_gets_another(front):
    front.line(Gate.QUEUE)
    _, body = front.join()
    place, rank = body["place"], body["rank"]
    assert front.join(place)[0] == 202 and "ticket" not in front.place(place)
    front.line(Gate.QUEUE, mark=rank - 1)
    assert front.join(place)[0] == 202
    front.line(Gate.QUEUE, mark=rank)
    for _ in range(2):
        status, admitted = front.join(place)
        assert (status, admitted["seq"]) == (200, body["seq"])
    assert front.place(place)["seq"] == body["seq"]
    assert len(front.logged()) == 1


def test_before_the_draw_there_are_places_only_and_nobody_knows_their_rank(front):
    base_s = int(time.time()) + 600
    front.line(Gate.GATHERING, base_s=base_s, at_once=5)
    status, body = front.join()
    assert (status, body["state"], body["rank"], body["late"]) == (202, "gathering", None, False)
    assert body["draws_at_ms"] == base_s * 1000
    front.line(Gate.QUEUE, base_s=base_s, mark=(1 << 32) - 1)
    assert front.join(body["place"])[0] == 200, "the mark is past all who were drawn"
    status, late = front.join()
    assert (status, late["late"]) == (202, True)
    assert front.logged()[-1][1] == base_s, "after the draw nobody comes before it, whatever this clock says"


def test_a_free_gate_lets_in_so_many_and_gives_places_to_the_rest(front):
    front.line(Gate.FREE, at_once=2)
    assert [front.join()[0] for _ in range(3)] == [200, 200, 202]
    front.line(Gate.FREE, at_once=1, at_ms=time.time_ns() // 1_000_000 + 1)
    assert [front.join()[0] for _ in range(2)] == [200, 202]


def test_who_was_called_is_not_counted_as_let_in_at_once(front):
    """Or the usher would keep two seats for one listener."""
    front.line(Gate.QUEUE)
    _, called = front.join()
    front.line(Gate.FREE, mark=called["rank"], at_once=5, at_ms=time.time_ns() // 1_000_000 + 1)
    assert [front.join(called["place"])[0], front.join(called["place"])[0]] == [200, 200]
    assert (front.counters().tickets, front.counters().at_once) == (2, 0)
    assert front.join()[0] == 200
    assert (front.counters().tickets, front.counters().at_once) == (3, 1)


def test_at_a_closed_door_there_are_no_new_places_but_those_that_were_called_come_in(front):
    front.line(Gate.QUEUE)
    _, body = front.join()
    front.line(Gate.CLOSED, mark=0, reason="Enough.")
    assert (front.join()[0], front.join()[1]["code"]) == (503, "show-closed")
    status, kept = front.join(body["place"])
    assert (status, kept["state"], kept["reason"]) == (202, "closed", "Enough.")
    front.line(Gate.CLOSED, mark=body["rank"], at_ms=time.time_ns() // 1_000_000 + 1)
    assert front.join(body["place"])[0] == 200


def test_a_line_that_stands_still_queues_by_its_mark(front):
    front.line(Gate.FREE, at_ms=LONG_AGO_MS, mark=1 << 40)
    status, body = front.join()
    assert (status, body["state"], body["eta_s"]) == (202, "queue", None)
    assert "stands still" in body["reason"]
    assert front.join(body["place"])[0] == (200 if body["rank"] <= 1 << 40 else 202)


def test_places_outlive_the_door(front, tmp_path):
    front.line(Gate.QUEUE)
    bodies = [front.join()[1] for _ in range(3)]
    again = Front(tmp_path)  # as after kill -9: nothing but the disk and the board
    assert [again.place(body["place"])["rank"] for body in bodies] == [body["rank"] for body in bodies]
    again.line(Gate.QUEUE, mark=max(body["rank"] for body in bodies))
    assert [again.join(body["place"])[1]["seq"] for body in bodies] == [body["seq"] for body in bodies]
    again.close()


def test_without_its_log_the_door_gives_no_places(front):
    front.line(Gate.QUEUE)
    folder = front.settings.data_dir / "shows/show-1"
    folder.mkdir(parents=True)
    (folder / "places").write_text("not a directory")
    answer = front.ask("/s/show-1/join", "POST")
    assert (answer.status, json.loads(answer.body)["code"], answer.headers["retry-after"]) == (503, "no-places", "2")
    assert front.counters().places == 0


def test_ranges_and_chances(front):
    front.line(Gate.QUEUE, waiting=100, table=((0, 0), (1 << 40, 1_000)), rate_mps=10_000, seen=500, calls_mps=10**6)
    _, body = front.join()
    low, high = body["eta_s"]
    assert body["ahead"] > 0 and 0 <= low < high
    assert body["chance"] == 0, "this show should have ended long ago"


def changed(place: str, at: int) -> str:
    return place[:at] + ("A" if place[at] != "A" else "B") + place[at + 1 :]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda place: place[:-4], "place-malformed"),
        (lambda place: place + "AAAA", "place-malformed"),
        (lambda place: "%C3%A9", "place-malformed"),
        (lambda place: changed(place, 40), "place-forged"),
        (lambda place: changed(place, 63), "place-forged"),
    ],
)
def test_what_is_no_place_is_refused_with_a_reason(front, spoil, code):
    front.line(Gate.QUEUE)
    place = spoil(front.join()[1]["place"])
    for path in ("/s/show-1/join?place={}", "/s/show-1/place/{}", "/s/show-1/listen.mp3?place={}"):
        answer = front.ask(path.format(place), "POST" if "/join" in path else "GET")
        assert (answer.status, json.loads(answer.body)["code"]) == (403, code)
    assert len(front.logged()) == 1


def test_a_ticket_is_no_place_and_a_place_no_ticket(front):
    ticket_text = front.join()[1]["ticket"]
    front.line(Gate.QUEUE)
    status, refused = front.join(ticket_text)
    assert (status, refused["code"]) in ((403, "place-wrong-kind"), (403, "place-forged"))
    place = front.join()[1]["place"]
    token = front.door._lines._tokens.open_place(place, "show-1", int(time.time()))
    assert isinstance(token, Token) and token.kind is ticket.Kind.PLACE


def test_however_many_ask_for_what_was_drawn_memory_is_bounded(front, monkeypatch):
    """A record is 8 bytes, and there may be millions of them in each answer."""
    monkeypatch.setattr(door_line, "PLACES_SENT_MAX", 100)
    door = Lines(front.settings, front.board, {})
    places.write_drawn(front.settings.data_dir / "shows", "show-1", bytes(48))
    assert [door.drawn("show-1", 0), door.drawn("show-1", 0)] == [(bytes(48), 0)] * 2
    refused = door.drawn("show-1", 0)
    assert (refused.status, refused.code, refused.retry_after_s) == (503, "busy", 2)
    door.close()


def test_places_of_another_show_expired_or_revoked(front):
    front.line(Gate.QUEUE)
    tokens, now = front.door._lines._tokens, int(time.time())
    other = tokens.place("show-2", 5, Class.LATE, now, now)[1]
    assert front.join(other)[1]["code"] in ("place-forged", "place-wrong-show")
    assert front.join(tokens.place("show-1", 5, Class.LATE, now - 86_400, now)[1])[1]["code"] == "place-expired"
    assert front.join(tokens.place("show-1", 5, Class.LATE, now, now + 600)[1])[1]["code"] == "place-early"
    _, body = front.join()
    revoked = board.Revoked(seqs=((body["seq"], body["seq"]),))
    front.board.put("desk", board.Desk(2, (replace(SHOW, revoked=revoked),)))
    front.door.look()
    assert front.join(body["place"])[1]["code"] == "place-revoked"
    assert front.join()[0] == 202


@pytest.mark.parametrize("gate", [Gate.FREE, Gate.QUEUE])
def test_nothing_is_given_that_would_be_void(front, gate):
    """Who got it would be turned away by the edge, come again, and keep a seat from others each time."""
    front.line(gate, at_once=5)
    late = board.Revoked(classes=(int(Class.LATE),))
    front.board.put("desk", board.Desk(2, (replace(SHOW, revoked=late),)))
    front.door.look()
    status, body = front.join()
    assert (status, body["code"]) == (503, "withdrawn")
    assert (front.counters().tickets, front.counters().places, front.logged()) == (0, 0, [])


def test_the_page_without_javascript_from_the_draw_to_the_sound(front):
    front.line(Gate.GATHERING, base_s=int(time.time()) + 600)
    page = front.ask("/s/show-1/wait")
    assert (page.status, page.headers["cache-control"]) == (200, "public, max-age=1")
    assert b"Take part in the draw" in page.body
    taken = front.ask("/s/show-1/wait", "POST")
    assert taken.status == 303
    address = taken.headers["location"]
    waits = front.ask(address)
    assert b"You have a place in the draw" in waits.body and b'http-equiv="refresh"' in waits.body
    front.line(Gate.QUEUE, mark=1 << 52)
    plays = front.ask(address).body.decode()
    on = front.ask(re.search(r'<audio [^>]*src="([^"]+)"', plays)[1])
    assert (on.status, "/live/" in on.headers["location"]) == (307, True)
    assert "{{" not in plays


def test_the_draw_and_the_places_that_were_drawn(front):
    front.line(Gate.GATHERING, base_s=int(time.time()) + 600, commit=draw.commit(KEY))
    assert json.loads(front.ask("/s/show-1/draw").body)["commit"] == draw.commit(KEY)
    assert front.ask("/s/show-1/places").status == 404
    records = struct.pack(">IIII", 3, 9, 4, 8)
    places.write_drawn(Path(front.settings.data_dir / "shows"), "show-1", records)
    front.line(Gate.QUEUE, commit=draw.commit(KEY), root="ab" * 32, places=2)
    found = front.ask("/s/show-1/places")
    assert (found.body, "immutable" in found.headers["cache-control"]) == (records, True)
    told = front.ask("/s/show-1/draw")
    assert "immutable" in told.headers["cache-control"] and json.loads(told.body)["key"] == KEY.hex()


def test_counters_tell_which_line_the_door_goes_by(front):
    front.line(Gate.QUEUE, at_ms=LONG_AGO_MS)
    front.join()
    assert front.counters().line_at_ms == LONG_AGO_MS
