"""The studio: speakers in, program out. Mixes on an absolute clock, runs the life of the show, keeps the tape."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from functools import partial
from pathlib import Path

import structlog
from msgspec.structs import replace

from stentor.core.life import FINAL
from stentor.io.board import Board, BoardError
from stentor.io.http import EXIT_PORT_IN_USE, Server, listen_tcp, serve_until_signal
from stentor.io.tls import Certificate, TlsError
from stentor.io.wake import BOARD, Caller, Ear
from stentor.model import board
from stentor.nodes import secure
from stentor.nodes.airing import Block
from stentor.nodes.calls import Calls
from stentor.nodes.recorder import TapeUnusable
from stentor.nodes.show import ShowRun, ring_path, the_hold
from stentor.nodes.source import Sources
from stentor.nodes.stage import Stage
from stentor.settings import Settings

TICK_SAMPLES, TICK_NS = 960, 20_000_000
CATCH_UP_NS = 1_000_000_000  # further behind than this, ticks are skipped: hold has taken their place
CONTROL_S, LEVELS_S = 0.1, 0.25
log = structlog.get_logger()


class Studio:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._board = Board(settings.board_dir)
        self._caller = Caller(settings.wake_dir)
        self._ear = Ear(settings.wake_dir, "studio")
        self.stage = Stage(settings, self._keep_stem)
        self._calls, self._sources = Calls(settings, self.stage), Sources(self.stage)
        self._run: ShowRun | None = None
        self._last = self._ended_before()
        self._refused: set[str] = set()
        self._late_ticks = 0
        self._problem = ""
        self._told = ("", board.Phase.ANNOUNCED)

    def _ended_before(self) -> board.Stage | None:
        """The show that ended last stays on the board until the next one: edges and listeners are finishing with it."""
        try:
            stage = self._board.get("stage", board.Stage)
        except BoardError:
            return None
        return stage if stage is not None and stage.phase in FINAL else None

    def _keep_stem(self, seat: str, packet: bytes, position: int) -> None:
        if self._run is not None:
            self._run.keep_stem(seat, packet, position)

    def _desk(self) -> board.Desk:
        try:
            return self._board.get("desk", board.Desk) or board.Desk()
        except BoardError as error:
            self._problem = str(error)
            return board.Desk()

    def _next_show(self, desk: board.Desk) -> board.Show | None:
        """The show to take up: the earliest whose doors are open and that has not ended. One at a time."""
        now_ms = time.time_ns() // 1_000_000
        open_now = [s for s in desk.shows if s.opens_at_ms <= now_ms or s.wish in ("go", "end", "cancel")]
        waiting = [s for s in open_now if s.id not in self._refused and not self._is_over(s)]
        return min(waiting, key=lambda show: show.starts_at_ms, default=None)

    def _is_over(self, show: board.Show) -> bool:
        return self._board.get(f"ended-{show.id}", board.Stage) is not None

    def _take_up(self, show: board.Show) -> None:
        try:
            _drop_rings_but(ring_path(self._settings, show.id))
            self._run = ShowRun(self._settings, show, self._board.get("stage", board.Stage), self._caller)
        except (TapeUnusable, OSError) as error:
            self._refused.add(show.id)
            self._problem = f"{show.title}: {error}"
            log.error("show refused", show=show.id, reason=str(error))

    async def control(self) -> None:
        """Ten times a second, and when poked: what the crew wants against what is."""
        while True:
            desk = self._desk()
            if self._run is None and (show := self._next_show(desk)) is not None:
                await asyncio.to_thread(self._take_up, show)
            if self._run is not None:
                await self._control_show(self._run, desk)
            self._publish(desk.revision)
            await self._wait(CONTROL_S)

    async def _control_show(self, run: ShowRun, desk: board.Desk) -> None:
        wanted = next((show for show in desk.shows if show.id == run.show.id), run.show)
        self.stage.apply(wanted)
        run.control(wanted)
        if run.ring.end_n:
            await asyncio.to_thread(run.seal)
        if run.over:
            self._last = run.state(self._stage_now(desk.revision))
            self._board.put(f"ended-{run.show.id}", self._last)
            self._forget_but({show.id for show in desk.shows})
            self.stage.apply(None)
            self._run = None
            await asyncio.to_thread(run.close)

    def _forget_but(self, shows: set[str]) -> None:
        """The board keeps how a show ended for as long as the desk keeps the show on it."""
        for key in self._board.keys("ended-"):
            if key.removeprefix("ended-") not in shows:
                self._board.drop(key)

    async def _wait(self, seconds: float) -> None:
        """Until poked, or `seconds`."""
        loop, poked = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._ear.fileno(), poked.set)
        try:
            await asyncio.wait_for(poked.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(self._ear.fileno())
            self._ear.drain()

    def _stage_now(self, revision: int) -> board.Stage:
        return board.Stage(
            at_ms=time.time_ns() // 1_000_000,
            pid=os.getpid(),
            revision=revision,
            speakers=self.stage.speakers(),
            late_ticks=self._late_ticks,
            problem=self._problem,
        )

    def _publish(self, revision: int) -> None:
        stage = self._stage_now(revision)
        if self._run is not None:
            stage = self._run.state(stage)
        elif self._last is not None:
            stage = replace(self._last, at_ms=stage.at_ms, pid=stage.pid, revision=revision, speakers=())
        self._board.put("stage", stage)
        if (news := (stage.ring, stage.phase)) != self._told:
            self._told = news
            self._caller.call(BOARD)  # a new ring is not to wait for the edges' next look

    async def mix(self) -> None:
        """A tick of 20 ms at `t0 + i * 20 ms`, whatever the loop was doing; late ticks are made up for."""
        while True:
            if (run := self._run) is None:
                await asyncio.sleep(CONTROL_S)
                continue
            t0 = run.grid.t0_mono_ns
            i = (time.monotonic_ns() - t0) // TICK_NS + 1
            while run is self._run:
                behind = time.monotonic_ns() - (t0 + i * TICK_NS)
                if behind > CATCH_UP_NS:
                    break
                self._late_ticks += behind > TICK_NS
                await asyncio.sleep(max(0, -behind / 1e9))
                self.stage.position = i * TICK_SAMPLES
                samples = self.stage.tick()
                run.air(Block(i * TICK_SAMPLES, samples, self.stage.anyone_on_air()))
                i += 1

    async def show_levels(self) -> None:
        while True:
            if self._run is not None:
                self._board.put("levels", board.Levels(time.time_ns() // 1_000_000, self.stage.levels()))
            await asyncio.sleep(LEVELS_S)

    async def run(self, listener: socket.socket, encoders: socket.socket | None, held: Certificate | None) -> None:
        """Serve on both sockets (no encoders without the second) until a signal."""
        tls = held.context if held else None
        await self.stage.start()
        try:
            await self._calls.start()
            jobs = [self.control, self.mix, self.show_levels, partial(secure.keep_fresh, held)]
            if encoders is not None:
                jobs.append(partial(self._sources.serve, encoders, tls))
            await serve_until_signal([Server(self._calls.app(), listener, tls)], *jobs)
        finally:
            await self.stage.stop()
            self._calls.stop()
            if self._run is not None:
                await asyncio.to_thread(self._run.close)
            self._ear.close()


def _drop_rings_but(path: Path) -> None:
    """Shared memory of earlier shows; who still has it mapped keeps it."""
    for other in path.parent.glob("*.ring"):
        if other != path:
            other.unlink(missing_ok=True)


def main(settings: Settings) -> int:
    """Run the studio until SIGTERM; 3 if its port is taken."""
    try:
        held = secure.certificate(settings)
        the_hold(settings)
        listener = listen_tcp(settings.bind, settings.studio_port, "studio_port")
        encoders = listen_tcp(settings.bind, settings.source_port, "source_port") if settings.source_port else None
        asyncio.run(Studio(settings).run(listener, encoders, held))
    except (TlsError, OSError) as error:
        print(f"stentor studio: {error}", file=sys.stderr)
        return EXIT_PORT_IN_USE
    return 0
