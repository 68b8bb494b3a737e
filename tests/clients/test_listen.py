"""The listening client against a station that misbehaves as it is told; the real one is heard in tests/scenario."""

import asyncio
import io
import json
from collections.abc import Callable
from urllib.parse import parse_qsl

import pytest

from stentor.clients.links import BadLink, Link
from stentor.clients.listen import Listener
from stentor.formats import challenge, chunks
from stentor.formats.problem import CONTENT_TYPE, problem
from stentor.model.grid import Grid
from stentor.model.rendition import OPUS

GRID = Grid(1_700_000_000_000_000_000, 0, 24_000)
END_N = 20
Act = Callable[[int], bytes]  # from the n that is asked for to the answer; the connection is closed after it


def chunk(n: int) -> bytes:
    return chunks.build(OPUS, GRID, n, [bytes(40 + n)] * GRID.frame_count(OPUS, n))


def respond(body: bytes, status: str = "200 OK", kind: str = "audio/mp4", **headers: object) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"Stentor-{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def stream(first: int, *numbers: int, cut: int = 0, **headers: str) -> bytes:
    body = chunks.header(OPUS) + b"".join(map(chunk, numbers))
    t0_ms = GRID.t0_wall_ns // 1_000_000
    clock = {"T0_Ms": t0_ms, "Chunk_Ms": 500, "Now_Ms": t0_ms + 10_000, "N": first, "Head": first}
    return respond(body[: len(body) - cut], **clock, **headers)


def refuse(status: int, code: str) -> bytes:
    return respond(problem(status, code, code), f"{status} No", CONTENT_TYPE, Retry_After=0)


