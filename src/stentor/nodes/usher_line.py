"""The lines: for every show, from the doors' log of places and the edges' arrivals to the `Line` on the board."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from stentor.core.admission import Facts
from stentor.core.tally import Said, Tally
from stentor.io.board import Board, BoardError
from stentor.model import board
from stentor.nodes.line import ShowLine
from stentor.settings import Settings

LOOK_S = 0.25
SHOWS_MAX = 32
OVER = (board.Phase.ENDED, board.Phase.CANCELLED)
T = TypeVar("T")
log = structlog.get_logger()


class Lines:
    """All shows' lines. `look` decides by what is, `step` does a few milliseconds of what there is to do."""

    def __init__(self, settings: Settings, values: Board) -> None:
        self._settings, self._board = settings, values
        self._lines: dict[str, ShowLine] = {}
        self._edges, self._doors = Tally(), Tally()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. What fails is logged and tried again at the next look."""
        while not stop.is_set():
            until = time.monotonic() + LOOK_S
            try:
                await self.look()
                while time.monotonic() < until and self.step():
                    await _let_others()
            except (OSError, ValueError) as error:
                log.error("the lines could not be looked at", error=str(error))
            await _sleep(until - time.monotonic(), stop)

    def step(self) -> bool:
        return sum(line.roll.step() for line in self._lines.values()) > 0

    async def look(self) -> None:
        """One look at the board, and a `Line` for every show whose places are all known.

        What is to outlive the board is on the disk before it is told, as long as the disk takes it.
        """
        for line in self._decide():
            try:
                await asyncio.to_thread(line.keep)
            except OSError as error:
                log.error("the line is on the board only", error=str(error))
            line.tell()

    def _decide(self) -> list[ShowLine]:
        wall_ms, mono_ms = time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000
        arrivals = self._edges.receive(self._said("edge-", _edge, board.Edge), mono_ms)
        tickets = self._doors.receive(self._said("door-", _door, board.Door), mono_ms)
        stage, ladder = self._get("stage", board.Stage), self._get("ladder", board.Ladder)
        desk = self._get("desk", board.Desk) or board.Desk()
        shows = {show.id: show for show in desk.shows[:SHOWS_MAX]}
        self._lines = {show: line for show, line in self._lines.items() if show in shows}
        for show in shows.values():
            staged = stage if stage is not None and stage.show == show.id else None
            over = self._get(f"ended-{show.id}", board.Stage) is not None or (staged and staged.phase in OVER)
            facts = Facts(
                cap=self._cap(show, ladder),
                listening=self._edges.level if staged else 0,
                arrivals=arrivals if staged else 0,
                tickets=tickets,
                doors=self._doors.workers,
                closed=show.closed or show.wish == "cancel" or bool(over),
            )
            live = staged is not None and staged.phase is board.Phase.LIVE
            self._line(show, mono_ms).decide(show, facts, wall_ms, mono_ms, live=live)
        return list(self._lines.values())

    def _line(self, show: board.Show, mono_ms: int) -> ShowLine:
        if show.id not in self._lines:
            self._lines[show.id] = ShowLine(self._settings, self._board, show, mono_ms)
        return self._lines[show.id]

    def _cap(self, show: board.Show, ladder: board.Ladder | None) -> int:
        """The least of what the machine carries, the ladder leaves and the crew wants."""
        caps = (self._settings.edges * self._settings.listeners_max, ladder.cap if ladder else 0, show.cap)
        return min(cap for cap in caps if cap > 0)

    def _said(self, prefix: str, said: Callable[[T], Said], kind: type[T]) -> dict[str, Said]:
        values = {key: self._get(key, kind) for key in self._board.keys(prefix)}
        return {key: said(value) for key, value in values.items() if value is not None}

    def _get(self, key: str, kind: type[T]) -> T | None:
        try:
            return self._board.get(key, kind)
        except BoardError as error:
            log.warning("unreadable value on the board", error=str(error))
            return None


def _edge(value: board.Edge) -> Said:
    return Said(value.at_ms, value.pid, value.arrivals, value.listeners)


def _door(value: board.Door) -> Said:
    return Said(value.at_ms, value.pid, value.tickets)


async def _let_others() -> None:
    await asyncio.sleep(0)


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), max(0.0, seconds))
    except TimeoutError:
        return
