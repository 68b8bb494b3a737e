"""The loop: what comes first, what comes last, and that it ends when told."""

import math
import os
import signal
import threading
import time

import pytest

from stentor.io.net.loop import READABLE, TURN_S, Loop


@pytest.fixture
def faults():
    return []


@pytest.fixture
def loop(faults):
    one = Loop(faults.append)
    yield one
    one.close()


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_the_tick_comes_before_events_and_what_is_deferred_after_them(loop, pipe):
    order = []
    loop.tick_first(lambda: order.append("tick") or math.inf)
    loop.watch(pipe[0], READABLE, lambda fd, mask: (order.append("event"), loop.defer(lambda: order.append("later"))))
    os.write(pipe[1], b"x")
    loop.turn(math.inf)
    assert order == ["tick", "event", "later"]


def test_what_takes_many_turns_lets_the_tick_come_first_in_each(loop):
    order = []
    loop.tick_first(lambda: order.append("tick") or math.inf)
    table = {number: object() for number in range(4)}
    loop.spread(table, lambda number, item: (order.append(number), time.sleep(TURN_S)))
    table[2] = object()
    for _ in range(3):
        loop.turn(time.monotonic())
    assert order == [0, "tick", 1, "tick", 3, "tick"], "and what is another one by then is left alone"


def test_the_wait_ends_when_the_tick_wants_to_be_called(loop):
    loop.tick_first(lambda: 12.5)
    assert loop.turn(time.monotonic() + 0.01) == 12.5


def test_an_event_of_a_descriptor_forgotten_in_the_same_turn_is_not_delivered(loop):
    pipes = [os.pipe(), os.pipe()]
    seen = []

    def first_come(fd, mask):
        seen.append(fd)
        for read, _ in pipes:
            loop.forget(read)

    for read, write in pipes:
        loop.watch(read, READABLE, first_come)
        os.write(write, b"x")
    loop.turn(math.inf)
    assert len(seen) == 1
    for ends in pipes:
        for end in ends:
            os.close(end)


def test_a_handler_that_raises_is_reported_and_cannot_spin(loop, faults, pipe):
    loop.watch(pipe[0], READABLE, lambda fd, mask: 1 / 0)
    os.write(pipe[1], b"x")
    loop.turn(math.inf)
    assert faults == [pipe[0]]
    loop.turn(time.monotonic())
    assert faults == [pipe[0]]


def test_a_tick_that_raises_ends_the_loop(loop):
    loop.tick_first(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loop.run()


def test_timers_run_and_do_not_make_up_for_missed_periods(loop):
    calls = []
    loop.every(0.02, lambda: calls.append(1))
    time.sleep(0.2)
    loop.turn(math.inf)
    assert len(calls) == 1
    loop.turn(math.inf)
    assert len(calls) == 2


def test_stop_from_another_thread_wakes_a_loop_that_sleeps(loop):
    threading.Timer(0.05, loop.stop).start()
    loop.run()


def test_a_stop_before_the_loop_runs_is_not_lost(loop):
    loop.stop()
    loop.run()


def test_stop_from_a_signal_wakes_a_loop_that_sleeps(loop):
    before = signal.signal(signal.SIGUSR1, lambda *_: loop.stop())
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    loop.run()
    signal.signal(signal.SIGUSR1, before)


def test_a_new_handler_takes_over(loop, pipe):
    seen = []
    loop.watch(pipe[0], READABLE, lambda fd, mask: seen.append("old"))
    loop.watch(pipe[0], READABLE, lambda fd, mask: seen.append("new"))
    os.write(pipe[1], b"x")
    loop.turn(math.inf)
    assert seen == ["new"]
