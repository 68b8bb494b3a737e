"""An evening with a crowd and an attack, as the usher's ledger and the tape keep it: by the product's own code, against
a clock that the evening sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from stentor.core.rules import Change
from stentor.io import ledger as files
from stentor.io.board import Board
from stentor.model import board
from stentor.model.board import Rule, Shield, Signal, Verdict
from stentor.model.rendition import RENDITIONS
from stentor.nodes import usher_ledger
from stentor.nodes.usher_ledger import UsherLedger
from stentor.settings import Settings
from support import tapes

SHOW, TITLE = "friday", "The <interview> & after"
T0_S = tapes.T0_NS // 10**9
BEFORE_S, LASTS_S = 120, 600
ATTACK = range(240, 330)  # seconds after the start
UNVOICED = range(420, 430)
SILENT = range(500, 512)  # the studio is dead, and heard of no more
DROPPED_S = 300
SOURCES = 40
ERROR = "wrong in 0 of 300 rehearsed crowds (at most 1 %)"


def _verdict(second: int) -> Verdict:
    if second in ATTACK:
        return Verdict.ATTACK if second >= ATTACK.start + 4 else Verdict.UNDECIDED
    return Verdict.CROWD if -20 <= second < 40 else Verdict.CALM


def _shield(second: int) -> Shield:
    verdict, at_ms = _verdict(second), (T0_S + second) * 1000
    signals = {
        Verdict.CROWD: (Signal("requests", "1,900 addresses made 2,100 joins in 10 s, 1.1 each", 1_900, 2_100, 1.1),),
        Verdict.UNDECIDED: (Signal("strangers", "96 % were never in the pre-queue", 400, 9_000, 0.96),),
        Verdict.ATTACK: (
            Signal(
                "completion",
                "412 addresses opened 9,800 joins in 10 s and none played a second of audio",
                412,
                9_800,
                0.9997,
            ),
            Signal("strangers", "96 % were never in the pre-queue", 400, 9_000, 0.96),
        ),
    }.get(verdict, ())
    level = {Verdict.CALM: 0, Verdict.CROWD: 1, Verdict.UNDECIDED: 2, Verdict.ATTACK: 3}[verdict]
    joins = {Verdict.CALM: 20, Verdict.CROWD: 2_100}.get(verdict, 9_800)
    error = ERROR if verdict is Verdict.ATTACK else ""
    return Shield(at_ms, verdict, at_ms, level, signals, 412, joins, 12, drops_by="kernel", error=error)


def _rules(second: int) -> tuple[Rule, ...]:
    made = ATTACK.start + 5
    if not made <= second < made + 120:
        return ()
    made_ms, enforced = (T0_S + made) * 1000, second > made
    return tuple(
        Rule(
            f"r{number}",
            "drop",
            f"203.0.113.{number}/32",
            made_ms,
            made_ms + 120_000,
            made_ms + 500 if enforced and number else 0,
            hits=(second - made) * (number + 1),
            why=f"203.0.113.{number} began 66 sessions and played none",
            spared="" if number else "a listener plays there",
        )
        for number in range(SOURCES)
        if number != 7 or second < made + 30  # the crew releases that one
    )


def _changes(before: dict[str, Rule], after: dict[str, Rule], second: int) -> list[Change]:
    made = [Change("made", rule, ("completion",)) for id_, rule in after.items() if id_ not in before]
    stayed = [(before[id_], rule) for id_, rule in after.items() if id_ in before]
    enforced = [Change("enforced", rule) for old, rule in stayed if rule.enforced_ms and not old.enforced_ms]
    spared = [Change("spared", one.rule) for one in made if one.rule.spared]
    end = "released" if second == ATTACK.start + 35 else "expired"
    return [*made, *spared, *enforced, *(Change(end, rule) for id_, rule in before.items() if id_ not in after)]


class Evening:
    """`keep()` lives through it; then `data_dir` has the ledger and the tape."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data_dir, self.second = root / "data", -BEFORE_S
        self._settings = replace(Settings(), data_dir=self.data_dir, run_dir=root / "run")
        self._board = Board(self._settings.board_dir)
        clock = SimpleNamespace(
            time_ns=lambda: (T0_S + self.second) * 10**9, monotonic_ns=lambda: (10_000 + self.second) * 10**9
        )
        monkeypatch.setattr(usher_ledger, "time", clock)
        monkeypatch.setattr(files, "FLUSH_S", 0.01)
        self._show = board.Show(SHOW, TITLE, T0_S * 1000, (T0_S - BEFORE_S) * 1000)
        self._joins = self._blocked = 0

    def keep(self) -> None:
        usher, before = UsherLedger(self._settings, self._board, lambda: None), {}
        for self.second in range(-BEFORE_S, LASTS_S + 1):
            self._live()
            rules = {rule.id: rule for rule in _rules(self.second)}
            usher.hear(_changes(before, rules, self.second))
            before = rules
            usher.look()
        usher._file.close()
        self._record()

    def _live(self) -> None:
        second, at_ms = self.second, (T0_S + self.second) * 1000
        listening = min(4_200, max(0, 70 * (second + 20)))
        self._joins += 70 if 0 < listening < 4_200 else 2
        self._blocked += 700 if second - 6 in ATTACK else 0
        shield, rules = _shield(second), _rules(second)
        if second == ATTACK.start + 35:
            self._show = board.Show(
                **{name: getattr(self._show, name) for name in self._show.__struct_fields__}
                | {"released": ("203.0.113.7/32",)}
            )
        self._board.put("desk", board.Desk(1, (self._show,)))
        drops = int(second >= DROPPED_S)
        edge = board.Edge(at_ms, 11, listening, joins=self._joins, blocked=self._blocked, drops=drops)
        self._board.put("edge-0", edge)
        self._board.put("door-0", board.Door(at_ms, 12, shed=max(0, second + 10) // 20))
        waiting = 800 if -60 <= second < 20 else 0
        self._board.put(f"line-{SHOW}", board.Line(at_ms, waiting=waiting, cap=5_000))
        self._board.put("ladder", board.Ladder(at_ms, rung=int(second >= 60), show=SHOW))
        self._board.put("shield", replace_rules(shield, len(rules)))
        if second not in SILENT:
            voice = board.Speaker("ada", "Ada", second not in UNVOICED, False)
            phase = board.Phase.LIVE if second >= 0 else board.Phase.OPEN
            self._board.put("stage", board.Stage(at_ms, 13, 1, SHOW, TITLE, phase, speakers=(voice,)))

    def _record(self) -> None:
        tape = tapes.begin(files.path(self.data_dir, SHOW).parent / "tape", SHOW)
        for n in range(tapes.FIRST_N, tapes.FIRST_N + 2 * (LASTS_S - 10)):
            second = n // 2
            # The board tells of a dead studio five seconds later.
            hold = second in UNVOICED or second in SILENT[6:]
            data = {rendition.id: None if hold else b"sound of %d" % n for rendition in RENDITIONS}
            tape.append(tape.writer.add_chunk(data))
        tape.end()


def replace_rules(shield: Shield, count: int) -> Shield:
    fields = {name: getattr(shield, name) for name in shield.__struct_fields__}
    return Shield(**fields | {"rules": count})
