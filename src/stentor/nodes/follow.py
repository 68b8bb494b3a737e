"""Follows the show on stage, so that nobody waits for its replay: at its end there is little left to read."""

from __future__ import annotations

import asyncio

import structlog

from stentor.core.replay import KINDS
from stentor.io.board import Board, BoardError
from stentor.model import board
from stentor.nodes.shelf import Shelf

LOOK_S = 1.0
log = structlog.get_logger()


class Follower:
    """Keeps the tape of the show on stage read, and lays out its replay once it has ended."""

    def __init__(self, stage: Board, shelf: Shelf) -> None:
        self._board = stage
        self._shelf = shelf
        self._done = ""  # the show whose end was seen: it stays on the board until the next one
        self._told = ""

    async def run(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.look)
            except (BoardError, OSError, ValueError) as error:
                self._warn(str(error))
            await asyncio.sleep(LOOK_S)

    def _warn(self, error: str) -> None:
        if error != self._told:
            self._told = error
            log.warning("show cannot be followed", error=error)

    def look(self) -> None:
        """Read what is new. Raises `BoardError`, `OSError`; `ValueError` for a tape of which no replay can be made."""
        stage = self._board.get("stage", board.Stage)
        if stage is None or not stage.live_n or stage.show == self._done:
            return
        recorded = self._shelf.find(stage.show)
        if recorded is None or not recorded.ended:
            return
        self._done = stage.show
        for suffix in KINDS:
            recorded.replay(suffix)
