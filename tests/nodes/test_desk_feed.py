"""Streams of states, turned by the test."""

from __future__ import annotations

import asyncio

import pytest

from stentor.io.http import Problem
from stentor.nodes import desk_feed
from stentor.nodes.desk_feed import Feed


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_feed, "TURN_S", 0.001)


def _look() -> None:
    return


def test_a_line_at_once_and_at_every_turn_asked_for() -> None:
    async def run() -> tuple[list[bytes], int]:
        feed, looks = Feed(), 0

        def look() -> None:
            nonlocal looks
            looks += 1

        async with asyncio.TaskGroup() as group:
            turning = group.create_task(feed.run(look))
            lines = [line async for line in feed.lines(lambda: b"%d" % looks if looks < 9 else None, turns=3)]
            turning.cancel()
        return lines, feed.subscribers

    lines, subscribers = asyncio.run(run())
    assert lines == [b"0\n", b"3\n", b"6\n"]
    assert subscribers == 0


def test_streams_end_with_the_feed() -> None:
    async def run() -> list[bytes]:
        feed = Feed()
        turning = asyncio.ensure_future(feed.run(_look))
        lines = []
        async for line in feed.lines(lambda: b"x", turns=1):
            lines.append(line)
            if len(lines) == 2:
                turning.cancel()
        return lines

    assert asyncio.run(run()) == [b"x\n", b"x\n"]


def test_subscribers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        feed = Feed()
        monkeypatch.setattr(desk_feed, "SUBSCRIBERS_MAX", 1)
        feed.check_room()
        first = feed.lines(lambda: b"x", turns=1)
        assert await anext(first) == b"x\n"
        with pytest.raises(Problem):
            feed.check_room()
        assert [line async for line in feed.lines(lambda: b"y", turns=1)] == []
        await first.aclose()
        feed.check_room()

    asyncio.run(run())


def test_a_state_is_made_once_a_turn_for_all() -> None:
    async def run() -> int:
        feed, made = Feed(), 0

        def make() -> bytes:
            nonlocal made
            made += 1
            return b"state"

        assert feed.line("a", make) == feed.line("a", make) == b"state"
        turning = asyncio.ensure_future(feed.run(_look))
        stream = feed.lines(lambda: b"", turns=1)
        await anext(stream)
        await anext(stream)
        feed.line("a", make)
        turning.cancel()
        return made

    assert asyncio.run(run()) == 2
