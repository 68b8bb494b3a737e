"""Streams of states: each line is the whole state, so whoever is slow misses lines and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from stentor.io.http import Problem

TURN_S = 0.25
SUBSCRIBERS_MAX = 64


class Feed:
    """Turns four times a second; at each turn every subscriber is told the state anew."""

    def __init__(self) -> None:
        self.subscribers = 0
        self._closed = False
        self._turned = asyncio.Event()
        self._lines: dict[str, bytes] = {}

    async def run(self, look: Callable[[], None]) -> None:
        """Turn until cancelled, with a `look` before each turn; all streams end with it."""
        try:
            while True:
                await asyncio.sleep(TURN_S)
                look()
                self._turn()
        finally:
            self._closed = True
            self._turn()

    def check_room(self) -> None:
        """Raises `Problem` 503 if there are subscribers enough."""
        if self.subscribers >= SUBSCRIBERS_MAX:
            detail = f"{SUBSCRIBERS_MAX} pages are open."
            raise Problem(503, "feed-full", "Too many pages follow this desk.", detail, {"Retry-After": "5"})

    def line(self, key: str, make: Callable[[], bytes]) -> bytes:
        """What `make` gives, made once a turn for all who ask for `key`."""
        if key not in self._lines:
            self._lines[key] = make()
        return self._lines[key]

    async def lines(self, make: Callable[[], bytes | None], turns: int) -> AsyncIterator[bytes]:
        """A line now and one every `turns` turns, until `make` gives None or the feed ends."""
        if self.subscribers >= SUBSCRIBERS_MAX:
            return
        self.subscribers += 1
        try:
            while not self._closed and (line := make()) is not None:
                yield line + b"\n"
                for _ in range(turns):
                    await self._turned.wait()
        finally:
            self.subscribers -= 1

    def _turn(self) -> None:
        self._lines.clear()
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()
