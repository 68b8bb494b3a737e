"""The usher's ladder: how many listen, what the edges carry, what the crew wants -> the board's `ladder`."""

from __future__ import annotations

import math
import os
import time
from typing import Any

import structlog
from msgspec.structs import replace

from stentor.core.ladder import Cost, Decision, Ladder, Rung, Wish, capacities, scaled
from stentor.core.usher import ladder_fields, listeners
from stentor.io import yardstick
from stentor.io.board import Board
from stentor.io.wake import BOARD, Caller
from stentor.model import board
from stentor.nodes.values import get
from stentor.settings import Settings

LEAD_S = 8.0  # from the warning to the switch: listeners play a little slower meanwhile, and have the margin then
ALIGN_N = 4  # a switch comes where groups of every size end
_NO_MEASURE = (5_000, 100)  # where nothing can be measured: of a machine of 2024
log = structlog.get_logger()


def switch_n(newest: int, chunk_s: float) -> int:
    """The first chunk of what is decided now."""
    earliest = newest + math.ceil(LEAD_S / chunk_s)
    return -(-earliest // ALIGN_N) * ALIGN_N + 1


class UsherLadder:
    """Goes on from what an earlier usher left on the board."""

    def __init__(self, settings: Settings, values: Board, caller: Caller) -> None:
        self._settings = settings
        self._board = values
        self._caller = caller
        self.value = get(values, "ladder", board.Ladder) or board.Ladder(0)
        if not self.value.write_ns and not settings.capacity:
            self.value = replace(self.value, **_measured())
        self._machine = Ladder(Rung(min(max(self.value.rung, 0), Rung.LOW_ALL)))

    def fields(self, show: str) -> dict[str, Any]:
        """For the `now` object of `show`."""
        return {"ladder": ladder_fields(self.value)} if show == self.value.show else {}

    def look(self) -> None:
        """Once a second or so: decide, and put it on the board; a new decision wakes the edges."""
        wall_ms = time.time_ns() // 1_000_000
        stage = self._board.get("stage", board.Stage)
        if stage is not None and stage.show != self.value.show:
            self._begin(stage.show)
        old, self.value = self.value, self._decided(stage or board.Stage(wall_ms), wall_ms)
        self._board.put("ladder", self.value)
        if self.value.revision != old.revision:
            log.info("ladder", rung=self.value.rung, from_n=self.value.from_n, cap=self.value.cap)
            self._caller.call(BOARD)

    def _begin(self, show: str) -> None:
        """Another show: nothing is given up yet."""
        kept = replace(self.value, rung=0, group=1, from_n=0, low=False, low_from_n=0, reason="", show=show)
        self.value, self._machine = kept, Ladder()

    def _decided(self, stage: board.Stage, wall_ms: int) -> board.Ladder:
        capacity = self._capacity(stage.chunk_ms / 1000)
        newest = stage.n + max(0, wall_ms - stage.at_ms) // stage.chunk_ms
        if newest < self.value.from_n:  # one switch at a time
            return self._put(wall_ms, capacity=capacity)
        decision = self._machine.tick(time.monotonic(), self._listeners(wall_ms), capacity, self._wish(stage.show))
        return self._put(
            wall_ms, capacity=capacity, **self._given_up(decision, switch_n(newest, stage.chunk_ms / 1000))
        )

    def _given_up(self, decision: Decision, next_n: int) -> dict[str, Any]:
        """The decision as the board has it; what changes with a chunk does so at `next_n`."""
        old = self.value
        given: dict[str, Any] = {"rung": int(decision.rung), "cap": decision.cap, "reason": decision.reason}
        given |= {"low": decision.low, "group": decision.group}
        if decision.group != old.group:
            given["from_n"] = next_n
        if decision.low_all != bool(old.low_from_n):
            given["low_from_n"] = next_n if decision.low_all else 0
        return given

    def _put(self, wall_ms: int, **changes: Any) -> board.Ladder:
        new = replace(self.value, at_ms=self.value.at_ms, **changes)
        if new != self.value:
            new = replace(new, revision=new.revision + 1)
        return replace(new, at_ms=wall_ms)

    def _capacity(self, chunk_s: float) -> tuple[int, ...]:
        own = self._settings
        workers, places = min(own.edges, os.cpu_count() or 1), own.edges * own.listeners_max
        measured = (self.value.write_ns, self.value.kib_ns) if self.value.write_ns else _NO_MEASURE
        cost = Cost(*measured, tls=bool(own.tls_chain))
        if own.capacity:
            return scaled(capacities(cost, chunk_s, workers, 2**31), own.capacity, places)
        return capacities(cost, chunk_s, workers, places)

    def _listeners(self, wall_ms: int) -> int:
        edges = [self._board.get(key, board.Edge) for key in self._board.keys("edge-")]
        return listeners((edge for edge in edges if edge is not None), wall_ms)

    def _wish(self, show: str) -> Wish:
        desk = self._board.get("desk", board.Desk) or board.Desk()
        found = next((one for one in desk.shows if one.id == show), None)
        return Wish(found.rung, found.cap) if found else Wish()


def _measured() -> dict[str, int]:
    """What a write costs here; the edges may be busy already, it is CPU time that counts."""
    try:
        write_ns, kib_ns = yardstick.write_ns()
    except OSError as error:
        log.warning("nothing measured", error=str(error))
        write_ns, kib_ns = _NO_MEASURE
    log.info("measured", write_ns=write_ns, kib_ns=kib_ns)
    return {"write_ns": write_ns, "kib_ns": kib_ns}
