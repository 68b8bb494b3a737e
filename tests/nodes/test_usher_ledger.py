"""The usher's ledger, from the board to the file: samples, verdicts, rules, orders; across ushers, never an address."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from stentor.core import ledger
from stentor.core.rules import Change
from stentor.formats.ledger import Begun, Entry, Judged, Noted, Ordered, Ruled, Sampled, read
from stentor.io import ledger as files
from stentor.io import ring as rings
from stentor.io.board import Board
from stentor.model import board
from stentor.model.board import Rule, Shield, Signal, Verdict
from stentor.model.grid import Grid
from stentor.model.rendition import RENDITIONS
from stentor.nodes import usher_ledger
from stentor.nodes.usher_ledger import UsherLedger
from stentor.settings import Settings
from support import tapes

RULE = Rule("r1", "drop", "203.0.113.7/32", 1, 2**50, why="203.0.113.7 joins 66 times and plays nothing")
ATTACK = Shield(
    5, Verdict.ATTACK, 5, 3, (Signal("completion", "412 addresses, none played", 412, 9_800, 0.999),), 412, 9_800, 3, 1
)


class Hall:
    """A board with a show whose doors are open, and its usher's ledger."""

    def __init__(self, tmp_path: Path) -> None:
        self.settings = replace(Settings(), data_dir=tmp_path / "data", run_dir=tmp_path / "run")
        self.board = Board(self.settings.board_dir)
        now_ms = time.time_ns() // 1_000_000
        self.show = board.Show("friday", "Friday", now_ms + 600_000, now_ms - 1_000)
        self.desk()
        self.board.put("edge-0", board.Edge(1, 11))
        self.board.put("door-0", board.Door(1, 12))
        self.usher = self.new_usher()

    def new_usher(self) -> UsherLedger:
        return UsherLedger(self.settings, self.board, lambda: None)

    def desk(self, **changes: object) -> None:
        self.show = changed(self.show, **changes)
        self.board.put("desk", board.Desk(1, (self.show,)))

    def written(self) -> list[Entry]:
        self.usher._file.close()
        found = read(files.path(self.settings.data_dir, "friday").read_bytes())
        assert (found.unread, found.torn) == (0, False)
        return found.entries


@pytest.fixture
def hall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hall]:
    monkeypatch.setattr(files, "FLUSH_S", 0.01)
    monkeypatch.setattr(ledger, "SAMPLE_MS", 0)  # at every look
    yield Hall(tmp_path)


def test_a_sample_has_what_was_counted_since_the_one_before(hall: Hall) -> None:
    hall.board.put("line-friday", board.Line(1, waiting=31, cap=500))
    hall.usher.look()
    hall.board.put("edge-0", board.Edge(2, 11, listeners=40, joins=42, drops=2, skips=1, blocked=5))
    hall.board.put("door-0", board.Door(2, 12, shed=7, challenged=3, blocked=6))
    hall.usher.look()
    begun, first, second = hall.written()
    assert isinstance(begun, Begun) and (begun.show, begun.title) == ("friday", "Friday")
    assert isinstance(first, Sampled) and (first.joins, first.waiting, first.seats) == (0, 31, 500)
    assert isinstance(second, Sampled)
    counted = (second.joins, second.listening, second.dropped, second.skipped, second.blocked, second.shed)
    assert counted == (42, 40, 2, 1, 11, 7)
    assert second.challenged == 3
    assert second.absent == ("edge-0", "door-0")  # what they wrote is of 1970