class Station:
    """Page, `now` and tickets as they should be; each connection to a mount does the next of `acts`, each request for a
    ticket gets the next of `line` first."""

    def __init__(self, *acts: Act, line: list[bytes] | None = None) -> None:
        self._acts, self._line = list(acts), line or []
        self.asked: list[str] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked.append(path)
        writer.write(self._answer(path))
        await writer.drain()
        writer.close()

    def _answer(self, path: str) -> bytes:
        if path.startswith("/live/"):
            act = self._acts.pop(0) if self._acts else lambda n: stream(n)
            return act(int(path.partition("from=")[2] or 0))
        if path.partition("?")[0].endswith("/join") and self._line:
            return self._line.pop(0)
        body = {"ticket": "T" * 64, "phase": "live", "end_n": END_N}
        return respond(json.dumps(body).encode() if path != "/s/x" else b'<i>{"edge_port": 0}</i>')

    async def hear(self) -> Listener:
        """Listen to this station to the end of the show."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            listener = Listener(Link.parse(f"http://127.0.0.1:{port}/s/x"), OPUS, out=io.BytesIO())
            async with asyncio.timeout(30):
                await listener.run()
            return listener


def hear(*acts: Act) -> tuple[Listener, list[str]]:
    station = Station(*acts)
    return asyncio.run(station.hear()), [path for path in station.asked if path.startswith("/live/")]


def test_a_whole_show_is_heard_once() -> None:
    listener, asked = hear(lambda _: stream(3, *range(3, END_N)))
    report = listener.report()
    assert (report["first_n"], report["last_n"], report["chunks"]) == (3, 19, 17)
    assert (report["fine"], report["ended"], report["reconnects"], report["joins"]) == (True, True, 0, 1)
    assert isinstance(listener.out, io.BytesIO)
    assert listener.out.getvalue() == chunks.header(OPUS) + b"".join(map(chunk, range(3, END_N)))
    assert len(asked) == 1


def test_a_broken_connection_goes_on_at_the_chunk_it_had() -> None:
    listener, asked = hear(lambda _: stream(3, *range(3, 9), cut=7), lambda n: stream(n, *range(n, END_N)))
    report = listener.report()
    assert asked[1].endswith("from=8") and report["reconnects"] == 1
    assert (report["fine"], report["chunks"], report["missing"]) == (True, 17, 0)
    assert isinstance(listener.out, io.BytesIO)
    assert listener.out.getvalue() == chunks.header(OPUS) + b"".join(map(chunk, range(3, END_N)))


def test_lost_chunks_are_told() -> None:
    listener, _ = hear(lambda _: stream(3, 3, 4, 7, *range(8, END_N)))
    assert (listener.report()["missing"], listener.fine) == (2, False)


def test_an_edge_without_a_show_is_asked_again() -> None:
    listener, _ = hear(lambda _: refuse(503, "no-show"), lambda _: stream(3, *range(3, END_N)))
    assert listener.fine and listener.report()["refusals"] == 1


def test_it_comes_back_by_the_ticket_that_the_edge_gave() -> None:
    listener, asked = hear(
        lambda _: stream(3, 3, 4, Ticket="R" * 64), lambda _: stream(5, 5, 6), lambda _: stream(7, *range(7, END_N))
    )
    assert listener.fine and listener.joins == 1
    assert [path.split("/")[2][0] for path in asked if path.startswith("/live/")] == ["T", "R", "R"]


@pytest.mark.parametrize("ticket", ["", "../secret", "x" * 200, "a b"])
def test_what_is_no_ticket_is_not_taken_for_one(ticket: str) -> None:
    listener, asked = hear(lambda _: stream(3, 3, Ticket=ticket), lambda _: stream(4, *range(4, END_N)))
    assert listener.fine and listener.joins == 1
    assert {path.split("/")[2] for path in asked if path.startswith("/live/")} == {"T" * 64}


def test_a_ticket_that_is_refused_is_given_back_once() -> None:
    listener, _ = hear(lambda _: refuse(403, "ticket-expired"), lambda _: stream(3, *range(3, END_N)))
    assert listener.fine and listener.report()["joins"] == 2


def test_a_ticket_that_is_refused_again_ends_it() -> None:
    listener, _ = hear(*[lambda _: refuse(403, "ticket-expired")] * 2)
    assert not listener.fine and "ticket-expired" in listener.report()["problem"]


@pytest.mark.parametrize("answer", [respond(b"<html>", Now_Ms=1), respond(b"")])
def test_an_answer_that_is_no_stream_ends_it(answer: bytes) -> None:
    listener, _ = hear(lambda _: answer, lambda _: answer)
    assert not listener.fine and "lacks a header" in listener.report()["problem"]


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("http://h:8000/s/friday", Link("http://h:8000/s/friday", "")),
        ("https://h/s/friday/", Link("https://h/s/friday", "")),
        ("http://h:8001/live/abc/mp3-low", Link("", "http://h:8001/live/abc", "mp3-low")),
        ("http://h:8001/live/abc/opus.mp4", Link("", "http://h:8001/live/abc", "opus")),
    ],
)
def test_links(url: str, link: Link) -> None:
    assert Link.parse(url) == link


@pytest.mark.parametrize("url", ["", "friday", "ftp://h/s/x", "http://h/", "http:///s/x", "http://h/crew/#token"])
def test_bad_links_are_refused(url: str) -> None:
    with pytest.raises(BadLink):
        Link.parse(url)


def waits(place: str) -> bytes:
    return respond(json.dumps({"place": place, "next_poll_ms": 1}).encode(), "202 Accepted")


def ask_for_work(code: str = "challenge-needed", number: int = 9) -> bytes:
    given = challenge.make(bytes(32), bytes(12), number, 10)
    fields = json.loads(problem(428, code, code)) | {"challenge": given.fields(), "stamp": "s.1.ab"}
    return respond(json.dumps(fields).encode(), "428 Precondition Required", CONTENT_TYPE)


def test_what_the_door_asks_for_first_is_done():
    station = Station(lambda n: stream(1, *range(1, END_N)), line=[ask_for_work()])
    listener = asyncio.run(station.hear())
    asked = [path for path in station.asked if "/join" in path]
    found = dict(parse_qsl(asked[1].partition("?")[2]))
    assert len(asked) == 2 and found["stamp"] == "s.1.ab"
    assert challenge.parse(found["solution"]).number == 9
    assert listener.fine


def test_what_cannot_be_done_is_said():
    listener = asyncio.run(Station(line=[refuse(428, "challenge-needed")] * 9).hear())
    assert "challenge-needed" in listener.problem


def test_who_waits_in_line_comes_again_with_the_same_place():
    line = [waits("P" * 64), waits("P" * 64), refuse(403, "place-forged"), waits("Q" * 64)]
    station = Station(lambda n: stream(1, *range(1, END_N)), line=line)
    listener = asyncio.run(station.hear())
    assert listener.fine and listener.ended
    places = [path.partition("place=")[2][:1] for path in station.asked if "/join" in path]
    assert places == ["", "P", "P", "", "Q"], "a place that is none any more is given up, no other"
