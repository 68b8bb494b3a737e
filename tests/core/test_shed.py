"""Who notices that a queue stands: by hand, and by a simulated intake under 0.5 to 50 times what it can answer."""

import json
import random
from collections import deque

import pytest

from stentor.core.shed import AGAIN_MAX, INTERVAL_S, RETRY_AFTER_S, TARGET_S, StandingQueue, busy, is_put_off

ABOVE_S, BELOW_S = TARGET_S * 2, TARGET_S / 2


def hear(queue, *waits):
    """`waits`: (seconds, when)."""
    return [queue.receive_wait(waited_s, now) for waited_s, now in waits]


def test_a_wait_above_the_target_for_an_interval_is_a_queue_that_stands():
    queue = StandingQueue()
    assert hear(queue, (ABOVE_S, 0), (ABOVE_S, INTERVAL_S - 0.001), (ABOVE_S, INTERVAL_S)) == [False, False, True]


def test_one_short_wait_within_the_interval_and_it_is_a_burst():
    queue = StandingQueue()
    hear(queue, (ABOVE_S, 0), (ABOVE_S, 0.09), (BELOW_S, 0.095))
    assert hear(queue, (ABOVE_S, 0.1), (ABOVE_S, 0.19), (ABOVE_S, 0.2)) == [False, False, True]


def test_one_short_wait_ends_it_at_once():
    queue = StandingQueue()
    hear(queue, (9.0, 0), (9.0, INTERVAL_S))
    assert queue.shedding
    assert hear(queue, (TARGET_S, INTERVAL_S + 0.001)) == [False] and not queue.shedding


def test_two_waits_with_nobody_in_between_are_no_queue():
    queue = StandingQueue()
    assert hear(queue, (ABOVE_S, 0), (ABOVE_S, 10), (ABOVE_S, 20), (ABOVE_S, 20.2)) == [False] * 3 + [True]
    assert hear(queue, (ABOVE_S, 30)) == [False]


def test_who_sheds_again_soon_waits_less_before_it_does():
    queue, now, waited = StandingQueue(), 0.0, []
    for _ in range(AGAIN_MAX + 10):
        began = now
        while not queue.receive_wait(ABOVE_S, now):
            now += 0.0005
        waited.append(now - began)
        now += 0.01
        queue.receive_wait(0.0, now)
    assert waited[0] == pytest.approx(INTERVAL_S, abs=0.001)
    assert waited[3] == pytest.approx(INTERVAL_S / 2, abs=0.02)
    assert waited[-1] == pytest.approx(INTERVAL_S / AGAIN_MAX**0.5, abs=0.001)
    now += 100 * INTERVAL_S
    assert hear(queue, (ABOVE_S, now), (ABOVE_S, now + INTERVAL_S / 2)) == [False, False]


def test_what_is_needed_to_wait_in_good_order_is_never_put_off():
    assert [path for path in ("/", "/s/a", "/s/a/join", "/s/a/now", "/healthz", "/s/now/join") if is_put_off(path)] == [
        "/", "/s/a", "/s/a/join", "/s/now/join",
    ]  # fmt: skip


def test_not_everybody_is_told_the_same_time():
    answers = [busy(random.Random(seed), "/s/friday/join") for seed in range(200)]
    told = {int(dict(answer.headers)["Retry-After"]) for answer in answers}
    assert told == set(range(RETRY_AFTER_S[0], RETRY_AFTER_S[1] + 1))
    assert {(answer.status, json.loads(answer.body)["code"]) for answer in answers} == {(503, "busy")}


ANSWER_S, PUT_OFF_S, ACCEPT_S = 100e-6, 30e-6, 10e-6
TURN_S, SHARE_S, BUDGET, BACKLOG = 0.01, 0.007, 64, 4_096
CAPACITY = 1 / (ANSWER_S + ACCEPT_S)


class Intake:
    """As io/net/server and nodes/shedding do it: a backlog that drops what it has no room for, rows of 64."""

    def __init__(self, shed=True):
        self.queue = StandingQueue() if shed else None
        self.backlog = deque()
        self.now = 0.0
        self.served, self.put_off, self.dropped = [], 0, 0

    def run(self, load, seconds, rng):
        """Arrivals at `load` times the capacity, at random."""
        stop, due = self.now + seconds, self.now
        while self.now < stop:
            while due <= self.now:
                self._arrive(due)
                due += rng.expovariate(load * CAPACITY)
            if not self.backlog:
                self.now = min(due, stop)
                continue
            self._turn()

    def _arrive(self, at):
        if len(self.backlog) < BACKLOG:
            self.backlog.append(at)
        else:
            self.dropped += 1

    def _turn(self):
        began, waited_s = self.now, self.now - self.backlog[0]
        newest_first = self.queue and self.queue.receive_wait(waited_s, began)
        row = [self.backlog.popleft() for _ in range(min(BUDGET * (2 if newest_first else 1), len(self.backlog)))]
        self.now += ACCEPT_S * len(row)
        if newest_first:
            row.reverse()
        for at in row:
            if self.queue and self.queue.shedding and self.now > began + SHARE_S:
                self.now += PUT_OFF_S
                self.put_off += 1
            else:
                self.now += ANSWER_S
                self.served.append((at, self.now))


@pytest.mark.parametrize("seed", range(20))
def test_below_what_it_can_answer_nobody_is_put_off(seed):
    intake = Intake()
    intake.run(load=0.7, seconds=3, rng=random.Random(seed))
    assert intake.put_off == intake.dropped == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("load", [1, 2, 10, 50])
def test_goodput_does_not_collapse(load, seed):
    intake = Intake()
    intake.run(load, seconds=3, rng=random.Random(seed))
    assert len(intake.served) > 0.6 * CAPACITY * 3
    assert all(done - at < 1 for at, done in intake.served)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("load", [2, 10])
def test_it_is_as_ever_as_soon_as_the_load_is(load, seed):
    """No memory holds it in overload: within a second after it nobody waits and nobody is put off any more."""
    intake, rng = Intake(), random.Random(seed)
    intake.run(load, seconds=3, rng=rng)
    assert intake.put_off
    intake.run(load=0.6, seconds=1, rng=rng)
    put_off, served = intake.put_off, len(intake.served)
    intake.run(load=0.6, seconds=3, rng=rng)
    assert intake.put_off == put_off
    assert max(done - at for at, done in intake.served[served:]) < 0.02


def test_without_it_everybody_waits_for_the_whole_backlog():
    waits = {}
    for shed in (True, False):
        intake = Intake(shed)
        intake.run(load=1.4, seconds=3, rng=random.Random(1))
        waits[shed] = sorted(done - at for at, done in intake.served)[len(intake.served) // 2]
    assert waits[True] < 0.1 * waits[False]


@pytest.mark.parametrize("path", ["/s/friday/wait", "/s/friday/wait/aToken", "/s/friday", "/"])
def test_a_page_that_is_put_off_looks_again_by_itself(path):
    """It has no script that could: a wait of an hour would end with an error that nobody sees."""
    answer = busy(random.Random(1), path)
    headers = dict(answer.headers)
    assert answer.status == 503 and headers["Content-Type"].startswith("text/html")
    assert headers["Refresh"] == headers["Retry-After"] and headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/s/friday/join", "/s/friday/place/wait", "/s/friday/listen.mp3", "/assets/1/a.js"])
def test_a_program_that_is_put_off_gets_a_problem(path):
    headers = dict(busy(random.Random(1), path).headers)
    assert headers["Content-Type"] == "application/problem+json" and "Refresh" not in headers