def test_verdicts_and_rules_as_they_change_and_no_address(hall: Hall) -> None:
    hall.usher.look()
    hall.board.put("shield", ATTACK)
    hall.usher.hear([Change("made", RULE, ("completion",), 66)])
    hall.usher.look()
    hall.board.put("shield", changed(ATTACK, at_ms=6, joins=9_900))
    hall.usher.hear([Change("enforced", changed(RULE, enforced_ms=6))])
    hall.usher.look()
    hall.usher.hear([Change("released", RULE)])
    hall.desk(released=(RULE.target,))
    hall.usher.look()
    entries = hall.written()
    assert [(one.verdict, one.level) for one in entries if isinstance(one, Judged)] == [("attack", 3)]
    rules = [one for one in entries if isinstance(one, Ruled)]
    assert [one.change for one in rules] == ["made", "enforced", "released"]
    assert len({one.source for one in rules}) == 1
    assert rules[0].families == ("completion",)
    assert [one.words for one in entries if isinstance(one, Ordered)] == ["Released 1 rule"]
    assert b"203.0.113" not in files.path(hall.settings.data_dir, "friday").read_bytes()


def test_the_usher_that_comes_next_goes_on(hall: Hall) -> None:
    """The file of the one before is gone on with, and what is still an attack is said again."""
    hall.board.put("shield", ATTACK)
    hall.usher.hear([Change("made", RULE)])
    hall.usher.look()
    hall.usher._file.close()
    hall.usher = hall.new_usher()
    hall.usher.hear([Change("expired", RULE)])
    hall.usher.look()
    kinds = [type(entry) for entry in hall.written()]
    assert kinds.count(Begun) == 2
    assert kinds.count(Judged) == 2
    made, expired = (entry for entry in hall.written() if isinstance(entry, Ruled))
    assert (made.change, expired.change, made.source) == ("made", "expired", expired.source)


def test_more_changes_of_rules_than_one_look_takes_wait_for_the_next(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usher_ledger, "RULES_AT_ONCE", 2)
    hall.usher.hear([Change("made", RULE)] * 3)
    hall.usher.look()
    hall.usher.look()
    assert sum(isinstance(entry, Ruled) for entry in hall.written()) == 3


def test_orders_of_the_crew(hall: Hall) -> None:
    hall.usher.look()
    hall.desk(dry_run=True, siege=True)
    hall.usher.look()
    assert sum(isinstance(one, Ordered) for one in hall.written()) == 2


def test_without_a_show_nothing_is_written(hall: Hall) -> None:
    hall.board.put("desk", board.Desk())
    hall.usher.look()
    hall.usher._file.close()
    assert not (hall.settings.data_dir / "shows").exists()


def test_lines_that_the_disk_did_not_take_are_told_of(hall: Hall) -> None:
    hall.usher.look()
    hall.usher._file.state.lost = 9
    hall.usher.look()
    notes = [one.words for one in hall.written() if isinstance(one, Noted)]
    assert notes == ["9 lines are missing here: the disk did not take them."]
    assert hall.usher._file.state.lost == 0


def test_between_shows_a_sample_a_minute(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    hall.desk(opens_at_ms=hall.show.starts_at_ms)
    monkeypatch.setattr(ledger, "IDLE_SAMPLE_MS", 10**9)
    for _ in range(3):
        hall.usher.look()
    assert sum(isinstance(one, Sampled) for one in hall.written()) == 1
    assert usher_ledger.LOOK_S < 1


def test_chunks_are_told_apart_by_what_the_ring_has(hall: Hall, tmp_path: Path) -> None:
    ring = rings.create(tmp_path / "friday.ring", "friday", Grid(0, 0, 24_000), tapes.holds())
    hall.usher = UsherLedger(hall.settings, hall.board, lambda: ring)
    hall.board.put("stage", board.Stage(1, 9, 1, "friday", phase=board.Phase.LIVE, late_chunks=4))
    for rendition in RENDITIONS:
        ring.publish(rendition.id, 1, b"before the usher came")
    hall.usher.look()
    for n in (2, 3, 4):
        for rendition in RENDITIONS:
            ring.publish(rendition.id, n, b"sound", hold=n == 3)
    hall.board.put("stage", board.Stage(2, 9, 1, "friday", phase=board.Phase.LIVE, n=4, late_chunks=5))
    hall.usher.look()
    first, second = (entry for entry in hall.written() if isinstance(entry, Sampled))
    assert (first.aired, first.held, first.late) == (0, 0, 0)
    assert (second.aired, second.held, second.late, second.n) == (2, 1, 1, 4)
    ring.close()
