"""HTTP intake against a corpus and whatever hypothesis makes of it. A case that once failed is added to `http/`.

What is remembered of earlier requests must never change what comes of later ones: everything is read as well by a
reader that looks nothing up.
"""

from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.io.net.http import PIPELINED_MAX, RequestReader, encode
from stentor.model.http import Request

CORPUS = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parent / "http").glob("*.bin"))}
PIECES = sorted({line + b"\r\n" for data in CORPUS.values() for line in data.split(b"\r\n")} | {b"\r\n", b"\0"})
MAX = 256


class Forgetful(RequestReader):
    """Gives everything to httptools."""

    def _look_up(self, data: bytes) -> None:
        return None


def outcome(data: bytes, cuts: list[int], kind: type[RequestReader] = RequestReader) -> list[object]:
    """What comes of `data` fed in pieces that end at `cuts`: requests, then the status of a refusal."""
    reader, seen = kind(MAX), []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in pairwise(edges):
        if start < stop and not reader.refused:
            seen += reader.feed(data[start:stop])
    if reader.refused:
        assert encode(reader.refused).startswith(b"HTTP/1.1 4")
        seen.append(reader.refused.status)
    return seen


def check(data: bytes, cuts: list[int]) -> None:
    whole, pieces = outcome(data, []), outcome(data, cuts)
    assert whole == outcome(data, [], Forgetful)
    assert pieces == outcome(data, cuts, Forgetful)
    requests = [item for item in pieces if isinstance(item, Request)]
    for request in requests:
        assert sum(len(name) + len(value) for name, value in request.headers.items()) <= MAX
        assert request.path.isascii()
    if len(whole) < PIPELINED_MAX:  # a long pipeline is refused by the piece
        assert requests == [item for item in whole if isinstance(item, Request)]


def test_the_corpus_in_single_bytes():
    for data in CORPUS.values():
        check(data, list(range(len(data))))


@given(st.sampled_from(sorted(CORPUS)), st.lists(st.integers(0, 500), max_size=5))
def test_the_corpus_in_any_pieces(name, cuts):
    check(CORPUS[name], cuts)


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=12), st.lists(st.integers(0, 500)))
@settings(max_examples=300)
def test_lines_of_the_corpus_in_any_order(lines, cuts):
    check(b"".join(lines), cuts)


@given(st.sampled_from(sorted(CORPUS)), st.integers(0, 500), st.binary(max_size=8), st.lists(st.integers(0, 500)))
@settings(max_examples=300)
def test_the_corpus_with_bytes_put_in(name, at, noise, cuts):
    data = CORPUS[name]
    check(data[: at % len(data)] + noise + data[at % len(data) :], cuts)


METHODS = [b"GET", b"HEAD", b"POST", b"OPTIONS", b"CONNECT", b"PRI", b"get", b"M-SEARCH"]
TARGETS = [
    b"/",
    b"/a?b=c",
    b"/%2e%2e/",
    b"*",
    b"//x",
    b"/a#b",
    b"/a b",
    b"/\xff",
    b"http://x/a",
    b"/" + b"a" * 300,
    b"/?a&b",
]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.1 ", b"http/1.1", b""]
LINES = [
    b"", b"Host: x", b"Host: y", b"host:x", b"Host : x", b"A: " + b"a" * 100, b"A:", b" fold", b"A: b\nC: d", b"A\0: b",
    b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade", b"Upgrade: h2c", b"Expect: 100-continue",
    b"Content-Length: 0", b"Content-Length: 4", b"Content-Length: +1", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity", b"GET / HTTP/1.1",
]  # fmt: skip
ENDS = [
    b"\r\n\r\n",
    b"\r\n\r\n\r\n",
    b"\n\n",
    b"\r\n",
    b"\r\n\r\n0\r\n\r\n",
    b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
]


def with_host(lines: list[bytes]) -> list[bytes]:
    return [b"Host: x", *lines]


requests = st.builds(
    lambda method, target, version, lines, end: (
        method + b" " + target + b" " + version + b"\r\n" + b"\r\n".join(lines) + end
    ),
    st.sampled_from(METHODS),
    st.sampled_from(TARGETS),
    st.sampled_from(VERSIONS),
    st.lists(st.sampled_from(LINES), max_size=4) | st.lists(st.sampled_from(LINES), max_size=2).map(with_host),
    st.sampled_from(ENDS),
)


def in_turn(messages: list[bytes], kind: type[RequestReader]) -> list[object]:
    """What comes of whole messages, one a read, on one connection."""
    reader, seen = kind(MAX, "192.0.2.1"), []
    for data in messages:
        if not reader.refused:
            seen += [*reader.feed(data), reader.idle, reader.over]
    return [*seen, reader.refused and reader.refused.status]


@given(st.lists(requests, min_size=1, max_size=4))
@settings(max_examples=1_000)
def test_what_is_remembered_is_what_httptools_says(messages):
    assert in_turn(messages, RequestReader) == in_turn(messages, Forgetful)


@given(requests, st.integers(0, 400), st.binary(min_size=1, max_size=3))
@settings(max_examples=500)
def test_a_byte_more_or_less_than_what_is_remembered(data, at, noise):
    at %= len(data)
    for near in (data, data[:at] + noise + data[at:], data[:at] + noise + data[at + len(noise) :], data[:at], data):
        assert in_turn([near, near], RequestReader) == in_turn([near, near], Forgetful)
