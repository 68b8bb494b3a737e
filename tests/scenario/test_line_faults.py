"""Roles are killed or stopped, and the board is lost, while people wait and are let in: the mark, the places and who
listens survive it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from stentor.formats.waiting import STANDS_WORDS
from support.line import Line
from support.onair import OnAir
from support.running import installation, until

pytestmark = pytest.mark.scenario
SEATS, WAITING = 2, 4
LOOK_S = 0.02
CROWD, CROWD_S_MAX = 16, 600


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A show on air with two seats, both taken."""
    with installation(tmp_path) as running, ExitStack() as stack:
        running.start()
        on_air = OnAir(running, stack, tmp_path, starts_in_s=1.0)
        one = Line(running, on_air.made.show, stack, tmp_path)
        one.seats(SEATS)
        for _ in range(SEATS):
            one.listen(one.come_in())
        until(lambda: one.said().called == 0, "those called have arrived")
        yield one


@contextmanager
def mark_never_falls(line: Line) -> Iterator[list[int]]:
    """-> the marks that were published meanwhile."""
    marks: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_S):
            with suppress(ValueError, OSError):
                marks.extend(said.mark for said in (line.said(),) if said.at_ms)  # 0: there is no board

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield marks
    finally:
        over.set()
        thread.join()
    assert marks == sorted(marks)


@contextmanager
def crowd(line: Line) -> Iterator[None]:
    """Many ask the door for `now`, as fast as it answers; with what those who speak and listen here leave."""
    url = line.running.url("door", f"/s/{line.show}/now")
    argv = ["nice", "-n19", "wrk", "-t1", f"-c{CROWD}", f"-d{CROWD_S_MAX}s", url]
    before = line.door().requests
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        until(lambda: line.door().requests > before + CROWD, "they ask")  # wrk gives up if the first finds nobody
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def stand(line: Line) -> list[str]:
    """People come one after the other, and have to wait."""
    places = [line.place()["place"] for _ in range(WAITING)]
    return sorted(places, key=lambda place: line.join(place)["rank"])


@pytest.mark.skipif(not shutil.which("wrk"), reason="apt install wrk")
def test_who_waits_is_let_in_whoever_was_killed_meanwhile(line: Line) -> None:
    places = stand(line)
    with mark_never_falls(line), crowd(line):
        for count, name in enumerate(("door-0", "usher", "desk"), 1):
            line.running.back(name, line.running.kill(name))
            until(lambda: line.running.accepts("door") and line.running.accepts("desk"), "they are back")
            assert [line.join(place).get("seq") for place in places], "every place is known again"
            line.seats(SEATS + count)
            first, *places = places
            line.listen(line.let_in(first)["ticket"])
            assert not any("ticket" in line.join(place) for place in places), "one seat, one turn"
            assert line.place()["rank"] > line.join(places[-1])["rank"]
            until(lambda: not line.said().called, "the next usher has nobody to wait for")
    line.nobody_was_cut()
    assert line.listeners == SEATS + 3


def test_while_the_usher_stands_still_so_does_the_mark(line: Line) -> None:
    first, *places = stand(line)
    line.seats(SEATS + 1)
    until(lambda: "ticket" in line.join(first), "the first is called")
    usher = line.running.pids()["usher"]
    assert usher is not None
    with mark_never_falls(line) as marks:
        os.kill(usher, signal.SIGSTOP)
        line.crew(lambda admin: admin.cap(line.show, SEATS + 2))
        until(lambda: line.join(places[0])["reason"] == STANDS_WORDS, "the line is stale")
        stood = marks[-1]
        line.listen(line.let_in(first)["ticket"])
        assert line.place()["rank"] is not None
        assert not any("ticket" in line.join(place) for place in places)
        assert marks[-1] == stood
        line.nobody_was_cut()
        os.kill(usher, signal.SIGCONT)
        line.listen(line.let_in(places[0])["ticket"])
        assert marks[-1] > stood
    assert line.running.pids()["usher"] == usher


def test_a_board_that_is_lost_gives_no_seat_away(line: Line) -> None:
    places = stand(line)
    with mark_never_falls(line) as marks:
        stood = line.said().mark
        for path in line.running.settings.board_dir.iterdir():
            path.unlink(missing_ok=True)
        lost_ms = time.time_ns() // 1_000_000
        until(lambda: line.said().at_ms > lost_ms and line.listeners == SEATS, "the board is whole again")
        until(lambda: line.said().at_ms > lost_ms + 3_000, "the usher has decided some more")
        assert marks[-1] == stood, "the seats are taken, and nobody has left"
        assert not any("ticket" in line.join(place) for place in places)
        line.seats(SEATS + 1)
        line.listen(line.let_in(places[0])["ticket"])
        assert not any("ticket" in line.join(place) for place in places[1:])
    line.nobody_was_cut()


def test_fewer_seats_than_listeners_cut_nobody(line: Line) -> None:
    line.seats(SEATS - 1)
    new = line.place()
    waits = until(lambda: (told := line.join(new["place"])).get("reason") and told, "the reason is told")
    assert waits["reason"] == "This show has 1 seat; it is taken." and waits["ahead"] == 0
    page = line.ask(f"wait/{new['place']}").text
    assert waits["reason"] in page and "Your place in line" in page
    mark = line.said().mark
    line.leave(0)
    until(lambda: line.listeners == SEATS - 1, "one has left")
    line.nobody_was_cut()
    assert "ticket" not in line.join(new["place"]) and line.said().mark == mark
    line.seats(SEATS + 1)
    line.listen(line.let_in(new["place"])["ticket"])
    line.nobody_was_cut()
