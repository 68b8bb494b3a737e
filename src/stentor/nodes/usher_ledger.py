"""The usher's ledger: what stands on the board, and what becomes of it, into the file of the show it is of."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import structlog

from stentor.core import ledger
from stentor.core.ledger import Book, Pace
from stentor.core.tally import Said, Tally
from stentor.formats.ledger import Entry, Noted, Sampled
from stentor.io import ledger as files
from stentor.io.board import Board
from stentor.io.ledger import LedgerFile
from stentor.io.ring import Ring
from stentor.model import board
from stentor.nodes.values import get, get_all
from stentor.settings import Settings

LOOK_S = 0.25
SHOWS_MAX = 32
ABSENT_MS = 5_000
CHUNKS_MAX = 600  # counted at one look; a usher that was away for longer than the ring counts what is left in it
HEARD_MAX = 50_000  # changes of rules that wait to be written; with more, the oldest are lost
RULES_AT_ONCE = 250  # some milliseconds, in which the usher fills no chunk
Heard = tuple[str, board.Rule, tuple[str, ...], int]  # core.rules.Change: what, of which rule, families, events
log = structlog.get_logger()


class UsherLedger:
    """`ring` gives the ring of the show on stage, as far as the usher has it."""

    def __init__(self, settings: Settings, values: Board, ring: Callable[[], Ring | None]) -> None:
        self._settings, self._board, self._ring = settings, values, ring
        self._file, self._pace, self._counts = LedgerFile(), Pace(), Counts(values)
        self._show: board.Show | None = None
        self._book = Book()
        self._shield: board.Shield | None = None
        self._heard: deque[tuple[int, Heard]] = deque(maxlen=HEARD_MAX)
        self._next_n = 0

    def hear(self, changes: Iterable[Heard]) -> None:
        """What became of rules; may be called from any thread."""
        now_ms = time.time_ns() // 1_000_000
        self._heard.extend((now_ms, change) for change in changes)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. What fails is logged: nothing depends on the ledger."""
        while not stop.is_set():
            try:
                self.look()
            except (OSError, ValueError) as error:
                log.error("the ledger could not be kept", error=str(error))
            try:
                await asyncio.wait_for(stop.wait(), LOOK_S)
            except TimeoutError:
                continue
        await asyncio.to_thread(self._file.close)

    def look(self) -> None:
        """Four times a second: verdict, rules and orders as they change, and a sample when one is due."""
        now_ms = time.time_ns() // 1_000_000
        desk, stage = get(self._board, "desk", board.Desk) or board.Desk(), get(self._board, "stage", board.Stage)
        self._turn_to(ledger.subject(desk.shows[:SHOWS_MAX], stage, self._ended(desk), now_ms), now_ms)
        if self._show is None:
            return
        self._take_shield(get(self._board, "shield", board.Shield))
        self._take_rules()
        staged = stage if stage is not None and stage.show == self._show.id else None
        opened = now_ms >= self._show.opens_at_ms and not (staged and staged.phase in ledger.OVER)
        calm = self._shield is None or (self._shield.verdict == "calm" and not self._shield.level)
        if self._pace.due(time.monotonic_ns() // 1_000_000, busy=opened or not calm):
            self._keep(self._sample(staged, now_ms))
            self._tell_losses(now_ms)

    def _ended(self, desk: board.Desk) -> dict[str, int]:
        """When shows were over, by id."""
        found = {show.id: get(self._board, f"ended-{show.id}", board.Stage) for show in desk.shows[:SHOWS_MAX]}
        return {show: stage.ended_at_ms or stage.at_ms for show, stage in found.items() if stage is not None}

    def _turn_to(self, show: board.Show | None, now_ms: int) -> None:
        """From now on the ledger is of `show`, as the crew wants it now."""
        before, self._show = self._show, show
        if show is None or (before is not None and before.id == show.id):
            for order in ledger.orders(before, show, now_ms) if show else ():
                self._keep(order)
            return
        self._book = Book(files.size(files.path(self._settings.data_dir, show.id)))
        self._keep(ledger.begun(show, now_ms))
        if self._shield is not None and ledger.judged_anew(None, self._shield):
            self._keep(ledger.judged(self._shield))

    def _take_shield(self, shield: board.Shield | None) -> None:
        if shield is not None and ledger.judged_anew(self._shield, shield):
            self._keep(ledger.judged(shield))
        self._shield = shield or self._shield

    def _take_rules(self) -> None:
        """A few at a look: the usher has more to do."""
        if not self._heard:
            return
        key = files.day_key(self._settings.run_dir, time.time_ns() / 1e9)
        for _ in range(min(len(self._heard), RULES_AT_ONCE)):
            at_ms, (what, rule, families, _events) = self._heard.popleft()
            self._keep(ledger.ruled(rule, what, key, at_ms, families))

    def _sample(self, stage: board.Stage | None, now_ms: int) -> Sampled:
        assert self._show is not None
        line = get(self._board, f"line-{self._show.id}", board.Line) or board.Line(0)
        rung = (get(self._board, "ladder", board.Ladder) or board.Ladder(0)).rung
        shield, counts = self._shield or board.Shield(0), self._counts.since()
        return Sampled(
            now_ms,
            phase=stage.phase if stage else board.Phase.ANNOUNCED,
            waiting=line.waiting,
            seats=line.cap,
            rung=rung,
            verdict=shield.verdict,
            level=shield.level,
            rules=shield.rules,
            asked=shield.joins,
            completed=shield.completed,
            sources=shield.sources,
            n=stage.n if stage else 0,
            voices=sum(speaker.on_air for speaker in stage.speakers) if stage else 0,
            absent=self._absent(stage, now_ms),
            **counts,
            **self._chunks(stage),
        )

    def _absent(self, stage: board.Stage | None, now_ms: int) -> tuple[str, ...]:
        studio = ("studio",) if stage is not None and now_ms - stage.at_ms > ABSENT_MS else ()
        return studio + self._counts.absent(now_ms)

    def _chunks(self, stage: board.Stage | None) -> dict[str, int]:
        """What came out since the sample before: chunks of program, and of hold."""
        ring = self._ring()
        if ring is None or stage is None or stage.show != ring.show:
            return {}
        newest = ring.heads().whole
        first = max(self._next_n, ring.oldest(), newest - CHUNKS_MAX) if self._next_n else newest + 1
        chunks = [chunk for n in range(first, newest + 1) if (chunk := ring.get(0, n)) is not None]
        self._next_n = newest + 1
        held = sum(chunk.hold for chunk in chunks)
        return {"aired": len(chunks) - held, "held": held, "late": self._counts.late(stage)}

    def _keep(self, entry: Entry) -> None:
        assert self._show is not None
        lines = self._book.receive(entry)
        if lines:
            self._file.append(files.path(self._settings.data_dir, self._show.id), lines)

    def _tell_losses(self, now_ms: int) -> None:
        """A disk that takes lines again is told how many it did not take."""
        state = self._file.state
        if state.problem:
            log.warning("the ledger waits for the disk", error=state.problem, bytes=state.pending_bytes)
        elif lost := state.lost:
            self._file.told(lost)
            self._keep(Noted(now_ms, f"{lost} lines are missing here: the disk did not take them."))


class Counts:
    """How much the workers' counters have grown between two samples."""

    def __init__(self, values: Board) -> None:
        self._board = values
        self._tallies = {name: Tally() for name in ("joins", "blocked", "shed", "challenged", "dropped", "skipped")}
        self._late = Tally()
        self._silent: dict[str, int] = {}  # at_ms of what each worker said last

    def since(self) -> dict[str, int]:
        """Names are those of `Sampled`; -> what was counted since the call before, and how many listen."""
        edges, doors = get_all(self._board, "edge-", board.Edge), get_all(self._board, "door-", board.Door)
        self._silent = {key: value.at_ms for key, value in (edges | doors).items()}
        grown = {name: self._grown(name, _SAID[name], edges, doors) for name in self._tallies}
        return grown | {"listening": self._tallies["joins"].level}

    def _grown(
        self, name: str, said: _Counter, edges: Mapping[str, board.Edge], doors: Mapping[str, board.Door]
    ) -> int:
        values = {key: _said(one, said) for key, one in (edges | doors).items()}
        return self._tallies[name].receive(values, time.monotonic_ns() // 1_000_000)

    def late(self, stage: board.Stage) -> int:
        """Chunks that came too late from the studio, since the call before."""
        said = Said(stage.at_ms, stage.pid, stage.late_chunks)
        return self._late.receive({"stage": said}, time.monotonic_ns() // 1_000_000)

    def absent(self, now_ms: int) -> tuple[str, ...]:
        """Workers that have not written for a while, of those that stand on the board."""
        return tuple(key for key, at_ms in self._silent.items() if now_ms - at_ms > ABSENT_MS)


_Counter = Callable[[board.Edge | board.Door], int]


def _said(value: board.Edge | board.Door, counter: _Counter) -> Said:
    return Said(value.at_ms, value.pid, counter(value), value.seats if isinstance(value, board.Edge) else 0)


_SAID: dict[str, _Counter] = {
    "joins": lambda one: one.joins if isinstance(one, board.Edge) else 0,
    "blocked": lambda one: one.blocked,
    "shed": lambda one: one.shed if isinstance(one, board.Door) else 0,
    "challenged": lambda one: one.challenged if isinstance(one, board.Door) else 0,
    "dropped": lambda one: one.drops if isinstance(one, board.Edge) else 0,
    "skipped": lambda one: one.skips if isinstance(one, board.Edge) else 0,
}
