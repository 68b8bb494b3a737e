"""What an edge answers, decided without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stentor.core.mount import Beacon, Index, Listen, No, Pull, View, answer, head, heard_beacon, is_put_off, probe
from stentor.formats import ticket
from stentor.model.grid import Grid
from stentor.model.http import Request, Response
from stentor.model.rendition import AAC, MP3, OPUS

KEY = b"k" * 32
NOW = 1_000_000
SHOW = "talk"
REVOKED, PLAYING = 66, 77  # seqs


GROUP = 3
TOKEN = ticket.Token(
    ticket.Kind.TICKET, ticket.show_tag(SHOW), ticket.Class.LATE, 1, NOW, NOW, NOW + 60, key_id=0, group=GROUP
)


def token(show: str = SHOW, key: bytes = KEY, **changes: Any) -> str:
    return ticket.mint(TOKEN._replace(show=ticket.show_tag(show), **changes), key)


def ask(
    path: str, method: str = "GET", show: str = SHOW, full: bool = False, now: int = NOW, **headers: str
) -> Listen | Index | Beacon | Pull | No | Response:
    path, _, query = path.partition("?")
    fields = dict(pair.split("=") for pair in query.split("&") if pair)
    lower = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    tag = ticket.show_tag(show) if show else None
    view = View(
        show_tag=lambda: tag,
        full=lambda seq: full and seq != PLAYING,
        keys={0: KEY},
        group=GROUP,
        revoked=lambda token: token.seq == REVOKED,
        now_text={"talk": '{"v":1}'}.get,
    )
    return answer(Request(method, path, fields, lower), view, now)


def refused(answered: Any) -> tuple[int, str]:
    response = answered.response if isinstance(answered, No) else answered
    assert isinstance(response, Response) and response.body
    problem = json.loads(response.body)
    assert not isinstance(answered, No) or answered.code == problem["code"]
    assert problem["status"] == response.status
    assert ("Access-Control-Allow-Origin", "*") in response.headers
    return response.status, problem["code"]


@pytest.mark.parametrize(
    ("name", "rendition"), [("opus", OPUS), ("aac", AAC), ("aac.m4a", AAC), ("opus.mp4", OPUS), ("mp3.mp3", MP3)]
)
def test_a_ticket_admits_to_every_rendition(name: str, rendition: object) -> None:
    assert ask(f"/live/{token()}/{name}") == Listen(TOKEN, rendition)  # type: ignore[arg-type]


def test_where_to_begin_is_asked_for_in_the_query() -> None:
    assert ask(f"/live/{token()}/opus?from=7&burst=0") == Listen(TOKEN, OPUS, 7, 0)


@pytest.mark.parametrize("query", ["from=", "from=-1", "from=x", "burst=1.5", "from=\u0661", "from=" + "9" * 11])
def test_what_is_no_number_is_refused(query: str) -> None:
    assert refused(ask(f"/live/{token()}/opus?{query}")) == (400, "bad-query")


def test_titles_are_for_mp3_and_for_who_asks() -> None:
    assert ask(f"/live/{token()}/mp3", Icy_MetaData="1") == Listen(TOKEN, MP3, icy=True)
    assert ask(f"/live/{token()}/mp3", Icy_MetaData="0") == Listen(TOKEN, MP3)
    assert ask(f"/live/{token()}/opus", Icy_MetaData="1") == Listen(TOKEN, OPUS)


@pytest.mark.parametrize(
    ("header", "is_probe"), [("bytes=0-1", True), ("bytes=0-", False), ("bytes=0-999", False), ("junk", False)]
)
def test_only_two_bytes_are_a_probe(header: str, is_probe: bool) -> None:
    assert ask(f"/live/{token()}/aac", Range=header) == Listen(TOKEN, AAC, probe=is_probe)


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        (f"/live/{token(key=b'x' * 32)}/opus", (403, "ticket-forged")),
        (f"/live/{token()[:-4]}/opus", (403, "ticket-malformed")),
        (f"/live/{token('other')}/opus", (403, "ticket-wrong-show")),
        (f"/live/{token(kind=ticket.Kind.PLACE)}/opus", (403, "ticket-wrong-kind")),
        (f"/live/{token(not_before=NOW + 1)}/opus", (403, "ticket-early")),
        (f"/live/{token(group=GROUP + 1)}/opus", (403, "ticket-wrong-group")),
        (f"/live/{token(seq=REVOKED)}/opus", (403, "ticket-revoked")),
        (f"/live/{token(seq=REVOKED)}/index.m3u8", (403, "ticket-revoked")),
        ("/live//opus", (403, "ticket-malformed")),
        (f"/live/{token()}/vorbis", (404, "no-rendition")),
        ("/live/other/now", (404, "no-show")),
        ("/live/x", (404, "not-found")),
        ("/", (404, "not-found")),
    ],
)
def test_refusals(path: str, refusal: tuple[int, str]) -> None:
    assert refused(ask(path)) == refusal


def test_an_expired_ticket() -> None:
    assert refused(ask(f"/live/{token()}/opus", now=NOW + 60)) == (403, "ticket-expired")


def test_nothing_on_and_no_room_are_worth_another_try() -> None:
    for answered, code in (
        (ask(f"/live/{token()}/opus", show=""), "no-show"),
        (ask(f"/live/{token()}/opus", full=True), "edge-full"),
    ):
        assert refused(answered) == (503, code)
        assert isinstance(answered, No) and ("Retry-After", "5") in answered.response.headers


def test_where_there_is_no_room_whoever_plays_here_may_come_again() -> None:
    answered = ask(f"/live/{token(seq=PLAYING)}/opus", full=True)
    assert isinstance(answered, Listen) and answered.token.seq == PLAYING


def test_the_playlist_of_playlists_is_for_who_has_a_ticket() -> None:
    assert ask(f"/live/{token()}/index.m3u8") == Index(TOKEN)


def test_who_has_no_ticket_does_not_learn_that_there_is_no_room() -> None:
    assert refused(ask("/live/x/opus", full=True)) == (403, "ticket-malformed")


def test_the_head_tells_time_by_the_clock_of_the_grid() -> None:
    grid = Grid(t0_wall_ns=5_000_000_000, t0_mono_ns=1_000_000_000, chunk_samples=12_000)
    response = head(Listen(TOKEN, OPUS), grid, 7, 8, now_ns=1_250_000_000, title="x")
    headers = dict(response.headers)
    assert response.body is None
    assert [headers[f"Stentor-{name}"] for name in ("T0-Ms", "Chunk-Ms", "N", "Head", "Now-Ms")] == [
        *("5000", "250", "7", "8", "5250")
    ]
    assert "icy-name" not in headers


def test_the_head_of_a_stream_with_titles() -> None:
    headers = dict(head(Listen(TOKEN, MP3, icy=True), Grid(0, 0, 24_000), 1, 0, 0, "a\r\nb").headers)
    assert (headers["icy-metaint"], headers["icy-name"]) == ("16000", "a  b")


def test_an_mp3_stream_has_a_name_for_players_that_ask_for_titles_only_then() -> None:
    headers = dict(head(Listen(TOKEN, MP3), Grid(0, 0, 24_000), 1, 0, 0, "Night").headers)
    assert headers["icy-name"] == "Night" and "icy-metaint" not in headers


def test_the_probe_gets_the_first_two_bytes() -> None:
    response = probe(Listen(TOKEN, AAC), b"\0\0\0\x18ftyp")
    assert (response.status, response.body) == (206, b"\0\0")
    assert dict(response.headers)["Content-Range"] == "bytes 0-1/*"


def test_strangers_are_put_off_before_those_who_come_back() -> None:
    def of(cls: ticket.Class) -> str:
        return ticket.mint(ticket.Token(ticket.Kind.TICKET, ticket.show_tag("show-1"), cls, 1, NOW, NOW, NOW + 60), KEY)

    put_off = {cls for cls in ticket.Class if is_put_off(f"/live/{of(cls)}/opus")}
    assert put_off == set(ticket.Class) - {ticket.Class.RECONNECT}
    others = ("/live/show-1/now", "/live/0123456789abcdefghijkl/opus/1.mp4", "/healthz", "/", f"/live/{'!' * 64}/opus")
    assert not any(map(is_put_off, others))


def test_a_beacon_is_of_whoever_has_a_ticket() -> None:
    assert ask(f"/live/{token()}/beacon") == Beacon(TOKEN)
    assert refused(ask(f"/live/{token(seq=REVOKED)}/beacon")) == (403, "ticket-revoked")
    assert refused(ask(f"/live/{token(key=b'x' * 32)}/beacon")) == (403, "ticket-forged")


def test_the_answer_to_a_beacon_is_nobody_elses() -> None:
    found = heard_beacon("abc")
    assert (found.status, found.body) == (204, b"")
    assert {("Cache-Control", "no-store"), ("Stentor-Ticket", "abc")} <= set(found.headers)
    assert "Stentor-Ticket" not in dict(heard_beacon("").headers)
