"""Intake over real sockets: what peers do wrong, and what is bounded."""

import errno
import json
import select
import socket
import struct
import time
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from stentor.io.net.http import Ready, encode
from stentor.io.net.loop import Loop
from stentor.io.net.server import Handover, Later, Limits, Server
from stentor.io.net.sockets import listen
from stentor.model.http import Response
from support.edge import Client

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
LIMITS = Limits(1_024, headers_timeout_s=5, idle_timeout_s=30, connections_max=50, accept_budget=8)


class Intake:
    """A server that answers with the path, in the test's own thread."""

    def __init__(self, limits=LIMITS, spare=0):
        self.faults = []
        self.taken = []
        self.waiting = []
        self.loop = Loop(self.faults.append)
        listener = listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.spare = spare
        self.missed = []
        self.server = Server(self.loop, listener, self.answer, limits, lambda: self.spare, misses=self.missed.append)
        self.server.start()
        self.clients = []

    def answer(self, request):
        if request.path == "/fault":
            raise ZeroDivisionError
        if request.path == "/take":
            return Handover(self.take)
        if request.path == "/later":
            return Later(self.wait)
        if request.path == "/ready":
            return Ready(Response(200, (("X-Made", "once"),), b"/ready"))
        if request.path == "/big":
            return Response(200, (), b"x" * 500_000)
        if request.path == "/huge":  # more than the kernel takes
            return Response(200, (), b"x" * 20_000_000)
        return Response(200, (), request.path.encode())

    def wait(self, give):
        self.waiting.append(give)
        return lambda: self.waiting.remove(give)

    def give(self, body=b"/later"):
        self.waiting.pop(0)(Response(200, (), body))

    def take(self, sock, unsent):
        self.loop.forget(sock.fileno())
        self.taken.append((sock, unsent))

    def client(self, data=b"", rcvbuf=0):
        self.clients.append(Client(self.port, data, rcvbuf))
        return self.clients[-1]

    def until(self, condition, within_s=30):
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline
            self.loop.turn(time.monotonic() + 0.01)

    def close(self):
        for client in self.clients:
            client.sock.close()
        for sock, _ in self.taken:
            sock.close()
        self.server.stop()
        self.loop.close()


@pytest.fixture
def intake():
    one = Intake()
    yield one
    one.close()


def with_limits(**changes):
    return Intake(replace(LIMITS, **changes))


def code(client):
    return json.loads(client.body)["code"]


def test_a_connection_is_kept_for_the_next_request(intake):
    client = intake.client(GET % b"a")
    intake.until(lambda: client.read().endswith(b"/a"))
    client.sock.sendall(GET % b"b")
    intake.until(lambda: client.read().endswith(b"/b"))
    assert intake.server.counters.accepted == 1


def test_pipelined_requests_are_answered_in_order(intake):
    client = intake.client(b"".join(GET % name for name in (b"a", b"b", b"c")))
    intake.until(lambda: client.read().endswith(b"/c"))
    assert [part for part in (b"/a", b"/b", b"/c") if part in client.got] == [b"/a", b"/b", b"/c"]
    assert client.got.index(b"\r\n\r\n/a") < client.got.index(b"\r\n\r\n/b") < client.got.index(b"\r\n\r\n/c")


def test_a_peer_that_closes_its_half_after_the_request_is_answered(intake):
    client = intake.client(GET % b"a")
    client.sock.shutdown(socket.SHUT_WR)
    intake.until(lambda: client.read() and client.closed)
    assert client.body == b"/a"


def test_malformed_bytes_are_answered_and_the_connection_ends(intake):
    client = intake.client(b"\x16\x03\x01 hello\r\n\r\n" + b"x" * 5_000)
    intake.until(lambda: client.read() and client.closed)
    assert (client.status, code(client), client.headers["connection"]) == (400, "bad-request", "close")
    assert intake.server.counters.malformed == 1


def test_huge_headers(intake):
    client = intake.client(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000)
    intake.until(lambda: client.read() and client.closed)
    assert (client.status, code(client)) == (431, "headers-too-large")


