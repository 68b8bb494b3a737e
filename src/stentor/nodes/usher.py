"""The usher: writes hold into the ring where the studio is silent, and the signed `now` object of every show."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from stentor.core.hold import Deadlines, HoldWatch
from stentor.core.usher import line_fields, now_fields, shield_fields
from stentor.formats import now as now_format
from stentor.io.board import Board
from stentor.io.keys import Signer
from stentor.io.ring import Ring, RingError
from stentor.io.wake import RING, Caller
from stentor.model import board
from stentor.nodes.airing import publish
from stentor.nodes.usher_ladder import UsherLadder
from stentor.nodes.usher_ledger import UsherLedger
from stentor.nodes.usher_line import Lines
from stentor.nodes.usher_shield import UsherShield
from stentor.nodes.values import get, get_all
from stentor.settings import Settings

LOOK_S = 0.05
NOW_S = 1.0
SHOWS_MAX = 32
log = structlog.get_logger()


class Usher:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._board = Board(settings.board_dir)
        self._caller = Caller(settings.wake_dir)
        self._signer = Signer(settings.keys_dir)
        self._ring: Ring | None = None
        self._hold_chunks = 0
        self._ladder = UsherLadder(settings, self._board, self._caller)
        self._desk_revision = -1
        self._lines = Lines(settings, self._board)
        self._ledger = UsherLedger(settings, self._board, lambda: self._ring)
        self._shield = UsherShield(settings, Board(settings.board_dir), self._ledger.hear)

    def _attach(self) -> Ring | None:
        """The ring of the show on stage; the old one is kept while its studio is away."""
        stage = get(self._board, "stage", board.Stage)
        if stage is None or not stage.ring:
            return self._ring
        try:
            inode = Path(stage.ring).stat().st_ino
            if self._ring is None or self._ring.inode != inode:
                self._ring = Ring(Path(stage.ring))
        except (OSError, RingError) as error:
            log.warning("no ring", path=stage.ring, error=str(error))
        return self._ring

    def watch(self) -> float | None:
        """Fill what is overdue; -> seconds until the next look is of use."""
        ring = self._attach()
        if ring is None:
            return None
        grace_ms = self._settings.hold_grace_ms if ring.attended else 0
        deadlines = Deadlines(ring.grid, grace_ms * 1_000_000, self._settings.edge_grace_ms * 1_000_000)
        watch, now_ns, written = HoldWatch(deadlines, ring.slots), time.monotonic_ns(), 0
        for rendition_id, n in watch.tick(ring.heads().by_id, ring.end_n, now_ns):
            data = ring.holds[rendition_id].chunk(ring.grid, n)
            written += publish(ring, rendition_id, n, data, hold=True)
        if written:
            self._hold_chunks += written
            self._caller.call(RING)
        look_ns = watch.next_look(ring.heads().by_id, now_ns)
        return None if look_ns is None else max(0, look_ns - time.monotonic_ns()) / 1e9

    def heed(self) -> None:
        """What the crew has ordered is announced at once."""
        desk = self._board.get("desk", board.Desk)
        if desk is not None and desk.revision != self._desk_revision:
            self._desk_revision = desk.revision
            self.announce()

    def announce(self) -> None:
        """Sign and publish `now` for every show on the board."""
        self._look_at_ladder()
        desk = self._board.get("desk", board.Desk) or board.Desk()
        stage = get(self._board, "stage", board.Stage)
        edges = list(get_all(self._board, "edge-", board.Edge).values())
        wall_ms = time.time_ns() // 1_000_000
        for show in desk.shows[:SHOWS_MAX]:
            on_stage = (
                stage
                if stage is not None and stage.show == show.id
                else get(self._board, f"ended-{show.id}", board.Stage)
            )
            line = get(self._board, f"line-{show.id}", board.Line)
            fields = now_fields(show, on_stage, edges, wall_ms) | line_fields(show, line) | self._ladder.fields(show.id)
            fields |= shield_fields(get(self._board, "shield", board.Shield), wall_ms)
            text = now_format.sign(fields, self._signer.public_key, self._signer.sign)
            self._board.put(f"now-{show.id}", board.Now(wall_ms, text))
        self._board.put("usher", board.Usher(wall_ms, os.getpid(), self._hold_chunks))

    def _look_at_ladder(self) -> None:
        """What it cannot read leaves the ladder as it is, and everything else to be announced."""
        try:
            self._ladder.look()
        except (OSError, ValueError) as error:
            log.error("the ladder could not be looked at", error=str(error))

    async def run(self, stop: asyncio.Event) -> None:
        self._shield.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_every(LOOK_S, self.watch, stop))
                group.create_task(_every(LOOK_S, self.heed, stop))
                group.create_task(_every(NOW_S, self.announce, stop))
                group.create_task(self._lines.run(stop))
                group.create_task(self._ledger.run(stop))
        finally:
            await asyncio.to_thread(self._shield.stop)


async def _every(seconds: float, do: Callable[[], float | None], stop: asyncio.Event) -> None:
    """Call `do` every `seconds`, or as soon as it asks for, until `stop`. What fails is logged: the usher outlives a
    bad value on the board."""
    while not stop.is_set():
        soon_s: float | None = None
        try:
            soon_s = do()
        except (OSError, ValueError) as error:
            log.error("the usher could not do its round", error=str(error))
        try:
            await asyncio.wait_for(stop.wait(), seconds if soon_s is None else min(seconds, soon_s))
        except TimeoutError:
            continue


def main(settings: Settings) -> int:
    async def run() -> None:
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        await Usher(settings).run(stop)

    asyncio.run(run())
    return 0
