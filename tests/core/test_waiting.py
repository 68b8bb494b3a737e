"""What the door answers about a line, decided without a socket."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest

from stentor.core.waiting import About, Drawn, View, answer
from stentor.formats import waiting
from stentor.formats.page import Origins
from stentor.formats.problem import Refused
from stentor.formats.waiting import Ticket, Waits, Want
from stentor.model.board import Gate, Line, Phase
from stentor.model.http import File, Request, Response

PORTS = Origins("", 8001, 8004)
ABOUT = About("talk", "Ada & Grace", Phase.OPEN, opens_at_ms=1_000, starts_at_ms=900_000)
IN_LINE = Waits("PLACE", 7, Gate.QUEUE, 5_000, rank=9, ahead=1_237, eta_s=(370, 520), chance=0.7, reason="All taken.")
ALL = IN_LINE._replace(place="", seq=0, rank=None, chance=None)
TURN = IN_LINE._replace(turn=True)
FORGED = Refused(403, "place-forged", "This is no place in this line", "It was not given here.")
TICKET = Ticket("TICKET", 7, 99_000)
DRAWN = Line(1, commit="c0", key="4b", beacon_name="b", beacon="B", root="f00d", places=3, base_s=60)


def ask(path: str, method: str = "GET", *, json_: bool = False, **changes: Any) -> Response:
    """Ask for `path` below a show's line; `changes` of the view. Its pages have a refresh and a body, nothing else."""
    given: dict[str, Any] = {
        "origins": PORTS,
        "join": lambda show, place, want: IN_LINE,
        "look": lambda show, place: IN_LINE if place else ALL,
        "about": lambda show: ABOUT,
        "page": lambda values: File("text/html", f"{values['notice']}{values['refresh']}{values['body']}".encode()),
        "draw": lambda show: None,
        "places": lambda show, first: None,
    }
    headers = {"host": "radio.example:8000"} | ({"accept": "application/json"} if json_ else {})
    path, _, query = path.partition("?")
    request = Request(method, f"/s/talk/{path}", dict(parse_qsl(query)), headers)
    return answer(request, "talk", tuple(path.split("/")), View(**{**given, **changes}), 0)


def header(response: Response, name: str) -> str | None:
    return dict(response.headers).get(name)


def text(response: Response) -> str:
    return (response.body or b"").decode()


def test_a_place_as_json_is_its_wait_or_its_ticket_and_nobody_keeps_it() -> None:
    wanted = []
    for found in (IN_LINE, TICKET):
        response = ask("place/PLACE", join=lambda show, place, want, found=found: wanted.append(want) or found)
        assert (response.status, response.body) == (200, found.body())
        assert header(response, "Cache-Control") == "no-store"
        assert header(response, "Access-Control-Allow-Origin") == "*"
    assert wanted == [Want.HERE] * 2, "to ask how it stands takes no place"


def test_what_is_no_place_is_told_why() -> None:
    response = ask("place/PLACE", join=lambda *_: FORGED)
    assert (response.status, json.loads(text(response))["code"]) == (403, "place-forged")
    page = ask("wait/PLACE", look=lambda *_: FORGED)
    assert page.status == 403
    assert "It was not given here." in text(page) and 'href="/s/talk/wait"' in text(page)
    assert "refresh" not in text(page)
    assert ask("wait/PLACE", look=lambda *_: FORGED, json_=True).status == 403


def test_a_page_has_its_place_in_its_address_and_looks_again_by_itself() -> None:
    response = ask("wait/PLACE")
    assert header(response, "Cache-Control") == "no-store"
    for words in ("about 1,240", "ahead of you", "between 6 and 9 minutes", "All taken.", waiting.OFFER):
        assert words in text(response)
    assert '<meta http-equiv="refresh" content="5">' in text(response)
    assert "<audio" not in text(response) and "<form" not in text(response)


def test_neighbours_in_line_look_at_different_times() -> None:
    pages = [
        text(ask("wait/PLACE", look=lambda *_, seq=seq: IN_LINE._replace(seq=seq, next_poll_ms=30_000)))
        for seq in range(1, 9)
    ]
    seconds = [int(page.split('content="')[1].split('"')[0]) for page in pages]
    assert all(24 <= period <= 36 for period in seconds)
    assert len(set(seconds)) > 4


def test_at_its_turn_the_page_plays_and_is_left_alone() -> None:
    page = text(ask("wait/PLACE", look=lambda *_: TURN))
    assert '<audio controls autoplay src="/s/talk/listen.mp3?place=PLACE"></audio>' in page
    assert "refresh" not in page


def test_without_a_place_the_page_is_the_same_for_all_and_offers_one() -> None:
    response = ask("wait")
    assert header(response, "Cache-Control") == "public, max-age=1"
    assert header(response, "Vary") == "Accept"
    assert '<form method="post" action="/s/talk/wait"><button class="button strong">Get in line</button>' in text(
        response
    )
    assert "form-action 'self'" in (header(response, "Content-Security-Policy") or "")
    gathering = ALL._replace(state=Gate.GATHERING, draws_at_ms=720_000)
    assert "Take part in the draw" in text(ask("wait", look=lambda *_: gathering))
    assert "12 minutes" in text(ask("wait", look=lambda *_: gathering))
    closed = text(ask("wait", look=lambda *_: ALL._replace(state=Gate.CLOSED, reason="Enough.")))
    assert "<form" not in closed and "Enough." in closed and "refresh" in closed


def test_where_there_is_no_line_the_page_plays() -> None:
    page = text(ask("wait", look=lambda *_: ALL._replace(state=Gate.FREE, turn=True)))
    assert '<audio controls preload="none" src="/s/talk/listen.mp3"></audio>' in page
    assert "<form" not in page and "refresh" not in page


