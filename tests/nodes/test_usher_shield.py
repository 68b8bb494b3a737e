"""The usher's shield: whose wishes it follows, and what it tells the ledger."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from stentor.core.rules import Change
from stentor.core.verdict import Judgement, Suspect
from stentor.formats.evidence import key_of
from stentor.io.board import Board
from stentor.model import board
from stentor.model.board import Verdict
from stentor.nodes.usher_shield import UsherShield
from stentor.settings import Settings

SHOW = board.Show("friday", "Friday", 2**40, 0, siege=True, dry_run=True, released=("203.0.113.7/32",))


def _shield(tmp_path: Path, heard: list[Change]) -> UsherShield:
    settings = replace(Settings(), data_dir=tmp_path / "data", run_dir=tmp_path / "run", shield_kernel="off")
    return UsherShield(settings, Board(settings.board_dir), heard.extend)


def test_what_the_crew_wants_counts_until_its_show_is_over(tmp_path: Path) -> None:
    """Nothing about a show that is over changes any more: its siege would have no end."""
    shield = _shield(tmp_path, [])
    values = Board(tmp_path / "run" / "board")
    values.put("desk", board.Desk(1, (SHOW,)))
    wishes = shield._wishes()
    assert (wishes.siege, wishes.dry_run, wishes.released) == (True, True, SHOW.released)
    values.put("ended-friday", board.Stage(1, show="friday", phase=board.Phase.ENDED))
    assert shield._wishes() == type(wishes)()


def test_the_ledger_hears_what_becomes_of_rules(tmp_path: Path) -> None:
    heard: list[Change] = []
    shield = _shield(tmp_path, heard)
    suspect = Suspect(key_of("203.0.113.9"), ("completion",), 66, 0.999, "66 in 10 s: sessions begun, none completed")
    judgement = Judgement(1, Verdict.ATTACK, 1, (), (suspect,), 1, 66, 0, frozenset(), frozenset())
    shield._judge.receive = lambda picture, edges_up: judgement
    shield.tick()
    (made,) = heard
    assert (made.what, made.rule.target, made.families) == ("made", "203.0.113.9/32", ("completion",))
    told = Board(tmp_path / "run" / "board").get("shield", board.Shield)
    assert told is not None and told.verdict is Verdict.ATTACK
    assert abs(told.at_ms - time.time_ns() // 1_000_000) < 60_000
