"""One door worker on a real socket, in the test's own thread, with a board that the test writes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from stentor.io.board import Board
from stentor.io.net.loop import Loop
from stentor.io.net.server import Server
from stentor.io.net.sockets import listen
from stentor.model import board
from stentor.nodes.door import Door
from stentor.nodes.intake import limits
from stentor.settings import Settings
from support.edge import Client

WITHIN_S = 30.0  # the machine may be busy; nothing waits so long when all is well
SHOW = board.Show(id="show-1", title="A talk", starts_at_ms=2_000, opens_at_ms=1_000)


class House:
    """The door's pages, unless `changes` say otherwise, and one show."""

    def __init__(self, base: Path, show: board.Show = SHOW, hashes: int = 100, **changes: Any) -> None:
        self.settings = Settings(data_dir=base / "data", run_dir=base / "run", challenge_hashes=hashes)
        self.board = Board(self.settings.board_dir)
        self.board.put("desk", board.Desk(1, (show,)))
        self.board.put("now-show-1", board.Now(at_ms=1, text='{"phase":"open"}'))
        self.faults: list[int] = []
        self.loop = Loop(self.faults.append)
        self.door = Door(self.settings, 0, self.loop, **changes)
        listener = listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.server = Server(self.loop, listener, self.door.answer, limits(self.settings))
        self.server.start()

    def ask(self, path: str, method: str = "GET", headers: str = "") -> Client:
        """-> a client with the whole answer."""
        head = f"{method} {path} HTTP/1.1\r\nHost: x:1\r\nConnection: close\r\n{headers}\r\n"
        client = Client(self.port, head.encode())
        deadline = time.monotonic() + WITHIN_S
        while not client.closed:
            assert time.monotonic() < deadline
            self.loop.turn(time.monotonic() + 0.01)
            client.read()
        client.sock.close()
        return client

    def close(self) -> None:
        self.server.stop()
        self.door.close()
        self.loop.close()
        assert not self.faults
