"""The usher's lines, from the log of places to the board: draw, mark, and what an usher that comes later finds."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from stentor.core import draw
from stentor.formats import merkle
from stentor.io.board import Board
from stentor.io.places import RECORD, Places, drawn_path
from stentor.model import board
from stentor.model.board import Gate
from stentor.nodes import line as show_line
from stentor.nodes import usher_draw
from stentor.nodes.usher_line import Lines
from stentor.settings import Settings

CAP = 5


class Hall:
    """A data directory with a show, its doors' log, one edge worker and ushers, one after the other."""

    def __init__(self, tmp_path: Path, *, draw_in_s: int | None) -> None:
        self.now_s = int(time.time()) - 3  # seconds that are over
        self.settings = replace(Settings(), data_dir=tmp_path / "data", run_dir=tmp_path / "run")
        self.board = Board(self.settings.board_dir)
        self.log = Places(self.settings.data_dir / "shows")
        draws_at_ms = 0 if draw_in_s is None else (self.now_s + draw_in_s) * 1000
        self.show = board.Show(
            "friday",
            "Friday",
            starts_at_ms=(self.now_s + 600) * 1000,
            opens_at_ms=(self.now_s - 300) * 1000,
            draws_at_ms=draws_at_ms,
            cap=CAP,
        )
        self.edge(0, 0, at_ms=1)
        self.desk()
        self.usher = Lines(self.settings, self.board)

    def desk(self, **changes: object) -> None:
        self.show = changed(self.show, **changes)
        self.board.put("desk", board.Desk(1, (self.show,)))

    def edge(self, listeners: int, arrivals: int, at_ms: int) -> None:
        self.board.put("edge-0", board.Edge(at_ms=at_ms, pid=1, listeners=listeners, arrivals=arrivals))
        self.board.put("stage", board.Stage(1, show="friday", phase=board.Phase.OPEN))

    def join(self, seqs: range, issued: int) -> None:
        for seq in seqs:
            self.log.append("friday", seq, issued)

    def look(self) -> board.Line:
        """Looks and work until there is nothing more to do."""
        for _ in range(3):
            asyncio.run(self.usher.look())
            while self.usher.step():
                pass
        asyncio.run(self.usher.look())
        line = self.board.get("line-friday", board.Line)
        assert line is not None
        return line

    def ranks(self, line: board.Line, seqs: range, issued: int) -> list[int]:
        key = draw.draw_key(bytes.fromhex(line.key), line.beacon)
        return [draw.rank(key, seq, issued, line.base_s) for seq in seqs]


def test_without_a_draw_who_comes_first_is_first(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=None)
    first = hall.look()
    assert first.gate is Gate.QUEUE and first.commit == sha256(bytes.fromhex(first.key)).hexdigest()
    hall.join(range(10, 14), hall.now_s)
    hall.join(range(1, 4), hall.now_s - 10)
    line = hall.look()
    assert (line.called, line.waiting, line.cap, line.free) == (CAP, 2, CAP, 0)
    assert all(rank <= line.mark for rank in hall.ranks(line, range(1, 4), hall.now_s - 10))
    assert sum(rank <= line.mark for rank in hall.ranks(line, range(10, 14), hall.now_s)) == 2
    assert line.table[0] == (line.mark, 5) and line.table[-1][1] == 7
    hall.edge(5, 5, at_ms=2)
    assert hall.look().called == 0


def test_whom_the_shield_has_shut_out_keeps_no_seat(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=None)
    hall.join(range(1, 9), hall.now_s)
    hall.board.put("shield", board.Shield(1, void=100))
    first = hall.look()
    assert (first.called, first.waiting) == (CAP, 3), "that was before"
    hall.board.put("shield", board.Shield(2, void=102))
    assert hall.look().waiting == 1
    hall.board.put("shield", board.Shield(3))
    assert hall.look().waiting == 1, "another usher counts from nothing"


def test_who_plays_hls_takes_a_seat(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=None)
    hall.board.put("edge-0", board.Edge(at_ms=2, pid=1, listeners=1, hls_signed=2, hls_estimated=1))
    hall.join(range(1, 9), hall.now_s)
    assert hall.look().called == CAP - 4


