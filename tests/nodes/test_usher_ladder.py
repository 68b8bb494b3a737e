"""The usher's ladder on a board of the test's own: warned in time, one switch at a time, and on from where it stood."""

import time

import pytest

from stentor.core import ladder as machine
from stentor.io.board import Board
from stentor.io.wake import BOARD, Caller, Ear
from stentor.model import board
from stentor.nodes import usher_ladder
from stentor.nodes.usher_ladder import ALIGN_N, LEAD_S, UsherLadder
from stentor.settings import Settings

CHUNK_MS = 500
LEAD_N = int(LEAD_S * 1000 / CHUNK_MS)


@pytest.fixture
def values(tmp_path):
    return Board(tmp_path / "run" / "board")


@pytest.fixture
def clock(monkeypatch):
    """The machine's clock, in seconds."""

    class Clock:
        now_s = 1_000.0

    monkeypatch.setattr(usher_ladder.time, "monotonic", lambda: Clock.now_s)
    return Clock


def usher(tmp_path, values, **settings):
    own = Settings(run_dir=tmp_path / "run", data_dir=tmp_path / "data", **{"capacity": 1_000, **settings})
    return UsherLadder(own, values, Caller(own.wake_dir))


def put(values, listeners=0, n=100, show="s", **wish):
    now_ms = time.time_ns() // 1_000_000
    values.put("stage", board.Stage(now_ms, show=show, n=n, chunk_ms=CHUNK_MS))
    values.put("edge-0", board.Edge(now_ms, listeners=listeners))
    values.put("desk", board.Desk(n, (board.Show("s", "An evening", 0, 0, **wish),)))


def test_a_worker_that_is_being_replaced_has_its_listeners_once(tmp_path, values, clock):
    one = usher(tmp_path, values)
    put(values, listeners=500)
    now_ms = time.time_ns() // 1_000_000
    values.put("edge-0", board.Edge(now_ms - 1_000, pid=7, listeners=501))
    values.put("edge-0.7", board.Edge(now_ms, pid=7, listeners=500))
    one.look()
    assert values.get("ladder", board.Ladder).rung == 0


def test_a_full_rung_is_left_with_a_warning(tmp_path, values, clock):
    one, ear = usher(tmp_path, values), Ear(tmp_path / "run" / "wake", "edge")
    put(values, listeners=500)
    one.look()
    before = values.get("ladder", board.Ladder)
    assert (before.rung, before.group, before.show, before.reason) == (0, 1, "s", "")
    assert before.capacity[0] == 1_000 and before.cap == int(0.75 * before.capacity[-1])
    put(values, listeners=700)
    one.look()
    after = values.get("ladder", board.Ladder)
    assert (after.rung, after.group, after.revision) == (1, 2, before.revision + 1)
    assert 100 + LEAD_N <= after.from_n - 1 < 100 + LEAD_N + 2 * ALIGN_N and (after.from_n - 1) % ALIGN_N == 0
    assert after.reason.startswith("Latency is raised")
    assert BOARD in ear.drain()
    ear.close()


def test_one_switch_at_a_time(tmp_path, values, clock):
    one = usher(tmp_path, values)
    put(values, rung=2)
    one.look()
    first = one.value
    clock.now_s += machine.STEP_S
    one.look()
    assert one.value.rung == 1 and one.value.revision == first.revision
    put(values, n=first.from_n, rung=2)
    one.look()
    assert (one.value.rung, one.value.group) == (2, 4) and one.value.from_n > first.from_n + LEAD_N


def test_a_restart_goes_on_from_the_board(tmp_path, values, clock):
    one = usher(tmp_path, values)
    put(values, listeners=700)
    one.look()
    again = usher(tmp_path, values)
    again.look()
    assert (again.value.rung, again.value.from_n, again.value.revision) == (
        one.value.rung,
        one.value.from_n,
        one.value.revision,
    )


def test_low_for_the_new_then_for_all_and_back(tmp_path, values, clock):
    one = usher(tmp_path, values)
    n, seen = 100, []
    for _ in range(4):
        put(values, n=n, rung=4)
        one.look()
        seen.append((one.value.rung, one.value.low, bool(one.value.low_from_n)))
        n, clock.now_s = max(one.value.from_n, one.value.low_from_n) + 1, clock.now_s + machine.STEP_S
    assert seen == [(1, False, False), (2, False, False), (3, True, False), (4, True, True)]
    put(values, n=n)
    one.look()
    clock.now_s += machine.CALM_S
    one.look()
    assert (one.value.rung, one.value.low, one.value.low_from_n) == (3, True, 0)


def test_another_show_begins_with_everything(tmp_path, values, clock):
    one = usher(tmp_path, values)
    put(values, listeners=700)
    one.look()
    put(values, n=5, show="next")
    one.look()
    assert (one.value.rung, one.value.group, one.value.from_n, one.value.show) == (0, 1, 0, "next")
    assert one.fields("s") == {} and one.fields("next")["ladder"]["rung"] == 0


def test_the_crews_number_and_the_places_there_are(tmp_path, values, clock):
    one = usher(tmp_path, values, listeners_max=1_200)
    put(values, cap=40)
    one.look()
    assert (one.value.cap, one.value.reason) == (40, "We go on with 40 listeners.")
    assert one.value.capacity == (1_000, 1_200, 1_200, 1_200, 1_200)


def test_without_a_setting_it_is_measured_once(tmp_path, values, monkeypatch):
    measured = []
    monkeypatch.setattr(usher_ladder.yardstick, "write_ns", lambda: measured.append(1) or (4_000, 100))
    one = usher(tmp_path, values, capacity=0, edges=1, listeners_max=10**6)
    put(values)
    one.look()
    usher(tmp_path, values, capacity=0, edges=1)
    assert measured == [1]
    assert one.value.capacity == machine.capacities(machine.Cost(4_000, 100), 0.5, 1, 10**6)


def test_the_yardstick_gives_a_cost():
    write_ns, kib_ns = usher_ladder.yardstick.write_ns()
    assert 0 < write_ns < 10**7 and 0 <= kib_ns < 10**7
