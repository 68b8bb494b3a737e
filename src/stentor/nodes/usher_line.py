"""The lines: for every show, from the doors' log of places and the edges' arrivals to the `Line` on the board."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import structlog

from stentor.core.admission import Facts
from stentor.core.tally import Said, Tally
from stentor.io.board import Board
from stentor.model import board
from stentor.nodes.line import ShowLine
from stentor.nodes.values import get, get_all
from stentor.settings import Settings

LOOK_S = 0.25
SHOWS_MAX = 32
ATTACK = 3  # level of the shield
OVER = (board.Phase.ENDED, board.Phase.CANCELLED)
T = TypeVar("T")
log = structlog.get_logger()


class Lines:
    """All shows' lines."""

    def __init__(self, settings: Settings, values: Board) -> None:
        self._settings, self._board = settings, values
        self._lines: dict[str, ShowLine] = {}
        self._edges, self._doors = Tally(), Tally()
        self._tickets: dict[str, Tally] = {}  # of the doors, by show
        self._void_so_far: int | None = None  # tickets, of all that the shield has named
        self._void, self._attacked = 0, False
        self._desk, self._stage = board.Desk(), board.Stage(0)  # as they were last: a board may be lost

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            until = time.monotonic() + LOOK_S
            try:
                await self.look()
            except (OSError, ValueError) as error:
                log.error("the lines could not be looked at", error=str(error))
            while time.monotonic() < until and self.step():
                await _let_others()
            await _sleep(until - time.monotonic(), stop)

    def step(self) -> bool:
        """A few milliseconds of what there is to do; -> whether there is more."""
        return sum(_step(line) for line in self._lines.values()) > 0

    async def look(self) -> None:
        """One look at the board, and a `Line` for every show whose places are all known.

        What fails for one show is logged, and tried again at the next look.
        """
        arrivals = self._edges.receive(self._said("edge-", _edge, board.Edge), _mono_ms())
        doors = get_all(self._board, "door-", board.Door)
        self._doors.receive({key: _door(value) for key, value in doors.items()}, _mono_ms())
        self._desk = get(self._board, "desk", board.Desk) or self._desk
        self._stage = stage = get(self._board, "stage", board.Stage) or self._stage
        self._look_at_shield()
        shows = {show.id: show for show in self._desk.shows[:SHOWS_MAX]}
        self._lines = {show: line for show, line in self._lines.items() if show in shows}
        self._tickets = {show: self._tickets.get(show) or Tally() for show in shows}
        for show in shows.values():
            tickets = self._tickets[show.id].receive(_given(show.id, doors), _mono_ms())
            staged = stage if stage.show == show.id else None
            try:
                await self._look_at(show, staged, self._facts(show, staged, arrivals, tickets))
            except (OSError, ValueError) as error:
                log.error("a line could not be looked at", show=show.id, error=str(error))

    def _look_at_shield(self) -> None:
        """How many tickets are of those who have been shut out since the last look, and whether an attack is on."""
        shield = get(self._board, "shield", board.Shield) or board.Shield(0)
        before, self._void_so_far = self._void_so_far, shield.void
        self._void = max(0, shield.void - before) if before is not None else 0
        self._attacked = shield.level >= ATTACK and not shield.dry_run

    def _facts(self, show: board.Show, staged: board.Stage | None, arrivals: int, tickets: int) -> Facts:
        over = get(self._board, f"ended-{show.id}", board.Stage) is not None or (
            staged is not None and staged.phase in OVER
        )
        return Facts(
            cap=self._cap(show),
            listening=self._edges.level if staged else 0,
            arrivals=arrivals if staged else 0,
            tickets=tickets,
            doors=self._doors.workers,
            closed=show.closed or show.wish == "cancel" or over,
            void=self._void if staged else 0,
            hasty=self._attacked,
        )

    async def _look_at(self, show: board.Show, staged: board.Stage | None, facts: Facts) -> None:
        """What is to outlive the board is on the disk before it is told, as long as the disk takes it."""
        if show.id not in self._lines:
            make = partial(ShowLine, self._settings, self._board, show, _mono_ms())
            self._lines[show.id] = await asyncio.to_thread(make)
        line, live = self._lines[show.id], staged is not None and staged.phase is board.Phase.LIVE
        line.decide(show, facts, time.time_ns() // 1_000_000, _mono_ms(), live=live)
        try:
            await asyncio.to_thread(line.keep)
        except OSError as error:
            log.error("the line is on the board only", show=show.id, error=str(error))
        line.tell()

    def _cap(self, show: board.Show) -> int:
        """The least of what the machine carries, the ladder leaves and the crew wants."""
        ladder = get(self._board, "ladder", board.Ladder)
        caps = (self._settings.edges * self._settings.listeners_max, ladder.cap if ladder else 0, show.cap)
        return min(cap for cap in caps if cap > 0)

    def _said(self, prefix: str, said: Callable[[T], Said], kind: type[T]) -> dict[str, Said]:
        return {key: said(value) for key, value in get_all(self._board, prefix, kind).items()}


def _step(line: ShowLine) -> bool:
    try:
        return line.roll.step()
    except OSError as error:
        log.error("a log of places cannot be read", error=str(error))
        return False


def _mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _edge(value: board.Edge) -> Said:
    return Said(value.at_ms, value.pid, value.arrivals, value.seats)


def _door(value: board.Door) -> Said:
    return Said(value.at_ms, value.pid, value.at_once)


def _given(show: str, doors: Mapping[str, board.Door]) -> dict[str, Said]:
    """What doors gave at once to a show; one whose show is new to it says nothing of it, which is 0."""
    return {key: Said(one.at_ms, one.pid, one.at_once_by.get(show, 0)) for key, one in doors.items()}


async def _let_others() -> None:
    await asyncio.sleep(0)


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), max(0.0, seconds))
    except TimeoutError:
        return
