"""Whoever does not keep to HTTP, at every port: told so in a problem, not listened to for long, noticed by nobody."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain, repeat

import pytest

from stentor.formats.crew import ShowMade
from support.hostile import resident_bytes, send
from support.onair import OnAir
from support.running import Running, installation

pytestmark = pytest.mark.scenario
ROLES = ("door", "edge", "desk", "studio", "archive")
TARGETS = {  # what takes a body where anything does
    "door": b"POST /s/show/join",
    "edge": b"POST /live/ticket/opus",
    "desk": b"POST /crew/api/wish",
    "studio": b"POST /stage/whip",
    "archive": b"POST /archive/show/info",
}
PIECE = b"x" * 65_536
PIECES = 1_600  # 100 MiB
TAKEN_MAX = 16 << 20  # the buffers of both kernels, and some
MEMORY_MAX = 8 << 20


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, ShowMade]]:
    """All roles up, a show on air and a listener, who hears all of it; at the end it is the same processes."""
    tmp = tmp_path_factory.mktemp("http")
    with installation(tmp) as running, ExitStack() as stack:
        running.start()
        on_air = OnAir(running, stack, tmp, starts_in_s=1.0)
        heard = tmp / "heard.mp3"
        on_air.hear("mp3", heard)
        before = running.pids()
        yield running, on_air.made
        assert running.pids() == before
        assert "Traceback" not in running.log.read_text()
        on_air.heard_at_least(heard, 60_000)
        on_air.end()
        on_air.assert_heard_is_taped({"mp3": heard})


def head(role: str, made: ShowMade, *lines: bytes) -> bytes:
    """A request of somebody who may make it, as far as the end of its headers."""
    own = (b"Host: x", b"Content-Type: application/sdp", b"Authorization: Bearer " + made.crew_token.encode())
    return b"\r\n".join([TARGETS[role] + b" HTTP/1.1", *own, *lines, b"", b""])


MALFORMED = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: x\r\nwhat is this\r\n\r\n",
    "ten thousand headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"a%d: b\r\n" % i for i in range(10_000)),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_request(live: tuple[Running, ShowMade], role: str, name: str) -> None:
    outcome = send(port(live[0], role), [MALFORMED[name]])
    assert outcome.problem()["status"] == (431 if name.startswith("ten") else 400)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"Transfer-Encoding: chunked", b"ZZZ\r\nnonsense\r\n"),
        (b"Transfer-Encoding: chunked", b"-5\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"5\r\ntoo long for five\r\n"),
        (b"Content-Length: -5", b""),
        (b"Content-Length: five", b"12345"),
    ],
)
def test_bodies_of_no_length(live: tuple[Running, ShowMade], role: str, header: bytes, body: bytes) -> None:
    running, made = live
    outcome = send(port(running, role), [head(role, made, header) + body])
    assert outcome.problem()["status"] == 400


def endless(piece: bytes = PIECE) -> Iterator[bytes]:
    return repeat(piece, PIECES)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", ["line", "header", "declared", "chunked", "unwanted"])
def test_what_never_ends_is_not_listened_to(live: tuple[Running, ShowMade], role: str, kind: str) -> None:
    running, made = live
    chunk = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
    chunked = b"Transfer-Encoding: chunked"
    pieces, refused = {
        "line": (chain([b"GET /"], endless()), 431),
        "header": (chain([b"GET / HTTP/1.1\r\nHost: x\r\nA: "], endless()), 431),
        "declared": (chain([head(role, made, b"Content-Length: 104857600")], endless()), 413),
        "chunked": (chain([head(role, made, chunked)], endless(chunk)), 413),
        "unwanted": (chain([b"GET /nothing HTTP/1.1\r\nHost: x\r\n" + chunked + b"\r\n\r\n"], endless(chunk)), 404),
    }[kind]
    pid = running.pids()[role if role not in ("door", "edge") else f"{role}-0"]
    assert pid is not None
    before = resident_bytes(pid)
    outcome = send(port(running, role), pieces)
    assert outcome.problem()["status"] in {refused, 413, 405 if role == "archive" else refused}
    assert outcome.closed and outcome.taken < TAKEN_MAX
    assert resident_bytes(pid) - before < MEMORY_MAX


def test_who_is_slow_is_told_so_and_let_go(live: tuple[Running, ShowMade]) -> None:
    """A letter every half second, in headers and in a body, everywhere at the same time."""
    running, made = live
    begun = {role: (b"GET / HTTP/1.1\r\nHost: x\r\nA: ", head(role, made, b"Content-Length: 1000")) for role in ROLES}
    asked = [(role, start) for role, starts in begun.items() for start in starts]
    with ThreadPoolExecutor(len(asked)) as pool:
        outcomes = pool.map(lambda ask: send(port(running, ask[0]), chain([ask[1]], repeat(b"x")), 0.5), asked)
    for (role, start), outcome in zip(asked, outcomes, strict=True):
        wanted = 405 if role == "archive" and start.startswith(b"POST") else 408
        assert outcome.closed and outcome.problem()["status"] == wanted, (role, outcome)


def test_half_a_request_is_nobodys_loss(live: tuple[Running, ShowMade]) -> None:
    """Connections that break off in the middle, and then a whole request on another."""
    running, made = live
    for role in ROLES:
        whole = head(role, made, b"Content-Length: 5") + b"12345"
        for size in range(1, len(whole), 40):
            outcome = send(port(running, role), [whole[:size]], hang_up=True)
            assert outcome.status in (0, 400, 401, 403, 404, 405), outcome
        assert (
            send(port(running, role), [b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]).status == 404
        )


def port(running: Running, role: str) -> int:
    return int(getattr(running.settings, f"{role}_port"))