def test_before_the_doors_open_the_page_waits_for_them() -> None:
    early = ABOUT._replace(phase=Phase.ANNOUNCED, opens_at_ms=30_000)
    free = ALL._replace(state=Gate.FREE, turn=True)
    page = text(ask("wait", look=lambda *_: free, about=lambda _: early))
    assert "Until the doors open" in page and "30 seconds" in page and "<audio" not in page
    assert '<meta http-equiv="refresh" content="15">' in page


@pytest.mark.parametrize(
    ("phase", "words"), [(Phase.ENDED, 'href="/s/talk">Its recording'), (Phase.CANCELLED, "was cancelled: Rain")]
)
@pytest.mark.parametrize("path", ["wait", "wait/PLACE"])
def test_when_it_is_over_nobody_waits(phase: Phase, words: str, path: str) -> None:
    page = text(ask(path, about=lambda _: ABOUT._replace(phase=phase, reason="Rain")))
    assert words in page and "refresh" not in page and "ahead of you" not in page


def test_what_people_wrote_is_text() -> None:
    about = ABOUT._replace(notice="<b>ten</b>", title="<i>")
    page = text(ask("wait/PLACE", about=lambda _: about, look=lambda *_: IN_LINE._replace(reason="<u>")))
    assert "&lt;b&gt;ten" in page and "&lt;u&gt;" in page and "<u>" not in page


@pytest.mark.parametrize(
    ("joined", "location"), [(IN_LINE, "/s/talk/wait/PLACE"), (TICKET, "/s/talk/wait")]
)  # fmt: skip
def test_to_take_a_place_leads_to_its_page(joined: Waits | Ticket, location: str) -> None:
    response = ask("wait", "POST", join=lambda show, place, want: joined)
    assert (response.status, header(response, "Location")) == (303, location)
    assert header(response, "Cache-Control") == "no-store"
    assert ask("wait", "POST", json_=True, join=lambda show, place, want: joined).body == joined.body()


def test_where_no_place_can_be_had_that_is_said() -> None:
    response = ask("wait", "POST", join=lambda *_: Refused(503, "no-places", "No places", retry_after_s=2))
    assert (response.status, header(response, "Retry-After")) == (503, "2")
    assert header(response, "Content-Type") == "text/html" and "No places." in text(response)
    assert 'href="/s/talk/wait"' in text(response) and header(response, "Cache-Control") == "no-store"
    asked = ask("wait", "POST", json_=True, join=lambda *_: FORGED)
    assert (asked.status, json.loads(text(asked))["code"]) == (403, "place-forged")


def test_the_wait_as_json() -> None:
    assert ask("wait", json_=True).body == ALL.body()
    assert header(ask("wait", json_=True), "Cache-Control") == "public, max-age=1"
    assert ask("wait/PLACE", json_=True).body == IN_LINE.body()
    assert ask("wait/PLACE", json_=True, join=lambda *_: TICKET).body == TICKET.body()


def test_the_draw_and_what_was_drawn_never_change_once_it_is_made() -> None:
    assert [ask(path).status for path in ("draw", "places")] == [404, 404]
    response = ask("draw", draw=lambda _: DRAWN)
    assert header(response, "Cache-Control") == "public, max-age=31536000, immutable"
    assert json.loads(text(response)) == {
        "commit": "c0", "base_s": 60, "beacon_name": "b", "key": "4b", "beacon": "B", "root": "f00d", "places": 3,
    }  # fmt: skip
    early = ask("draw", draw=lambda _: Line(1, commit="c0", base_s=60))
    assert header(early, "Cache-Control") == "public, max-age=1"
    busy = ask("places", places=lambda *_: Refused(503, "busy", "Come again", retry_after_s=2))
    assert busy.status == 503 and dict(busy.headers)["Cache-Control"] == "no-store"
    records = ask("places", places=lambda *_: Drawn(b"8 bytes.", 0))
    assert (records.body, header(records, "Content-Type")) == (b"8 bytes.", "application/octet-stream")
    assert "immutable" in (header(records, "Cache-Control") or "") and header(records, "Link") is None


def test_of_many_places_each_page_says_where_the_next_one_is() -> None:
    def page(show: str, first: int) -> Drawn:
        return Drawn(b"%s %d" % (show.encode(), first), first + 2 if first < 4 else 0)

    answers = [ask(f"places{query}", places=page) for query in ("", "?from=2", "?from=4")]
    assert [one.body for one in answers] == [b"talk 0", b"talk 2", b"talk 4"]
    links = [header(one, "Link") for one in answers]
    assert links == ['</s/talk/places?from=2>; rel="next"', '</s/talk/places?from=4>; rel="next"', None]
    for wrong in ("x", "-1", "1" * 11, "²"):
        assert ask(f"places?from={wrong}", places=page).status == 400, wrong


@pytest.mark.parametrize("path", ["nothing", "place", "wait/a/b", "draw/x", "places/x"])
def test_other_addresses(path: str) -> None:
    assert ask(path).status == 404


@pytest.mark.parametrize("verdict", ["crowd", "undecided", "attack"])
def test_a_page_says_in_one_sentence_what_is_at_the_door(verdict: str) -> None:
    said = waiting.VERDICT_WORDS[verdict]
    assert said in text(ask("wait", about=lambda show: ABOUT._replace(verdict=verdict)))
    over = ABOUT._replace(verdict=verdict, phase=Phase.ENDED)
    assert said not in text(ask("wait", about=lambda show: over))


@pytest.mark.parametrize("verdict", ["", "calm", "of a later version"])
def test_a_page_says_nothing_where_all_is_calm(verdict: str) -> None:
    assert 'class="status"' not in text(ask("wait", about=lambda show: ABOUT._replace(verdict=verdict)))
