"""Ranges against the examples of RFC 9110, section 14.1.2, and against a slice of real bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.formats.ranges import Unsatisfiable, content_range, parse


@pytest.mark.parametrize(
    ("header", "size", "span"),
    [
        ("bytes=0-499", 10_000, (0, 499)),
        ("bytes=500-999", 10_000, (500, 999)),
        ("bytes=-500", 10_000, (9_500, 9_999)),
        ("bytes=9500-", 10_000, (9_500, 9_999)),
        ("bytes=0-1", 10_000, (0, 1)),  # Safari's probe
        ("bytes=0-", 1, (0, 0)),
        ("bytes=5-99999", 10, (5, 9)),
        ("bytes=-500", 10, (0, 9)),
        ("BYTES=0-0", 10, (0, 0)),
        ("bytes= 0-0 ", 10, (0, 0)),
    ],
)
def test_satisfied(header, size, span):
    assert parse(header, size) == span


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=2-1", "items=0-1", "bytes=0-1,3-4"),
        *("bytes=--1", "bytes=+0-1", "bytes=0x0-1", "bytes=\u0660-\u0661", "bytes=0-1\n", "bytes=" + "9" * 5000 + "-"),
    ],
)
def test_ignored(header):
    assert parse(header, 10) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_unsatisfiable(header, size):
    answer = parse(header, size)
    assert answer == Unsatisfiable(size)
    assert answer.content_range == f"bytes */{size}"


def test_a_suffix_of_nothing_is_all_of_it():
    assert parse("bytes=-5", 0) is None


def test_content_range():
    assert content_range((0, 1), 1234) == "bytes 0-1/1234"


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 200))
def test_agrees_with_a_slice(first, last, size):
    body = bytes(index % 251 for index in range(size))
    match parse(f"bytes={first}-{last}", size):
        case (a, b):
            assert body[a : b + 1] == body[first : last + 1]
        case None:
            assert last < first
        case Unsatisfiable():
            assert body[first : last + 1] == b""


@given(st.text(max_size=60), st.integers(0, 100))
def test_any_text_gives_a_span_inside_the_body_or_none(text, size):
    answer = parse("bytes=" + text, size)
    if isinstance(answer, tuple):
        assert 0 <= answer[0] <= answer[1] < size
