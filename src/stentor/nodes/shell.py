"""The door's pages from an edge, for when no door answers: a proxy in front, or a cache, falls back to it.

What they tell is what stands on the board. Nobody is let in here: whoever asks for that is told to come again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import stentor.web
from stentor.core import door, waiting
from stentor.formats.problem import Refused
from stentor.formats.waiting import Ticket, Waits, Want
from stentor.io.board import Board
from stentor.model import board
from stentor.model.http import Request, Response
from stentor.nodes.door import Pages
from stentor.nodes.door_line import Lines
from stentor.nodes.values import get
from stentor.settings import Settings

MEDIA = "/live/"  # what an edge is there for; everything else is the door's
RETRY_AFTER_S = 5
_DOWN = Refused(
    503,
    "door-down",
    "Nobody new can be let in for a moment",
    "the door does not answer; whoever listens goes on",
    retry_after_s=RETRY_AFTER_S,
)


def _nobody(show: str, place: str, want: Want) -> Ticket | Waits | Refused:
    return _DOWN


class Shell:
    """Made when it is first needed: an edge whose door is up has no use for it."""

    def __init__(self, settings: Settings, values: Board, now_text: Callable[[str], str | None]) -> None:
        self._settings, self._board = settings, values
        self._shows: dict[str, board.Show] = {}
        self._lines = Lines(settings, values, self._shows)
        origins = door.Origins(settings.public_url, settings.edge_port, settings.archive_port, settings.scheme)
        pages = Pages(Path(stentor.web.__file__).parent, origins.config)
        lines = self._lines
        self._line_view = waiting.View(origins, _nobody, self._told, lines.about, pages.wait, lines.draw, lines.drawn)
        self._view = door.View(
            shows=self._shows,
            origins=origins,
            now_text=now_text,
            join=_nobody,
            line=self._answer_line,
            listener_page=pages.listener,
            shows_page=pages.shows,
            asset=pages.asset,
        )

    def _answer_line(self, request: Request, show: str, what: tuple[str, ...]) -> Response:
        return waiting.answer(request, show, what, self._line_view, time.time_ns() // 1_000_000)

    def _told(self, show: str, place: str) -> Waits | Refused:
        """How it stands, but for that it may be somebody's turn: nobody could go by it."""
        waits = self._lines.told(show, place)
        return waits if isinstance(waits, Refused) else waits._replace(turn=False, reason=f"{_DOWN.title}.")

    def look(self) -> None:
        desk = get(self._board, "desk", board.Desk)
        if desk is not None:
            self._shows.clear()
            self._shows.update((show.id, show) for show in desk.shows)
        self._lines.look()

    def answer(self, request: Request) -> Response:
        return door.answer(request, self._view)

    def close(self) -> None:
        self._lines.close()
