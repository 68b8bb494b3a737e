"""The door: pages, the `now` object, tickets. It keeps nothing of anybody: what it says stands on the board."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import stentor.web
from stentor.core.door import Ticket, View
from stentor.core.door import answer as decide
from stentor.formats import ticket
from stentor.io.assets import AssetError, Assets
from stentor.io.board import Board
from stentor.io.keys import ticket_key
from stentor.io.net.loop import READABLE, Loop
from stentor.io.sequence import Sequence
from stentor.io.wake import BOARD, Ear
from stentor.model import board
from stentor.model.http import Request, Response
from stentor.nodes.intake import get, now_text, put, run
from stentor.settings import Settings

LOOK_S = 0.25
PUBLISH_S = 1.0
EARLY_S = 60  # tickets count from a little before they were made: clocks of door and edge may differ
EXIT_CANNOT_START = 3
FOLDERS = ("listen", "shared")


def main(settings: Settings, worker: int = 0) -> int:
    """Serve until SIGTERM; -> exit code."""
    try:
        assets = Assets(Path(stentor.web.__file__).parent, FOLDERS)
        pages = (assets.page("listen/index.html"), assets.page("shows/index.html"))
    except AssetError as error:
        print(f"stentor: door-{worker} cannot start: {error}", file=sys.stderr)
        return EXIT_CANNOT_START
    sndbuf_bytes = max(map(len, pages)) * 2  # a page leaves in one piece
    return run(
        f"door-{worker}",
        settings,
        settings.door_port,
        sndbuf_bytes,
        lambda loop: Door(settings, worker, loop, assets, pages),
    )


class Door:
    """One worker."""

    def __init__(self, settings: Settings, worker: int, loop: Loop, assets: Assets, pages: tuple[str, str]) -> None:
        self._settings, self._worker = settings, worker
        self._board = Board(settings.board_dir)
        self._key = ticket_key(settings.keys_dir)
        self._sequence = Sequence(settings.keys_dir / "ticket.seq")
        self._shows: dict[str, board.Show] = {}
        self._requests = self._tickets = self._refused = 0
        one_origin = bool(settings.public_url)
        self._view = View(
            self._shows,
            lambda show: now_text(self._board, show),
            self.mint,
            *pages,
            assets.get,
            0 if one_origin else settings.edge_port,
            0 if one_origin else settings.archive_port,
        )
        self._ear = Ear(settings.wake_dir, "door")
        self.look()
        loop.watch(self._ear.fileno(), READABLE, self._woken)
        loop.every(LOOK_S, self.look)
        loop.every(PUBLISH_S, self.publish)

    def _woken(self, fd: int, mask: int) -> None:
        if BOARD in self._ear.drain():
            self.look()

    def look(self) -> None:
        """Follow the desk: which shows there are."""
        desk = get(self._board, "desk", board.Desk)
        if isinstance(desk, board.Desk):
            self._shows.clear()
            self._shows.update({show.id: show for show in desk.shows})

    def answer(self, request: Request) -> Response:
        self._requests += 1
        response = decide(request, self._view)
        self._refused += response.status >= 400
        return response

    def mint(self, show: str) -> Ticket:
        """A ticket for whoever asks."""
        now, seq = int(time.time()), self._sequence.next()
        expires = now + self._settings.ticket_life_s
        token = ticket.Token(
            ticket.Kind.TICKET, ticket.show_tag(show), ticket.Class.LATE, seq, now, now - EARLY_S, expires
        )
        self._tickets += 1
        return Ticket(ticket.mint(token, self._key), seq, expires * 1000)

    def publish(self) -> None:
        """Put this worker's counters on the board."""
        at_ms = time.time_ns() // 1_000_000
        counters = board.Door(at_ms, os.getpid(), self._requests, self._tickets, self._refused)
        put(self._board, f"door-{self._worker}", counters)

    def close(self) -> None:
        self._ear.close()