def test_before_the_draw_places_are_only_gathered(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=60)
    hall.join(range(1, 9), hall.now_s)
    line = hall.look()
    assert (line.gate, line.waiting, line.mark, line.key, line.root) == (Gate.GATHERING, 8, 0, "", "")
    assert len(line.commit) == 64 and line.next_poll_ms > 5_000


def test_the_draw_can_be_repeated_from_what_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usher_draw, "STEP", 16)
    hall = Hall(tmp_path, draw_in_s=-5)
    hall.desk(beacon_name="round 7", beacon="abc")
    early, late = range(1, 101), range(101, 121)
    hall.join(late, hall.now_s)
    hall.join(early, hall.now_s - 20)
    line = hall.look()
    records = [RECORD.pack(seq, hall.now_s - 20) for seq in early]
    assert drawn_path(hall.settings.data_dir / "shows", "friday").read_bytes() == b"".join(records)
    assert (line.root, line.places, line.beacon) == (merkle.root(records).hex(), 100, "abc")
    assert line.commit == draw.commit(bytes.fromhex(line.key))
    ranks = sorted(hall.ranks(line, early, hall.now_s - 20))
    assert line.mark == ranks[CAP - 1] and line.waiting == 115
    assert min(hall.ranks(line, late, hall.now_s)) > ranks[-1]


def test_a_beacon_that_was_named_is_waited_for(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=-5)
    hall.desk(beacon_name="round 7")
    hall.join(range(1, 9), hall.now_s - 20)
    assert hall.look().gate is Gate.GATHERING
    hall.desk(beacon="abc")
    assert hall.look().beacon == "abc"


def test_a_show_that_begins_early_draws_early(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=60)
    hall.join(range(1, 9), hall.now_s - 20)
    hall.look()
    hall.board.put("stage", board.Stage(2, show="friday", phase=board.Phase.LIVE))
    deadline = time.monotonic() + 10
    while (line := hall.look()).gate is Gate.GATHERING:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert line.base_s <= time.time() and line.places == 8


def test_a_show_that_begins_early_draws_all_who_had_come_by_then(tmp_path: Path) -> None:
    """Seconds are whole in the log: also those of the second in which the crew says go."""
    hall = Hall(tmp_path, draw_in_s=60)
    hall.look()
    hall.board.put("stage", board.Stage(2, show="friday", phase=board.Phase.LIVE))
    go_s = int(time.time())
    hall.join(range(1, 9), go_s)
    deadline = time.monotonic() + 10
    while (line := hall.look()).gate is Gate.GATHERING:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert line.places == 8 and go_s < line.base_s <= go_s + 3


@pytest.mark.parametrize("lost", ["nothing", "board", "disk"])
def test_the_next_usher_goes_on_where_the_last_one_died(tmp_path: Path, lost: str) -> None:
    hall = Hall(tmp_path, draw_in_s=-5)
    hall.join(range(1, 101), hall.now_s - 20)
    before = hall.look()
    if lost == "board":
        shutil.rmtree(hall.settings.board_dir)
        hall.desk()
    elif lost == "disk":
        (hall.settings.data_dir / "shows" / "friday" / "places" / "line").unlink()
    hall.edge(2, 2, at_ms=3)
    hall.desk(draws_at_ms=hall.show.draws_at_ms + 1_000)  # too late for that
    hall.usher = Lines(hall.settings, hall.board)
    after = hall.look()
    same = ("mark", "root", "places", "key", "base_s", "waiting")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert after.called == CAP, "their time begins anew"


def test_the_next_usher_does_not_wait_for_those_who_have_arrived(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=None)
    hall.join(range(1, 20), hall.now_s - 20)
    assert hall.look().called == CAP
    hall.edge(CAP, CAP, at_ms=2)
    assert hall.look().called == 0
    hall.usher = Lines(hall.settings, hall.board)
    assert hall.look().called == 0


