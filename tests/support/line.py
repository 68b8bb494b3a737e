"""The line of a show, in front of a real door: who comes, who waits, who is let in and listens."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import httpx

from stentor.clients.admin import Admin
from stentor.formats import challenge
from stentor.io.board import Board
from stentor.model import board
from support.running import WITHIN_S, Running, until

T = TypeVar("T")


class Line:
    """Of the show `show`. Listeners end with `stack`."""

    def __init__(self, running: Running, show: str, stack: ExitStack, tmp: Path) -> None:
        self.running, self.show = running, show
        self._stack, self._tmp = stack, tmp
        # A connection for each request: the door may be killed.
        self._http = stack.enter_context(httpx.Client(timeout=30, headers={"Connection": "close"}))
        self._heard: list[tuple[subprocess.Popen[bytes], Path]] = []
        self.board = Board(running.settings.board_dir)

    def crew(self, call: Callable[[Admin], Awaitable[T]]) -> T:
        """What the crew says by the command line."""

        async def run() -> T:
            async with Admin(self.running.settings.desk_socket) as admin:
                return await call(admin)

        return asyncio.run(run())

    def seats(self, count: int) -> None:
        """The crew goes on with so many; returns when line and door go by it."""
        self.crew(lambda admin: admin.cap(self.show, count))
        until(lambda: self.said().cap == count, f"the line has {count} seats")
        at_ms = self.said().at_ms
        until(lambda: self.door().line_at_ms >= at_ms, "so has the door")

    def door(self) -> board.Door:
        """What the door counts."""
        return self.board.get("door-0", board.Door) or board.Door(0)

    def said(self) -> board.Line:
        """What the usher said last."""
        return self.board.get(f"line-{self.show}", board.Line) or board.Line(0)

    def ask(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        """Whoever is asked to come again in a moment does so: the machine may be busy."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            url = self.running.url("door", f"/s/{self.show}/{path}")
            try:
                answer = self._http.request(method, url, **options)
            except (httpx.NetworkError, httpx.RemoteProtocolError):  # a door that is just starting, or was killed
                assert time.monotonic() < deadline, f"no answer from {path}"
                time.sleep(0.1)
                continue
            if answer.status_code == 428:  # who are many behind one address are asked to
                options["params"] = dict(parse_qsl(challenge.solve(answer.json())))
                continue
            if answer.status_code != 503 or "More people ask" not in answer.text or time.monotonic() > deadline:
                return answer
            time.sleep(float(answer.headers["retry-after"]))

    def now(self) -> dict[str, Any]:
        return dict(self.ask("now").json())

    def join(self, place: str = "") -> dict[str, Any]:
        """A ticket, or a place; `place` is one that was given before."""
        answer = self.ask("join", "POST", params={"place": place} if place else {})
        assert answer.is_success, answer.text
        return dict(answer.json())

    def place(self) -> dict[str, Any]:
        """A new one, of who is not let in at once."""
        given = self.join()
        assert given.get("place"), given
        return given

    def let_in(self, place: str, within_s: float = WITHIN_S) -> dict[str, Any]:
        """Wait for the turn of a place; -> with its ticket."""
        found: dict[str, Any] = {}

        def turn() -> bool:
            found.update(self.join(place))
            return "ticket" in found

        try:
            until(turn, "the turn of this place", within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{found}\n{self.said()}") from None
        return found

    def come_in(self) -> str:
        """Somebody new comes, and waits for their turn; -> their ticket."""
        given = self.join()
        return str(given["ticket"] if "ticket" in given else self.let_in(given["place"])["ticket"])

    def listen(self, ticket: str, rendition: str = "mp3") -> Path:
        """Somebody listens until the end; -> what they heard. Returns when the sound comes."""
        path = self._tmp / f"listener-{len(self._heard)}"
        argv = ["curl", "-sfN", "-o", str(path), self.running.url("edge", f"/live/{ticket}/{rendition}")]
        process = subprocess.Popen(argv)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        self._heard.append((process, path))
        until(lambda: path.exists() and path.stat().st_size > 1_000, "the sound comes")
        return path

    def leave(self, which: int) -> None:
        """A listener goes home."""
        process, _ = self._heard.pop(which)
        process.kill()
        process.wait()

    def leaves(self, which: int = 0) -> int:
        """Wait for a listener to be sent home; -> curl's exit code, 0 at an end like any other."""
        process, _ = self._heard.pop(which)
        return process.wait(WITHIN_S)

    def nobody_was_cut(self) -> None:
        """Everybody who listens gets more, on the connection that they began with."""
        sizes = [path.stat().st_size for _, path in self._heard]
        for size, (process, path) in zip(sizes, self._heard, strict=True):
            until(lambda path=path, size=size: path.stat().st_size > size, "they hear more")
            assert process.poll() is None

    @property
    def listeners(self) -> int:
        """As the edges count them."""
        edges = (self.board.get(key, board.Edge) for key in self.board.keys("edge-"))
        return sum(edge.listeners for edge in edges if edge is not None)
