"""The line of one show: its draw, its mark, and what is told of it; from the log of places and from who arrives."""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog
from msgspec.structs import replace

from stentor.core import draw
from stentor.core.admission import REPORT_LOOKS, Admission, Decision, Facts
from stentor.io import places
from stentor.io.board import Board, BoardError
from stentor.io.keys import draw_secret
from stentor.model import board
from stentor.nodes.usher_draw import BEACON_WAIT_MS, DRAW_GRACE_MS, Drawn, Roll
from stentor.settings import Settings

TELL_MS = 1_000  # a `Line` is written at least so often
TABLE_POINTS = 64
NO_DRAW = Drawn("", 0, "", 0)
log = structlog.get_logger()


class Kept(msgspec.Struct, frozen=True):
    """What outlives the board: the mark, those called, and what was drawn (`base_s` 0: nothing yet)."""

    mark: int = 0
    called: int = 0
    drawn: Drawn = NO_DRAW


class ShowLine:
    """One show's. It goes on from what an usher before this one left on the board or, if that is lost, on the disk."""

    def __init__(self, settings: Settings, values: Board, show: board.Show, mono_ms: int) -> None:
        self._settings, self._board, self._shows = settings, values, settings.data_dir / "shows"
        self._show = show.id
        self._secret = draw_secret(settings.keys_dir, show.id)
        self._kept = read_kept(self._shows, show.id)
        self._line: board.Line | None = None  # None: not known yet
        self._told: board.Line | None = None
        before = self._before()
        self._drawn = self._kept.drawn if self._kept.drawn.base_s else _settled(before)
        mark, called = max(self._kept.mark, before.mark), before.called if before.at_ms else self._kept.called
        called += before.at_once * REPORT_LOOKS * settings.doors  # tickets that nobody has counted any more
        self._admission = Admission(settings.calls_per_s, mono_ms, mark, called, before.listening)
        self._draws_at_ms = 0
        self.roll = self._new_roll(show)

    def _before(self) -> board.Line:
        try:
            return self._board.get(f"line-{self._show}", board.Line) or board.Line(0)
        except BoardError:
            return board.Line(0)

    def _new_roll(self, show: board.Show, draws_at_ms: int | None = None) -> Roll:
        """Where there is no draw everybody is late, from the doors' opening on."""
        self._draws_at_ms = show.draws_at_ms if draws_at_ms is None else draws_at_ms
        drawn = self._drawn
        base_s = self._draws_at_ms // 1000 if self._draws_at_ms else show.opens_at_ms // 1000
        if drawn is None and not self._draws_at_ms:
            drawn = NO_DRAW._replace(base_s=base_s)
        return Roll(self._shows, show.id, self._secret, drawn.base_s if drawn else base_s, drawn)

    def decide(self, show: board.Show, facts: Facts, wall_ms: int, mono_ms: int, *, live: bool) -> None:
        """Decide, once everybody in the log is known; then `keep` and `tell`."""
        if self._drawn is None:
            self._see_to_draw(show, wall_ms, live=live)
        if self.roll.drawn is not None and not self.roll.ready:
            return  # with part of the line known the mark could go too far
        if self.roll.drawn is None:
            draw_in_ms = max(0, self._draws_at_ms + DRAW_GRACE_MS - wall_ms)
            facts = facts._replace(gathering=True, gathered=self.roll.total, draw_in_ms=draw_in_ms)
        facts = facts._replace(settled=draw.settled(wall_ms // 1000, self.roll.base_s))
        decision = self._admission.tick(mono_ms, facts, self.roll.order)
        if self.roll.drawn is not None and (decision.mark or self.roll.drawn.root):
            self._drawn = self.roll.drawn  # from here on ranks are as they are
        self._line = self._made(show, facts, decision, wall_ms)

    def _see_to_draw(self, show: board.Show, wall_ms: int, *, live: bool) -> None:
        if show.draws_at_ms != self._draws_at_ms and not (live and self._draws_at_ms):
            self.roll = self._new_roll(show)  # the crew has set another time
        if self.roll.drawn is not None:
            return
        if live and self._draws_at_ms - wall_ms >= 1000:
            # The show began earlier than planned: so does the draw, with all who came in this second.
            self.roll = self._new_roll(show, (wall_ms // 1000 + 1) * 1000)
        patient = show.beacon_name and not show.beacon and wall_ms < self._draws_at_ms + BEACON_WAIT_MS
        if self.roll.caught_up and wall_ms >= self._draws_at_ms + DRAW_GRACE_MS and not patient:
            self.roll.begin_draw(show.beacon)

    def keep(self) -> None:
        """Write down what is decided, if it is new; blocks on the disk. Raises `OSError`."""
        line = self._line
        if line is None:
            return
        if self.roll.records:
            places.write_drawn(self._shows, self._show, self.roll.records)
            self.roll.records = b""
        kept = Kept(line.mark, line.called, self._drawn or NO_DRAW)
        if (kept.mark, kept.drawn) != (self._kept.mark, self._kept.drawn):
            places.write_line(self._shows, self._show, msgspec.json.encode(kept))
            self._kept = kept

    def _made(self, show: board.Show, facts: Facts, decision: Decision, wall_ms: int) -> board.Line:
        drawn, order = self.roll.drawn or NO_DRAW, self.roll.order
        return board.Line(
            **{name: value for name, value in decision._asdict().items() if name != "waiting"},
            at_ms=wall_ms,
            waiting=facts.gathered if facts.gathering else decision.waiting,
            cap=facts.cap,
            listening=facts.listening,
            calls_mps=round(self._settings.calls_per_s * 1000),
            reason=_reason(show, decision, facts.cap),
            table=order.points(decision.mark, TABLE_POINTS) if order.total else (),
            commit=draw.commit(self._secret),
            key=self._secret.hex() if self.roll.drawn else "",
            beacon_name=show.beacon_name,
            beacon=drawn.beacon,
            root=drawn.root,
            places=drawn.places,
            base_s=self.roll.base_s,
        )

    def tell(self) -> None:
        """Put the line on the board, if it is new or a second old. Raises `OSError`."""
        line, told = self._line, self._told
        if line is None:
            return
        if told is None or line.at_ms - told.at_ms >= TELL_MS or replace(told, at_ms=line.at_ms) != line:
            self._board.put(f"line-{self._show}", line)
            self._told = line


def _settled(line: board.Line) -> Drawn | None:
    """What was drawn by the usher who told this line; for a line without a draw, since when it counts."""
    return Drawn(line.root, line.places, line.beacon, line.base_s) if line.root or line.mark else None


def read_kept(shows: Path, show: str) -> Kept:
    """What was kept of a line; nothing, where it cannot be read, and the log says why."""
    try:
        data = places.read_line(shows, show)
        return msgspec.json.decode(data, type=Kept) if data else Kept()
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        log.error("what was kept of a line cannot be read", show=show, error=str(error))
        return Kept()


def _reason(show: board.Show, decision: Decision, cap: int) -> str:
    """For those who wait, in words."""
    if decision.gate is board.Gate.CLOSED:
        return show.reason or "Nobody is let in at the moment."
    if decision.gate is board.Gate.GATHERING:
        return "Everybody who is here before the draw has the same chance."
    if decision.gate is board.Gate.QUEUE and decision.waiting:
        seats = "1 seat; it is" if cap == 1 else f"{cap:,} seats; they are"
        return f"This show has {seats} taken." if decision.free <= 0 else "Places are called one after the other."
    return ""
