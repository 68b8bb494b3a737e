"""What the door answers, decided without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stentor.core.door import Origins, Ticket, View, answer
from stentor.formats.problem import Refused
from stentor.formats.waiting import Waits, Want
from stentor.model.board import Gate, Show
from stentor.model.http import File, Request, Response

PORTS = Origins("", 8001, 8004)
ONE_ORIGIN = Origins("https://live.example", 8001, 8004)
SHOW = Show(id="talk", title="Ada & Grace", starts_at_ms=2_000, opens_at_ms=1_000)
NOW = '{"phase":"live","show":"talk"}'
WAITS = Waits("PLACE", 7, Gate.QUEUE, 5_000, rank=9)
NO_TICKETS = Refused(503, "no-tickets", "No tickets at the moment", retry_after_s=2)
SCRIPT = File("text/javascript", b"let x", b"zipped")


def ask(path: str, method: str = "GET", origins: Origins = PORTS, **changes: Any) -> Response:
    """Ask a door that knows one show. `changes` of its view, or `headers` and `query` of the request."""
    headers, query = {"host": "radio.example:8000", **changes.pop("headers", {})}, changes.pop("query", {})
    view: dict[str, Any] = {
        "shows": {"talk": SHOW},
        "origins": origins,
        "now_text": {"talk": NOW}.get,
        "join": lambda show, place, want: Ticket(f"{'K' if want is Want.KEPT else 'T'}-{show}", 7, 99_000),
        "line": lambda request, show, what: Response(404, (), f"line of {show}: {what}".encode()),
        "listener_page": lambda show: File("text/html", f"<p>{show}".encode(), b"small"),
        "shows_page": lambda listing: File("text/html", listing.encode()),
        "asset": lambda tree, name: SCRIPT if (tree, name) == ("cafe0001", "listen/x.js") else None,
    }
    return answer(Request(method, path, query, headers), View(**{**view, **changes}))


def header(response: Response, name: str) -> str | None:
    return dict(response.headers).get(name)


def code(response: Response) -> str:
    assert header(response, "Content-Type") == "application/problem+json"
    return str(json.loads(response.body or b"")["code"])


def test_health() -> None:
    assert (ask("/healthz").status, ask("/healthz").body) == (200, b"ok\n")


def test_the_now_object_is_cacheable_for_a_second_by_everyone() -> None:
    response = ask("/s/talk/now")
    assert (response.status, response.body) == (200, NOW.encode())
    assert header(response, "Cache-Control") == "public, max-age=1"
    assert header(response, "Access-Control-Allow-Origin") == "*"


@pytest.mark.parametrize("path", ["/s/other", "/s/other/now", "/s/other/join", "/s/other/listen.mp3"])
def test_a_show_that_nobody_announced(path: str) -> None:
    response = ask(path)
    assert (response.status, code(response)) == (404, "no-show")


def test_a_show_is_known_before_its_now_object_and_after_the_desk_forgot_it() -> None:
    early = ask("/s/talk/now", now_text=lambda show: None)
    assert (early.status, code(early), header(early, "Retry-After")) == (503, "now-not-yet", "2")
    assert ask("/s/talk", now_text=lambda show: None).status == 200
    assert [ask(path, shows={}).status for path in ("/s/talk", "/s/talk/now")] == [200, 200]
    assert ask("/s/talk/join", "POST", shows={}).status == 200


def test_join_gives_a_ticket_that_nobody_keeps() -> None:
    response = ask("/s/talk/join", "POST")
    assert json.loads(response.body or b"") == {"ticket": "T-talk", "seq": 7, "expires_ms": 99_000}
    assert header(response, "Cache-Control") == "no-store"
    assert header(response, "Access-Control-Allow-Origin") == "*"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_whoever_only_looks_gets_neither_ticket_nor_place(method: str) -> None:
    """Link previews and crawlers ask for every address that they find."""
    asked: list[str] = []
    response = ask("/s/talk/join", method, join=lambda show, *_: asked.append(show) or WAITS)
    assert (response.status, code(response), header(response, "Allow")) == (405, "post-to-join", "POST, OPTIONS")
    assert "/s/talk/wait" in json.loads(response.body or b"")["detail"]
    assert not asked


@pytest.mark.parametrize(("method", "path"), [("POST", "/s/talk/join"), ("GET", "/s/talk/listen.mp3")])
def test_without_numbers_there_are_no_tickets(method: str, path: str) -> None:
    response = ask(path, method, join=lambda *_: NO_TICKETS)
    assert (response.status, code(response), header(response, "Retry-After")) == (503, "no-tickets", "2")


def test_whoever_has_to_wait_gets_a_place() -> None:
    response = ask("/s/talk/join", "POST", join=lambda *_: WAITS)
    assert (response.status, response.body) == (202, WAITS.body())
    assert header(response, "Cache-Control") == "no-store"


@pytest.mark.parametrize(("what", "want"), [("join", Want.IN), ("listen.mp3", Want.KEPT)])
def test_a_place_is_shown_in_the_query(what: str, want: Want) -> None:
    asked: list[tuple[str, str, Want]] = []
    method = "POST" if what == "join" else "GET"
    ask(f"/s/talk/{what}", method, query={"place": "PLACE"}, join=lambda *given: asked.append(given) or WAITS)
    ask(f"/s/talk/{what}", method, join=lambda *given: asked.append(given) or WAITS)
    assert asked == [("talk", "PLACE", want), ("talk", "", want)]


def test_a_player_that_has_to_wait_is_told_where() -> None:
    response = ask("/s/talk/listen.mp3", join=lambda *_: WAITS)
    assert (response.status, code(response), header(response, "Retry-After")) == (503, "waiting-room", "5")
    assert "/s/talk/wait" in json.loads(response.body or b"")["detail"]


def test_what_is_below_a_show_is_of_its_line() -> None:
    assert ask("/s/talk/place/PLACE").body == b"line of talk: ('place', 'PLACE')"
    assert ask("/s/talk/wait", "POST").body == b"line of talk: ('wait',)"
    assert code(ask("/s/other/wait")) == "no-show"


@pytest.mark.parametrize(
    ("host", "origins", "location"),
    [
        ("radio.example:8000", PORTS, "http://radio.example:8001/live/K-talk/mp3"),
        ("[::1]:8000", PORTS, "http://[::1]:8001/live/K-talk/mp3"),
        ("127.0.0.1", PORTS, "http://127.0.0.1:8001/live/K-talk/mp3"),
        ("radio.example", ONE_ORIGIN, "https://live.example/live/K-talk/mp3"),
        ("evil<script>", ONE_ORIGIN, "https://live.example/live/K-talk/mp3"),
    ],
)
def test_players_are_sent_on_to_the_edge(host: str, origins: Origins, location: str) -> None:
    response = ask("/s/talk/listen.mp3", origins=origins, headers={"host": host})
    assert (response.status, header(response, "Location")) == (307, location)
    assert header(response, "Cache-Control") == "no-store"


@pytest.mark.parametrize(
    ("name", "content_type", "line"),
    [
        ("listen.m3u", "audio/x-mpegurl", "#EXTINF:-1,Ada & Grace\n{url}\n"),
        ("listen.pls", "audio/x-scpls", "File1={url}\nTitle1=Ada & Grace\n"),
    ],
)
def test_a_playlist_names_the_show_and_an_address_that_gives_a_new_ticket_each_time(
    name: str, content_type: str, line: str
) -> None:
    for origins, url in ((PORTS, "http://radio.example:8000"), (ONE_ORIGIN, "https://live.example")):
        response = ask(f"/s/talk/{name}", origins=origins)
        assert header(response, "Content-Type") == content_type
        assert line.format(url=f"{url}/s/talk/listen.mp3") in (response.body or b"").decode()


def test_a_playlist_of_a_show_that_the_desk_forgot() -> None:
    for now, title in (('{"phase":"live","title":"Night"}', b"-1,Night\n"), (NOW, b"-1,\n")):
        assert title in (ask("/s/talk/listen.m3u", shows={}, now_text={"talk": now}.get).body or b"")


@pytest.mark.parametrize("path", ["/s/talk/listen.mp3", "/s/talk/listen.m3u", "/s/talk/listen.pls"])
@pytest.mark.parametrize("host", ["", "evil<script>"])
def test_without_a_host_nobody_is_sent_to_nowhere(path: str, host: str) -> None:
    response = ask(path, headers={"host": host})
    assert (response.status, code(response)) == (400, "no-host")
    assert ask(path, headers={"host": host}, origins=ONE_ORIGIN).status in (200, 307)


def test_the_page_is_the_same_for_all_and_small() -> None:
    plain, small = ask("/s/talk"), ask("/s/talk", headers={"accept-encoding": "br, gzip"})
    assert (plain.body, small.body) == (b"<p>talk", b"small")
    assert (header(plain, "Content-Encoding"), header(small, "Content-Encoding")) == (None, "gzip")
    assert header(plain, "Cache-Control") == "public, max-age=60, stale-if-error=86400"
    assert header(plain, "Vary") == "Accept-Encoding"
    assert header(plain, "Referrer-Policy") == "no-referrer"
    assert header(plain, "X-Content-Type-Options") == "nosniff"


def test_addresses_have_the_scheme_of_the_roles() -> None:
    origins = Origins("", 8001, 8004, "https")
    location = dict(ask("/s/talk/listen.mp3", origins=origins).headers)["Location"]
    assert location.startswith("https://radio.example:8001/live/")
    assert b"\nhttps://radio.example:8000/s/talk/listen.mp3\n" in (
        ask("/s/talk/listen.m3u", origins=origins).body or b""
    )


def test_scripts_come_from_here_and_audio_from_the_edge_and_the_archive() -> None:
    policy = header(ask("/s/talk"), "Content-Security-Policy") or ""
    sources = dict(part.split(" ", 1) for part in policy.split("; "))
    ports = [f"{scheme}://radio.example:{port}" for port in (8001, 8004) for scheme in ("http", "https")]
    assert (sources["default-src"], sources["script-src"], sources["style-src"]) == ("'none'", "'self'", "'self'")
    assert sources["connect-src"].split() == ["'self'", *ports]
    assert sources["media-src"].split() == ["'self'", "blob:", *ports]
    same = header(ask("/s/talk", origins=ONE_ORIGIN), "Content-Security-Policy") or ""
    assert "connect-src 'self';" in same


@pytest.mark.parametrize("host", ["x; script-src *", "a" * 300, "<b>", "x\u00e9"])
def test_what_is_no_host_is_not_written_into_an_answer(host: str) -> None:
    assert host not in str(ask("/s/talk", headers={"host": host}))


def test_a_page_that_is_missing_is_said_so() -> None:
    response = ask("/s/talk", listener_page=lambda show: None)
    assert (response.status, code(response)) == (503, "page-missing")


def test_assets_are_kept_for_ever() -> None:
    response = ask("/assets/cafe0001/listen/x.js")
    assert (response.status, response.body) == (200, b"let x")
    assert header(response, "Cache-Control") == "public, max-age=31536000, immutable"
    assert [ask(path).status for path in ("/assets/cafe0002/listen/x.js", "/assets/cafe0001", "/assets")] == [404] * 3


def test_the_shows_as_json_tell_what_everybody_may_know() -> None:
    response = ask("/", headers={"accept": "application/json"})
    (listed,) = json.loads(response.body or b"")["shows"]
    times = {"starts_at_ms": 2_000, "opens_at_ms": 1_000}
    assert listed == {"id": "talk", "title": "Ada & Grace", **times, "phase": "live", "page": "/s/talk"}


def test_the_shows_as_a_page() -> None:
    assert b'<a href="/s/talk">Ada &amp; Grace</a> live' in (ask("/").body or b"")
    assert b"No show is announced" in (ask("/", shows={}).body or b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/s/talk", 405),
        ("DELETE", "/s/talk/join", 405),
        ("OPTIONS", "/s/talk/join", 204),
        ("POST", "/s/talk/wait/x", 405),
        ("POST", "/x/join", 405),
        ("GET", "/s/talk/wait/x/y", 404),
        ("GET", "/s/talk/now/x", 404),
        ("GET", "/s/talk/nothing", 404),
        ("GET", "/s", 404),
        ("GET", "/wp-login.php", 404),
        ("HEAD", "/s/talk", 200),
    ],
)
def test_other_requests(method: str, path: str, status: int) -> None:
    assert ask(path, method).status == status


def test_the_page_learns_where_edge_and_archive_are() -> None:
    assert json.loads(PORTS.config) == {"edge_port": 8001, "archive_port": 8004}
    assert json.loads(ONE_ORIGIN.config) == {"edge_port": 0, "archive_port": 0}