def test_headers_that_do_not_end_in_time():
    intake = with_limits(headers_timeout_s=0.3)
    slow, silent = intake.client(b"GET / HT"), intake.client()
    trickle = iter(b"TP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100)

    def drip():
        time.sleep(0.005)
        if not slow.read():
            slow.sock.send(bytes((next(trickle),)))
        return slow.closed

    intake.until(drip)
    assert (slow.status, code(slow)) == (408, "request-too-slow")
    intake.until(lambda: silent.read() == b"" and silent.closed)
    assert intake.server.counters.late == 1
    intake.close()


def test_a_connection_without_a_next_request_is_closed():
    intake = with_limits(idle_timeout_s=0.3)
    client = intake.client(GET % b"a")
    intake.until(lambda: client.read() and client.closed)
    assert client.body == b"/a"
    assert intake.server.counters.late == 0
    intake.close()


def test_who_makes_room_and_never_said_anything_is_told_of():
    intake = with_limits(connections_max=2)
    for _ in range(2):
        intake.client(b"")
    intake.until(lambda: intake.server.counters.accepted == 2)
    late = intake.client(GET % b"b")
    intake.until(lambda: late.read().endswith(b"/b"))
    assert (intake.server.counters.shed, intake.missed) == (1, ["127.0.0.1"])
    intake.close()


def test_who_has_asked_and_makes_room_has_missed_nothing():
    intake = with_limits(connections_max=2)
    idle = [intake.client(GET % b"a") for _ in range(2)]
    intake.until(lambda: all(client.read().endswith(b"/a") for client in idle))
    late = intake.client(GET % b"b")
    intake.until(lambda: late.read().endswith(b"/b"))
    assert intake.server.counters.shed == 1 and intake.missed == []
    intake.close()


def test_half_a_second_request_has_the_time_of_headers():
    intake = with_limits(headers_timeout_s=0.3)
    client = intake.client(GET % b"a" + b"GET /b")
    intake.until(lambda: client.read() and client.closed)
    assert b"408 Request Timeout" in client.got
    intake.close()


def test_the_one_that_waits_longest_makes_room():
    intake = with_limits(connections_max=3)
    slow = [intake.client(b"GET /") for _ in range(3)]
    intake.until(lambda: intake.server.counters.accepted == 3)
    quick = [intake.client(GET % b"a") for _ in range(2)]
    intake.until(lambda: all(client.read().endswith(b"/a") for client in quick))
    assert intake.server.counters.shed == 2
    assert intake.missed == [], "they had begun to ask"
    intake.until(lambda: [client.read() == b"" and client.closed for client in slow] == [True, True, False])
    intake.close()


def test_an_answer_that_comes_later(intake):
    client = intake.client(GET % b"later")
    intake.until(lambda: intake.waiting)
    intake.give()
    intake.until(lambda: client.read().endswith(b"/later"))
    client.sock.sendall(GET % b"a")
    intake.until(lambda: client.read().endswith(b"/a"))


def test_answers_keep_their_order_behind_one_that_comes_later(intake):
    client = intake.client(GET % b"a" + GET % b"later" + GET % b"b" + GET % b"later" + GET % b"c")
    intake.until(lambda: intake.waiting)
    assert client.read().endswith(b"/a")
    client.sock.sendall(GET % b"d")
    intake.give(b"/first")
    intake.until(lambda: intake.waiting)
    intake.give(b"/second")
    intake.until(lambda: client.read().endswith(b"/d"))
    bodies = [part.partition(b"\r\n\r\n")[2] for part in client.got.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"/a", b"/first", b"/b", b"/second", b"/c", b"/d"]


def test_nobody_is_answered_who_has_left(intake):
    client, other = intake.client(GET % b"later"), intake.client(GET % b"later")
    intake.until(lambda: len(intake.waiting) == 2)
    client.sock.close()
    intake.until(lambda: len(intake.waiting) == 1)
    intake.give()
    intake.until(lambda: other.read().endswith(b"/later"))
    assert not intake.waiting


def test_waiting_for_an_answer_has_an_end_too():
    intake = with_limits(idle_timeout_s=0.3)
    clients = [intake.client(GET % b"later"), intake.client(GET % b"later" + b"GET /ha")]
    intake.until(lambda: all(client.read() == b"" and client.closed for client in clients))
    assert not intake.waiting
    intake.close()


def test_who_waits_for_an_answer_makes_room_last():
    intake = with_limits(connections_max=2)
    waiting = intake.client(GET % b"later")
    intake.until(lambda: intake.waiting)
    slow = intake.client(b"GET /")
    intake.until(lambda: intake.server.counters.accepted == 2)
    quick = intake.client(GET % b"a")
    intake.until(lambda: quick.read().endswith(b"/a"))
    intake.until(lambda: slow.read() == b"" and slow.closed)
    intake.give()
    intake.until(lambda: waiting.read().endswith(b"/later"))
    intake.close()


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_response_encoded_once_is_the_same(intake, version, method):
    client = intake.client(b"%b /ready %b\r\nHost: x\r\n\r\n" % (method, version))
    intake.until(lambda: b"X-Made: once" in client.read())
    if version == b"HTTP/1.0":
        intake.until(lambda: client.read() and client.closed)
    assert (b"Connection: keep-alive" in client.got) == (version == b"HTTP/1.1")
    assert b"Content-Length: 6" in client.got
    assert client.body == (b"/ready" if method == b"GET" else b"")


def test_nobody_makes_room_where_there_is_room_to_spare():
    intake = Intake(replace(LIMITS, connections_max=3), spare=2)
    slow = [intake.client(b"GET /") for _ in range(5)]
    intake.until(lambda: intake.server.counters.accepted == 5)
    assert intake.server.counters.shed == 0
    intake.spare = 1
    intake.client(b"GET /")
    intake.until(lambda: slow[0].read() == b"" and slow[0].closed)
    assert intake.server.counters.shed == 1
    intake.close()


def test_who_does_not_read_is_not_read_from_and_in_the_end_closed():
    intake = with_limits(idle_timeout_s=0.5)
    client = intake.client(GET % b"huge", rcvbuf=4096)
    intake.until(lambda: intake.server.counters.requests)
    client.sock.sendall(GET % b"a")
    intake.until(lambda: not intake.server._connections)
    assert intake.server.counters.requests == 1
    intake.close()


def test_a_big_answer_comes_whole_in_pieces(intake):
    client = intake.client(GET % b"big" + GET % b"a", rcvbuf=4096)
    intake.until(lambda: client.read().endswith(b"/a"))
    assert client.body.startswith(b"x" * 500_000)


def test_a_fault_in_an_answer_is_told_and_harms_nobody_else(intake):
    client, other = intake.client(GET % b"fault"), intake.client(GET % b"a")
    intake.until(lambda: client.whole_head and other.whole_head)
    assert (client.status, code(client), other.body) == (500, "internal", b"/a")
    assert len(intake.faults) == 1


def test_a_socket_that_is_handed_over_comes_with_what_is_unsent(intake):
    client = intake.client(GET % b"a" + GET % b"take" + GET % b"b")
    intake.until(lambda: intake.taken)
    sock, unsent = intake.taken[0]
    assert unsent == encode(Response(200, (), b"/a"), keep_alive=True)
    sock.sendall(b"mine now")
    intake.until(lambda: client.read() == b"mine now")
    assert not intake.server._connections


def test_no_more_than_the_budget_is_accepted_between_two_ticks(intake):
    ticks = []
    intake.loop.tick_first(lambda: ticks.append(intake.server.counters.accepted) or time.monotonic() + 1)
    for _ in range(20):
        intake.client(GET % b"a")
    intake.until(lambda: intake.server.counters.requests == 20)
    steps = [after - before for before, after in pairwise(ticks)]
    assert max(steps) == LIMITS.accept_budget


def test_without_descriptors_accepting_rests_and_goes_on(intake):
    def full():
        raise OSError(24, "Too many open files")

    real = intake.server._listener
    intake.server._listener = SimpleNamespace(fileno=real.fileno, _accept=full, close=real.close)
    client = intake.client(GET % b"a")
    intake.until(lambda: not intake.server._accepting)
    intake.server._listener = real
    intake.until(lambda: client.read().endswith(b"/a"))


def test_a_reset_is_no_fault(intake):
    for data in (b"", b"GET /", GET % b"big"):
        client = intake.client(data)
        intake.loop.turn(time.monotonic() + 0.05)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
    intake.until(lambda: intake.server.counters.accepted == 3 and not intake.server._connections)
    assert not intake.faults


def test_stopping_closes_everything(intake):
    client = intake.client(GET % b"a")
    intake.until(lambda: client.whole_head)
    intake.server.stop()
    assert select.select([client.sock], [], [], 5)[0]
    client.read()
    assert client.closed
    with pytest.raises(ConnectionRefusedError):
        Client(intake.port)


def test_a_server_that_retires_answers_all_who_have_come(intake):
    idle, waiting = intake.client(GET % b"a"), intake.client(GET % b"later")
    intake.until(lambda: idle.read().endswith(b"/a") and intake.waiting)
    late = intake.client(GET % b"b")
    intake.server.retire()
    intake.until(lambda: late.read().endswith(b"/b") and late.closed)
    assert b"Connection: close" in late.got
    intake.until(lambda: idle.read() and idle.closed)
    with pytest.raises(ConnectionRefusedError):
        Client(intake.port)
    assert len(intake.server) == 1
    intake.give()
    intake.until(lambda: waiting.read().endswith(b"/later") and waiting.closed)
    waiting.sock.close()
    late.sock.close()
    intake.until(lambda: not len(intake.server))


def proxied():
    """A server behind a proxy that answers with the source it sees."""
    intake = Intake(replace(LIMITS, proxied=True, headers_timeout_s=0.5))
    intake.answer = lambda request: Response(200, (), request.source.encode())
    intake.server._answer = intake.answer
    return intake


HEADER = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\x9c\x40\x1f\x41"


def test_behind_a_proxy_the_source_is_the_one_it_names():
    intake = proxied()
    client, piecemeal = intake.client(HEADER + GET % b"a"), intake.client(HEADER[:5])
    intake.until(lambda: client.read().endswith(b"192.0.2.7"))
    for piece in (HEADER[5:17], HEADER[17:] + b"GET /", b"b HTTP/1.1\r\nHost: x\r\n\r\n"):
        piecemeal.sock.sendall(piece)
        intake.until(lambda: not select.select([piecemeal.sock], [], [], 0.01)[0] or piecemeal.read())
    intake.until(lambda: piecemeal.read().endswith(b"192.0.2.7"))
    intake.close()


def test_without_its_header_nobody_is_answered_behind_a_proxy():
    intake = proxied()
    clients = [intake.client(GET % b"a"), intake.client(HEADER[:20]), intake.client()]
    intake.until(lambda: all(client.read() == b"" and client.closed for client in clients))
    assert intake.server.counters.malformed == 1 and intake.server.counters.requests == 0
    intake.close()


def test_the_source_is_the_peer_where_there_is_no_proxy():
    intake = Intake()
    intake.server._answer = lambda request: Response(200, (), request.source.encode())
    client = intake.client(GET % b"a")
    intake.until(lambda: client.read().endswith(b"127.0.0.1"))
    intake.close()


def test_the_newest_of_the_fresh_come_first_where_the_judge_says_so(intake):
    order = []
    intake.server._judge = lambda waited_s: True
    intake.server._answer = lambda request: order.append(request.path) or Response(200, (), b"")
    for number in range(6):
        intake.client(GET % b"%d" % number)
    intake.until(lambda: len(order) == 6)
    assert order == [f"/{number}" for number in reversed(range(6))]


def test_a_connection_tells_how_long_it_has_waited(intake):
    heard = []
    intake.server._judge = lambda waited_s: heard.append(waited_s) and False
    intake.client(GET % b"a")
    time.sleep(0.1)
    intake.until(lambda: intake.server.counters.requests)
    assert heard[0] >= 0.05


def test_events_that_were_waited_for_have_not_waited(intake):
    heard = []
    intake.loop.hear_waits(heard.append)
    for _ in range(20):
        intake.loop.turn(time.monotonic() + 0.01)
    assert heard == [0.0] * 20


def test_who_is_shut_out_is_cut_off_and_nothing_of_them_is_left(intake):
    """A FIN would be said again and again to those whose answers the kernel drops."""
    waiting, asking = intake.client(), intake.client(b"GET / HTTP/1.1\r\n")
    intake.until(lambda: len(intake.server) == 2)
    intake.server.shut_out(lambda source: False)
    assert len(intake.server) == 2
    intake.server.shut_out(lambda source: source == "127.0.0.1")
    assert len(intake.server) == 0 and intake.server.counters.blocked == 2
    errors = [client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for client in (waiting, asking)]
    assert errors == [errno.ECONNRESET] * 2


def test_whoever_says_that_nothing_comes_any_more_is_not_lingered_for(intake):
    client = intake.client(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    intake.until(lambda: intake.server.counters.requests)
    assert not intake.server._connections
    intake.until(lambda: client.read() and client.closed)
    assert client.body == b"/a"


def test_events_that_were_there_already_have_waited_since_the_last_look(intake):
    heard = []
    client = intake.client(GET % b"a")
    intake.until(lambda: client.read())
    intake.loop.hear_waits(heard.append)
    intake.loop.turn(time.monotonic())
    client.sock.sendall(GET % b"b")
    time.sleep(0.1)
    intake.loop.turn(time.monotonic() + 1)
    assert heard[0] == 0.0 and heard[1] >= 0.1
