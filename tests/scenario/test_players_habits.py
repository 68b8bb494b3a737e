"""What speakers, cars and televisions do before they play, request by request, at every address that one can listen to.

They send no Origin, often no User-Agent, and by HTTP/1.0; ask by HEAD what it is; ask for ranges of what has no end;
keep connections; follow redirects, and go by Content-Type.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from stentor.formats.icy import METAINT
from support.edge import demux_icy
from support.onair import OnAir
from support.running import installation

pytestmark = pytest.mark.scenario
PATIENCE_S = 30.0
TYPES = {
    "listen.m3u": "audio/x-mpegurl",
    "listen.pls": "audio/x-scpls",
    "mp3": "audio/mpeg",
    "mp3.mp3": "audio/mpeg",
    "aac.m4a": "audio/mp4",
    "opus": "audio/mp4",
    "index.m3u8": "application/vnd.apple.mpegurl",
    "live.m3u8": "application/vnd.apple.mpegurl",
    "dvr.m3u8": "application/vnd.apple.mpegurl",
    "replay.mp3": "audio/mpeg",
    "replay.m4a": "audio/mp4",
    "replay.opus": "audio/ogg",
}
STREAMS = ("mp3", "mp3.mp3", "aac.m4a", "opus")
FILES = ("replay.mp3", "replay.m4a", "replay.opus")
LISTS = tuple(name for name in TYPES if name not in STREAMS + FILES)


class Habit(NamedTuple):
    """A way to ask. `status` by kind of address: the redirect, a stream, a file, a playlist."""

    method: str = "GET"
    version: str = "1.1"
    lines: tuple[str, ...] = ("Host: {host}",)
    status: tuple[int, int, int, int] = (307, 200, 200, 200)
    query: str = ""

    def expected(self, name: str) -> int:
        if not self.lines and name.startswith("listen."):
            return 400
        kind = 0 if name == "listen.mp3" else 1 if name in STREAMS else 2 if name in FILES else 3
        return self.status[kind]

    def request(self, host: str, path: str) -> bytes:
        lines = (f"{self.method} {path}{self.query} HTTP/{self.version}", *self.lines, "", "")
        return "\r\n".join(lines).format(host=host).encode()


def with_host(*lines: str) -> tuple[str, ...]:
    return ("Host: {host}", *lines)


HABITS = {
    "plain": Habit(),
    "head": Habit("HEAD"),
    "head by 1.0": Habit("HEAD", "1.0"),
    "1.0": Habit(version="1.0"),
    "1.0, kept": Habit(version="1.0", lines=with_host("Connection: keep-alive")),
    "1.0 without a host": Habit(version="1.0", lines=()),
    "from 0 on": Habit(lines=with_host("Range: bytes=0-"), status=(307, 200, 206, 200)),
    "two bytes": Habit(lines=with_host("Range: bytes=0-1"), status=(307, 206, 206, 200)),
    "head of two bytes": Habit("HEAD", lines=with_host("Range: bytes=0-1"), status=(307, 206, 206, 200)),
    "titles wanted": Habit(lines=with_host("Icy-MetaData: 1", "Accept: */*", "Connection: close")),
    "only MPEG": Habit(lines=with_host("Accept: audio/mpeg, audio/*;q=0.9", "Accept-Encoding: identity;q=1, *;q=0")),
    "a television": Habit(lines=with_host("getcontentFeatures.dlna.org: 1", "transferMode.dlna.org: Streaming")),
    "an ending for who goes by it": Habit(query="?type=.mp3"),
}
ADDRESSES = ("listen.mp3", *TYPES)


class Answer:
    """As much of an answer as shows what it is: the head, and the body as far as its length says or `some` bytes."""

    def __init__(self, sock: socket.socket, *, bodyless: bool = False, some: int = 4_000) -> None:
        data = b""
        while b"\r\n\r\n" not in data and (more := sock.recv(65_536)):
            data += more
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(self.headers.get("content-length", some))
        while not bodyless and len(self.body) < length and (more := sock.recv(65_536)):
            self.body += more


class Listening:
    """Where each address is: by name, (port, path)."""

    def __init__(self, on_air: OnAir) -> None:
        self._on_air, made, settings = on_air, on_air.made, on_air.running.settings
        mount = re.sub(r"^\w+://[^/]+", "", on_air.mount("")).rstrip("/")
        self.places = {name: (settings.door_port, f"/s/{made.show}/{name}") for name in ADDRESSES if "listen." in name}
        self.places |= {name: (settings.edge_port, f"{mount}/{name}") for name in (*STREAMS, "index.m3u8")}
        for name in (*FILES, "dvr.m3u8"):
            self.places[name] = (settings.archive_port, f"/archive/{made.show}/{name}")
        index = self.ask("index.m3u8", HABITS["plain"]).body.decode()
        self.places["live.m3u8"] = (settings.edge_port, re.findall(r"^/live/\S+", index, re.MULTILINE)[0])

    def ask(self, name: str, habit: Habit, some: int = 4_000) -> Answer:
        port, path = self.places[name]
        return ask(port, path, habit, some)


def ask(port: int, path: str, habit: Habit, some: int = 4_000) -> Answer:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
        sock.sendall(habit.request(f"127.0.0.1:{port}", path))
        return Answer(sock, bodyless=habit.method == "HEAD", some=some)


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Listening, Listening]]:
    """A show on air, and one that has its replay."""
    tmp = tmp_path_factory.mktemp("habits")
    with installation(tmp) as running, ExitStack() as stack:
        running.start()
        past = OnAir(running, stack, tmp, starts_in_s=1.0)
        past.airs(4)
        ended = Listening(past)
        past.end()
        yield Listening(OnAir(running, stack, tmp, starts_in_s=1.0)), ended


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("habit", HABITS)
def test_every_habit_at_every_address(listening: tuple[Listening, Listening], habit: str, name: str) -> None:
    there = listening[1] if name in (*FILES, "dvr.m3u8") else listening[0]
    answer = there.ask(name, HABITS[habit])
    assert answer.status == HABITS[habit].expected(name), answer.body
    if answer.status in (200, 206):
        assert answer.headers["content-type"].partition(";")[0] == TYPES[name]
    assert "transfer-encoding" not in answer.headers, "who speaks HTTP/1.0 knows no chunks"
    if HABITS[habit].method == "HEAD":
        assert answer.body == b""
    elif answer.status == 206:
        span, _, size = answer.headers["content-range"].removeprefix("bytes ").partition("/")
        assert span == f"0-{len(answer.body) - 1}" and int(answer.headers["content-length"]) == len(answer.body)
        assert size == ("*" if name in STREAMS else size) and len(answer.body) == (2 if "two" in habit else int(size))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_redirect_leads_to_sound(listening: tuple[Listening, Listening], method: str) -> None:
    hop = listening[0].ask("listen.mp3", Habit(method))
    port, path = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/.+)", hop.headers["location"]).groups()
    answer = ask(int(port), path, Habit(method))
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/mpeg")
    assert method == "HEAD" or answer.body[0] == 0xFF, "a frame of MPEG audio begins with its sync word"


@pytest.mark.parametrize("name", [*LISTS, *FILES])
def test_a_connection_is_kept_for_the_next_request(listening: tuple[Listening, Listening], name: str) -> None:
    there = listening[1] if name in (*FILES, "dvr.m3u8") else listening[0]
    port, path = there.places[name]
    habit = Habit("HEAD", lines=with_host("Connection: keep-alive"))
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
        for _ in range(3):
            sock.sendall(habit.request(f"127.0.0.1:{port}", path))
            assert Answer(sock, bodyless=True).status == 200


def test_a_stream_says_that_its_end_is_the_end_of_the_connection(listening: tuple[Listening, Listening]) -> None:
    for habit in ("plain", "1.0, kept"):
        headers = listening[0].ask("mp3", HABITS[habit]).headers
        assert headers["connection"] == "close" and "content-length" not in headers


def test_titles_come_to_who_asks_for_them_where_there_are_any(listening: tuple[Listening, Listening]) -> None:
    habit = HABITS["titles wanted"]
    answer = listening[0].ask("mp3", habit, some=METAINT + 100)
    assert answer.headers["icy-metaint"] == str(METAINT) and answer.headers["icy-name"] == "An evening's talk"
    assert set(demux_icy(answer.body)[1]) == {"StreamTitle='An evening's talk';"}
    for name in ("aac.m4a", "opus"):
        assert "icy-metaint" not in listening[0].ask(name, habit).headers


def test_without_a_host_it_is_told_why(listening: tuple[Listening, Listening]) -> None:
    for name in ("listen.mp3", "listen.m3u", "listen.pls"):
        answer = listening[0].ask(name, Habit(version="1.0", lines=()))
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "no-host")
