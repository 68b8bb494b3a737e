"""Overload over real sockets: an intake whose worker takes 2 ms for each answer, and more who ask than that allows."""

import json
import time
from dataclasses import replace

import pytest

from stentor.core.shed import StandingQueue, busy, is_put_off
from stentor.io.net.loop import Loop
from stentor.io.net.server import Limits, Server
from stentor.io.net.sockets import listen
from stentor.model.http import Request, Response
from stentor.nodes.shedding import ROW_MIN, Shedding
from support.edge import Client

LIMITS = Limits(1_024, headers_timeout_s=5, idle_timeout_s=30, connections_max=500, accept_budget=16)
ANSWER_S = 0.002
CROWD = 80
WITHIN_S = 30
KEEP = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Slow:
    """A worker, in the test's own thread, that counts."""

    def __init__(self):
        self.answered = self.put_offs = 0
        self.answer_s = ANSWER_S

    def answer(self, request):
        time.sleep(self.answer_s)
        self.answered += 1
        return Response(200, (), b"yes")

    def put_off(self, request):
        if not is_put_off(request.path):
            return None
        self.put_offs += 1
        return busy(self, request.path)

    def randrange(self, start, stop):
        return start


class Scene:
    def __init__(self, base):
        self.faults, self.worker = [], Slow()
        self.loop = Loop(self.faults.append)
        self.shedding = Shedding(self.worker, StandingQueue)
        self.loop.hear_waits(self.shedding.begin_kept)
        listener = listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.server = Server(self.loop, listener, self.shedding.answer, base, judge=self.shedding.begin_fresh)
        self.server.start()
        self.crowd = []

    def turn(self):
        self.loop.turn(time.monotonic() + 0.01)

    def fresh(self, path):
        """A crowd of which each has a connection of its own for each request, and asks again at once."""
        self.crowd = [one for one in self.crowd if not self._is_done(one)]
        self.crowd += [Client(self.port, CLOSE % path) for _ in range(CROWD - len(self.crowd))]

    def _is_done(self, client):
        client.read()
        if client.closed:
            client.sock.close()
        return client.closed

    def kept(self, path):
        """A crowd that stays connected."""
        self.crowd = self.crowd or [Client(self.port, KEEP % path) for _ in range(CROWD)]
        for one in self.crowd:
            if one.read():
                one.got = b""
                one.sock.sendall(KEEP % path)

    def overload(self, ask, path, until):
        deadline = time.monotonic() + WITHIN_S
        while not until():
            assert time.monotonic() < deadline
            ask(path)
            self.turn()

    def alone(self, path):
        """What one who asks by themselves is told."""
        client, deadline = Client(self.port, CLOSE % path), time.monotonic() + WITHIN_S
        while not client.closed:
            assert time.monotonic() < deadline
            self.turn()
            client.read()
        client.sock.close()
        return client

    def leave(self):
        """The whole crowd hangs up."""
        for one in self.crowd:
            one.sock.close()
        self.crowd, deadline = [], time.monotonic() + WITHIN_S
        while len(self.server):
            assert time.monotonic() < deadline
            self.turn()

    def close(self):
        self.leave()
        self.server.stop()
        self.loop.close()
        assert not self.faults


@pytest.fixture
def scene():
    one = Scene(replace(LIMITS))
    yield one
    one.close()


@pytest.mark.parametrize("ask", ["fresh", "kept"])
def test_under_more_than_it_can_answer_some_are_answered_and_the_rest_put_off(scene, ask):
    scene.overload(getattr(scene, ask), b"/s/a/join", lambda: scene.worker.put_offs >= CROWD)
    before = scene.worker.answered
    scene.overload(getattr(scene, ask), b"/s/a/join", lambda: scene.worker.put_offs >= 4 * CROWD)
    assert scene.worker.answered > before


@pytest.mark.parametrize("ask", ["fresh", "kept"])
def test_when_the_crowd_has_gone_the_next_one_is_answered(scene, ask):
    scene.overload(getattr(scene, ask), b"/s/a/join", lambda: scene.worker.put_offs >= CROWD)
    scene.leave()
    deadline = time.monotonic() + WITHIN_S
    assert scene.alone(b"/s/a/join").status == 200
    while scene.shedding.fresh.shedding:  # until the first that does not wait, on a machine that has other work
        assert scene.alone(b"/s/a/join").status == 200
        assert time.monotonic() < deadline


def test_what_those_are_told_who_are_put_off(scene):
    scene.overload(scene.fresh, b"/s/a/join", lambda: any(b" 503 " in one.got for one in scene.crowd))
    told = next(one for one in scene.crowd if b" 503 " in one.got)
    assert (json.loads(told.body)["code"], told.headers["retry-after"]) == ("busy", "2")


def test_the_now_object_is_never_put_off(scene):
    scene.overload(scene.kept, b"/s/a/now", lambda: scene.worker.answered >= 4 * CROWD and scene.shedding.kept.shedding)
    assert not scene.worker.put_offs


def test_a_burst_is_not_a_queue_that_stands(scene):
    """So short that it is over before an interval is."""
    for _ in range(3):
        scene.crowd = [Client(scene.port, CLOSE % b"/s/a/join") for _ in range(10)]
        while scene.crowd:
            scene.turn()
            scene.crowd = [one for one in scene.crowd if not scene._is_done(one)]
    assert not scene.worker.put_offs


def test_turns_may_be_short_and_a_queue_of_fresh_connections_stand(scene):
    """Rows of 16 take less than the target, but the queue behind them does not."""
    scene.worker.answer_s = 0.000_25
    scene.overload(scene.fresh, b"/s/a/join", lambda: scene.worker.put_offs >= CROWD)
    assert scene.shedding.fresh.shedding


def test_a_crowd_at_fresh_connections_does_not_put_off_those_that_are_kept(scene):
    kept = Client(scene.port, KEEP % b"/s/a/join")
    scene.overload(scene.fresh, b"/s/a/join", lambda: scene.worker.put_offs >= CROWD and kept.read())
    assert kept.status == 200


def test_a_few_are_answered_however_long_that_takes(monkeypatch):
    """A process that has to wait for its core in the middle of a row of two is not asked too much."""
    worker = Slow()
    shedding = Shedding(worker, StandingQueue)
    shedding.fresh.shedding = True
    monkeypatch.setattr(shedding.fresh, "receive_wait", lambda waited_s, now: True)
    shedding.begin_fresh(1.0)
    worker.answer_s = 0.02
    request = Request("POST", "/s/a/join", {}, {})
    assert [shedding.answer(request).status for _ in range(ROW_MIN + 1)] == [200] * ROW_MIN + [503]
    shedding.begin_fresh(1.0)
    assert shedding.answer(request).status == 200
