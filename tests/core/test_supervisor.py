"""The supervisor: a list of what happened to its children, and what it then wants done."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.supervisor import (
    BACKOFF_S_MAX,
    BACKOFF_S_MIN,
    CANNOT_START,
    STEADY_S,
    TERM_GRACE_S,
    Decision,
    Do,
    Supervisor,
)


def start(*names: str) -> list[Decision]:
    return [Decision(Do.START, name) for name in names]


def test_starts_everything_once() -> None:
    supervisor = Supervisor(["studio", "door-0"])
    assert supervisor.tick(0.0) == start("studio", "door-0")
    assert supervisor.tick(0.0) == []
    assert supervisor.next_deadline() is None


def test_a_dead_child_comes_back_after_a_wait_that_doubles_to_a_bound() -> None:
    supervisor, now, waits = Supervisor(["usher"]), 0.0, []
    for _ in range(8):
        assert supervisor.tick(now) == start("usher")
        supervisor.receive_exit("usher", -9, now)
        deadline = supervisor.next_deadline()
        assert deadline is not None and supervisor.tick(deadline - 0.001) == []
        waits.append(round(deadline - now, 3))
        now = deadline
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert waits[-1] == BACKOFF_S_MAX and supervisor.restarts == 8


def test_a_steady_life_makes_the_next_wait_short_again() -> None:
    supervisor = Supervisor(["edge-0"])
    supervisor.tick(0.0)
    supervisor.receive_exit("edge-0", 1, 0.0)
    supervisor.tick(1.0)
    supervisor.receive_exit("edge-0", 1, 1.0 + STEADY_S)
    assert supervisor.next_deadline() == 1.0 + STEADY_S + BACKOFF_S_MIN


def test_one_dead_child_does_not_touch_the_others() -> None:
    supervisor = Supervisor(["studio", "edge-0"])
    supervisor.tick(0.0)
    supervisor.receive_exit("studio", -9, 5.0)
    assert supervisor.tick(6.0) == start("studio")
    assert sorted(supervisor.running) == ["edge-0", "studio"]


def test_children_found_alive_are_not_started_twice() -> None:
    supervisor = Supervisor(["studio", "edge-0"])
    supervisor.receive_found("edge-0", 0.0)
    assert supervisor.tick(0.0) == start("studio")
    supervisor.receive_exit("edge-0", None, 1.0)
    assert supervisor.tick(2.0) == start("edge-0")


def test_a_child_found_alive_that_nobody_wants_is_ended() -> None:
    supervisor = Supervisor(["edge-0"])
    supervisor.receive_found("edge-1", 0.0)
    assert supervisor.tick(0.0) == [*start("edge-0"), Decision(Do.TERMINATE, "edge-1")]
    assert supervisor.next_deadline() == TERM_GRACE_S
    assert supervisor.tick(TERM_GRACE_S) == [Decision(Do.KILL, "edge-1")]
    supervisor.receive_exit("edge-1", None, TERM_GRACE_S)
    assert supervisor.running == ["edge-0"] and supervisor.next_deadline() is None


def test_stop_asks_then_kills_then_is_done() -> None:
    supervisor = Supervisor(["studio", "desk"])
    supervisor.tick(0.0)
    supervisor.receive_stop(1.0)
    assert supervisor.tick(1.0) == [Decision(Do.TERMINATE, "studio"), Decision(Do.TERMINATE, "desk")]
    supervisor.receive_exit("desk", 0, 1.2)
    assert supervisor.tick(2.0) == [] and not supervisor.done
    assert supervisor.next_deadline() == 1.0 + TERM_GRACE_S
    assert supervisor.tick(4.0) == [Decision(Do.KILL, "studio")]
    assert supervisor.tick(4.1) == []
    supervisor.receive_exit("studio", -9, 4.2)
    assert supervisor.done and supervisor.failed == "" and supervisor.next_deadline() is None


def test_a_child_that_cannot_start_ends_everything_and_is_named() -> None:
    supervisor = Supervisor(["door-0", "desk"])
    supervisor.tick(0.0)
    supervisor.receive_exit("door-0", CANNOT_START, 0.5)
    assert supervisor.failed == "door-0"
    assert supervisor.tick(0.5) == [Decision(Do.TERMINATE, "desk")]


@pytest.mark.parametrize("found", [True, False])
def test_a_child_that_ran_before_is_tried_again_even_if_its_port_is_taken(found: bool) -> None:
    supervisor = Supervisor(["door-0"])
    if found:
        supervisor.receive_found("door-0", 0.0)
    supervisor.tick(0.0)
    supervisor.receive_exit("door-0", None, STEADY_S)
    supervisor.tick(STEADY_S + 1)
    supervisor.receive_exit("door-0", CANNOT_START, STEADY_S + 2)
    assert not supervisor.stopping and supervisor.next_deadline() is not None


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.floats(0, 20)), max_size=60))
def test_whatever_dies_all_are_running_again_within_the_bound(deaths: list[tuple[str, float]]) -> None:
    supervisor, now = Supervisor(["a", "b", "c"]), 0.0
    supervisor.tick(now)
    for name, later in deaths:
        now += later
        supervisor.tick(now)
        if name in supervisor.running:
            supervisor.receive_exit(name, -9, now)
    supervisor.tick(now + BACKOFF_S_MAX)
    assert sorted(supervisor.running) == ["a", "b", "c"]


def reloaded(*names: str) -> Supervisor:
    supervisor = Supervisor(names)
    supervisor.tick(0.0)
    supervisor.receive_reload(names)
    return supervisor


def test_a_reload_starts_new_ones_first_and_lets_the_old_go_when_they_are_up() -> None:
    supervisor = reloaded("edge-0", "edge-1")
    assert supervisor.tick(1.0) == [
        Decision(Do.REPLACE, "edge-0", "edge-0.1"),
        Decision(Do.REPLACE, "edge-1", "edge-1.2"),
    ]
    assert supervisor.tick(1.0) == [] and supervisor.awaited == {"edge-0", "edge-1"}
    supervisor.receive_up("edge-1")
    assert supervisor.tick(2.0) == [Decision(Do.RETIRE, "edge-1.2")]
    assert supervisor.tick(2.0) == [] and supervisor.awaited == {"edge-0"}
    supervisor.receive_exit("edge-1.2", 0, 900.0)
    assert sorted(supervisor.running) == ["edge-0", "edge-0.1", "edge-1"] and supervisor.restarts == 0


def test_while_the_new_one_fails_the_old_one_serves() -> None:
    supervisor = reloaded("edge-0")
    supervisor.tick(1.0)
    supervisor.receive_exit("edge-0", CANNOT_START, 1.5)
    assert not supervisor.failed and supervisor.running == ["edge-0.1"]
    assert supervisor.tick(1.5 + BACKOFF_S_MIN) == start("edge-0")
    supervisor.receive_up("edge-0")
    assert supervisor.tick(3.0) == [Decision(Do.RETIRE, "edge-0.1")]


def test_an_old_one_that_dies_is_not_started_again() -> None:
    supervisor = reloaded("edge-0")
    supervisor.tick(1.0)
    supervisor.receive_exit("edge-0.1", -9, 1.5)
    assert supervisor.tick(9.0) == [] and supervisor.running == ["edge-0"] and not supervisor.awaited


def test_a_second_reload_waits_for_the_first() -> None:
    supervisor = reloaded("edge-0")
    supervisor.tick(1.0)
    supervisor.receive_reload(["edge-0"])
    assert supervisor.tick(1.1) == []
    supervisor.receive_up("edge-0")
    supervisor.tick(1.2)
    supervisor.receive_reload(["edge-0"])
    assert supervisor.tick(1.3) == [Decision(Do.REPLACE, "edge-0", "edge-0.2")]


def test_one_found_retiring_is_left_to_it() -> None:
    supervisor = Supervisor(["edge-0"])
    supervisor.receive_found("edge-0", 0.0)
    supervisor.receive_found("edge-0.7", 0.0)
    assert supervisor.tick(0.0) == []
    supervisor.receive_up("edge-0")
    assert supervisor.tick(0.1) == [Decision(Do.RETIRE, "edge-0.7")]


def test_a_stop_ends_those_who_retire_too() -> None:
    supervisor = reloaded("edge-0")
    supervisor.tick(1.0)
    supervisor.receive_stop(2.0)
    assert set(supervisor.tick(2.0)) == {Decision(Do.TERMINATE, "edge-0"), Decision(Do.TERMINATE, "edge-0.1")}
    assert not supervisor.done
    supervisor.receive_exit("edge-0", 0, 2.1)
    supervisor.receive_exit("edge-0.1", 0, 2.2)
    assert supervisor.done
