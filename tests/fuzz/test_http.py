"""HTTP intake against a corpus and whatever hypothesis makes of it. A case that once failed is added to `http/`."""

from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.io.net.http import PIPELINED_MAX, RequestReader, encode
from stentor.model.http import Request

CORPUS = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parent / "http").glob("*.bin"))}
PIECES = sorted({line + b"\r\n" for data in CORPUS.values() for line in data.split(b"\r\n")} | {b"\r\n", b"\0"})
MAX = 256


def outcome(data: bytes, cuts: list[int]) -> list[object]:
    """What comes of `data` fed in pieces that end at `cuts`: requests, then the status of a refusal."""
    reader, seen = RequestReader(MAX), []
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