@pytest.mark.parametrize("back", [(), ("desk",), ("desk", "stage"), ("desk", "stage", "edge-0")])
def test_a_board_that_is_lost_under_an_usher_frees_no_seat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: tuple[str, ...]
) -> None:
    """Its values come back one after the other, each from who writes it."""
    monkeypatch.setattr(show_line, "TELL_MS", 0)
    hall = Hall(tmp_path, draw_in_s=None)
    hall.join(range(1, 20), hall.now_s - 20)
    hall.look()
    hall.edge(CAP, CAP, at_ms=2)
    before = hall.look()
    assert (before.called, before.free) == (0, 0)
    kept = {path.stem: path.read_bytes() for path in hall.settings.board_dir.iterdir()}
    shutil.rmtree(hall.settings.board_dir)
    for known in ((), back, kept):
        hall.settings.board_dir.mkdir(exist_ok=True)
        for key in set(known) & {"desk", "stage", "edge-0"}:
            (hall.settings.board_dir / f"{key}.json").write_bytes(kept[key])
        after = hall.look()
        assert (after.mark, after.called, after.free) == (before.mark, 0, 0), known


def test_a_place_that_cannot_be_ranked_yet_moves_no_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(tmp_path, draw_in_s=-5)
    hall.join(range(1, 101), hall.now_s - 20)
    hall.join(range(101, 105), hall.now_s)
    before = hall.look()
    monkeypatch.setattr(usher_draw, "STEP", 2)
    hall.usher = Lines(hall.settings, hall.board)
    hall.desk(cap=50)
    asyncio.run(hall.usher.look())
    hall.usher.step()
    asyncio.run(hall.usher.look())
    assert hall.board.get("line-friday", board.Line) == before


def test_closed_and_over(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=None)
    hall.desk(closed=True, reason="fire alarm")
    assert (hall.look().gate, hall.look().reason) == (Gate.CLOSED, "fire alarm")
    hall.desk(closed=False, reason="")
    assert hall.look().gate is Gate.QUEUE
    hall.board.put("ended-friday", board.Stage(9, show="friday", phase=board.Phase.ENDED))
    assert hall.look().gate is Gate.CLOSED


def test_what_was_kept_and_cannot_be_read_is_done_without(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=None)
    folder = hall.settings.data_dir / "shows" / "friday" / "places"
    folder.mkdir(parents=True)
    (folder / "line").write_text("{")
    assert hall.look().mark == 0


def test_a_show_whose_line_fails_does_not_hold_up_another(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=None)
    hall.settings.keys_dir.mkdir(parents=True)
    (hall.settings.keys_dir / "draw-broken.key").write_bytes(b"short")
    hall.board.put("desk", board.Desk(1, (changed(hall.show, id="broken"), hall.show)))
    assert hall.look().gate is Gate.QUEUE
    assert hall.board.get("line-broken", board.Line) is None


def test_a_board_that_cannot_be_read_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the end of the usher, who has hold to write."""
    hall = Hall(tmp_path, draw_in_s=None)
    keys, failures = hall.board.keys, [OSError("too many open files")]

    def fails_once(prefix: str = "") -> list[str]:
        if failures:
            raise failures.pop()
        return keys(prefix)

    monkeypatch.setattr(hall.board, "keys", fails_once)
    stop = asyncio.Event()

    async def run() -> None:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(hall.usher.run(stop))
            while hall.board.get("line-friday", board.Line) is None:  # noqa: ASYNC110  the board tells nobody
                await asyncio.sleep(0.05)
            stop.set()

    asyncio.run(run())
    assert not failures


def test_no_seat_is_kept_twice_for_who_was_called_and_asks_again(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=None)
    hall.join(range(1, 3), hall.now_s - 10)
    hall.board.put("door-0", board.Door(1, 7))
    called = hall.look()
    assert (called.called, called.waiting, called.gate) == (2, 0, Gate.QUEUE)
    hall.desk(cap=1_000)
    assert hall.look().gate is Gate.FREE
    hall.board.put("door-0", board.Door(2, 7, tickets=6))
    assert hall.look().called == 2
    hall.board.put("door-0", board.Door(3, 7, tickets=9, at_once=3, at_once_by={"friday": 3}))
    assert hall.look().called == 5


def test_tickets_of_another_show_keep_no_seat_of_this_one(tmp_path: Path) -> None:
    hall = Hall(tmp_path, draw_in_s=None)
    hall.desk(cap=1_000)
    hall.board.put("door-0", board.Door(1, 7))
    assert hall.look().gate is Gate.FREE
    hall.board.put("door-0", board.Door(2, 7, tickets=9, at_once=9, at_once_by={"saturday": 7, "friday": 2}))
    assert hall.look().called == 2
