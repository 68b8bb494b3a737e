"""Keeps the shows: each change is one transaction, then the board, then a wake. What is, comes back from the board."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import structlog
from msgspec.structs import replace

from stentor.core.actions import said, who
from stentor.core.desk import Made, Seated
from stentor.core.joins import Joins
from stentor.core.overview import Facts
from stentor.core.shows import OVER_STAYS_MS, SHOWS_MAX, Entry, Shows
from stentor.formats.crew import Action
from stentor.formats.refusal import Reason, Refusal
from stentor.io.board import VALUE_BYTES_MAX, Board, BoardError
from stentor.io.records import Change, Records, RecordsError
from stentor.io.wake import BOARD, Caller
from stentor.model.board import Desk, Door, Edge, Ladder, Levels, Line, Rule, Rules, Shield, Show, Stage, Usher

T = TypeVar("T")
RETRY_S = 2.0
Step = Callable[[Entry], Show | Seated | Refusal]
log = structlog.get_logger()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Kept(NamedTuple):
    """What an order came to, on the board as of `revision`."""

    revision: int
    result: Show | Seated


class Keeper:
    """One for each desk. Changes are made one at a time; methods raise `RecordsError` if the database fails."""

    def __init__(self, records: Records, board: Board, caller: Caller) -> None:
        self.records = records
        self._board = board
        self._caller = caller
        self._lock = asyncio.Lock()
        self._doubt = False  # whether a failed transaction may have left the records ahead of memory
        self._ends: asyncio.Queue[Entry] = asyncio.Queue()  # as short as the shows are few: each ends once
        self._joins = Joins()
        self.shows = self._loaded()
        self._take_in_stage()
        self.publish()

    async def create(self, make: Callable[[], Made | Refusal], by: str) -> tuple[int, Made] | Refusal:
        async with self._lock:
            await self._settle()
            made = make()
            if isinstance(made, Refusal):
                return made
            if not self.shows.has_room():
                return Refusal(Reason.SHOWS_FULL, f"{SHOWS_MAX} shows are announced; end or cancel one first.")
            kept = await self._keep(made.show, made.show, by, "create")
            return kept if isinstance(kept, Refusal) else (kept.revision, made)

    async def change(self, show_id: str, by: str, what: str, step: Step) -> Kept | Refusal:
        """Carry out `step`. What changes nothing makes no revision, and is no matter for a show that is over."""
        async with self._lock:
            await self._settle()
            entry = self.shows.get(show_id)
            if entry is None:
                return Refusal(Reason.SHOW_UNKNOWN, f"There is no show {show_id[:32]!r} here.")
            result = step(entry)
            if isinstance(result, Refusal):
                return result
            show = result if isinstance(result, Show) else result.show
            if show == entry.show:
                return Kept(self.shows.revision, result)
            if entry.over:
                return Refusal(Reason.SHOW_OVER, f"The show is {entry.phase.value}; nothing about it changes any more.")
            return await self._keep(show, result, by, what)

    def look(self) -> None:
        """Take in what the studio says; let go of shows long over; put the board right if it has lost our value."""
        self._take_in_stage()
        if self._joins.due(now_ms()):
            self._joins.receive(self._all("edge-", Edge), now_ms())
        left = self.shows.tick(now_ms())
        held = self._read("desk", Desk)
        if left or held is None or held.revision != self.shows.revision:
            self.publish()

    async def record_ends(self) -> None:
        """Until cancelled: store that shows are over. Apart from `look`, which must go on while a disk is slow."""
        while True:
            await self._store_over(await self._ends.get())

    def facts(self, show_id: str) -> Facts:
        shield, rules = self.shield()
        return Facts(
            stage=self._read("stage", Stage),
            levels=self._read("levels", Levels),
            usher=self._read("usher", Usher),
            edges=self._all("edge-", Edge),
            doors=self._all("door-", Door),
            line=self.line(show_id),
            ladder=self.ladder(),
            joins_hz=self._joins.hz(now_ms()),
            shield=shield,
            rules=rules,
        )

    def shield(self) -> tuple[Shield | None, tuple[Rule, ...]]:
        """The verdict, and the rules that are in force or watched."""
        shield = self._read("shield", Shield)
        rules = self._read("rules", Rules)
        return shield, rules.rules if rules is not None else ()

    def line(self, show_id: str) -> Line | None:
        return self._read(f"line-{show_id}", Line)

    def ladder(self) -> Ladder | None:
        return self._read("ladder", Ladder)

    async def actions(self, show: Show) -> tuple[Action, ...]:
        """The latest changes of `show`, newest first."""
        changes = await asyncio.to_thread(self.records.changes, show.id)
        return tuple(
            Action(c.revision, c.at_ms, c.token_id, c.what, who(c.token_id, show), said(c.what, show)) for c in changes
        )

    def publish(self) -> None:
        """Board, then wake. A board that cannot be written is tried again at the next look."""
        try:
            self._board.put("desk", self.shows.desk())
            self._caller.call(BOARD)
        except (OSError, BoardError) as error:
            log.error("board not written", error=str(error))

    async def _keep(self, show: Show, result: Show | Seated, by: str, what: str) -> Kept | Refusal:
        if self.shows.size_with(show) > VALUE_BYTES_MAX:
            return Refusal(Reason.BOARD_FULL, "The shows announced here leave no room for that; end one first.")
        change = Change(self.shows.revision + 1, now_ms(), by, what)
        self._doubt = True
        await asyncio.to_thread(self.records.store, show, change)
        self._doubt = False
        self.shows.receive_change(show, change.revision)
        self.publish()
        log.info("changed", show=show.id, revision=change.revision, by=by, what=what.partition(" ")[0])
        return Kept(change.revision, result)

    async def _settle(self) -> None:
        if self._doubt:
            self.shows = await asyncio.to_thread(self._loaded)
            self._take_in_stage()
            self._doubt = False

    def _take_in_stage(self) -> None:
        for entry in self.shows.receive_stage(self._read("stage", Stage), now_ms()):
            self._ends.put_nowait(entry)

    def _loaded(self) -> Shows:
        stored = self.records.current(now_ms() - OVER_STAYS_MS)
        released = self._released()
        shows = (replace(item.show, released=released.get(item.show.id, ())) for item in stored)
        entries = (Entry(show, item.phase, item.over_at_ms) for show, item in zip(shows, stored, strict=True))
        return Shows(self.records.revision(), entries)

    def _released(self) -> dict[str, tuple[str, ...]]:
        """What the crew has released, by show: it is on the board alone, since it has addresses in it."""
        held = self._read("desk", Desk)
        return {show.id: show.released for show in held.shows} if held is not None else {}

    async def _store_over(self, entry: Entry) -> None:
        log.info("over", show=entry.show.id, phase=entry.phase.value)
        while True:
            try:
                await asyncio.to_thread(self.records.store_over, entry.show.id, entry.phase, entry.over_at_ms)
                return
            except RecordsError as error:
                log.error("end not recorded", show=entry.show.id, error=str(error))
                await asyncio.sleep(RETRY_S)

    def _all(self, prefix: str, kind: type[T]) -> list[T]:
        values = (self._read(key, kind) for key in self._board.keys(prefix))
        return [value for value in values if value is not None]

    def _read(self, key: str, kind: type[T]) -> T | None:
        try:
            return self._board.get(key, kind)
        except (BoardError, OSError) as error:
            log.warning("unreadable value on the board", key=key, error=str(error))
            return None
