"""An edge on TLS: the same as without, whatever the network makes of it."""

import os
import select
import socket
import ssl
from contextlib import ExitStack

import pytest

from stentor.io.net import server
from stentor.model.rendition import MP3, OPUS
from support.certs import certificate
from support.edge import Client, Station


@pytest.fixture
def station(tmp_path):
    station = Station(tmp_path, certificate=certificate(tmp_path), headers_timeout_s=0.5)
    yield station
    station.close()


def test_a_mount_over_tls_is_the_same(station):
    station.publish(*range(1, 11))
    opus, mp3 = station.listen("opus", "?burst=3"), station.listen("mp3", "?from=1")
    station.publish(*range(11, 21))
    station.until(lambda: opus.read().endswith(station.expected(20, 20)[-99:]) and opus.body == station.expected(8, 20))
    station.until(lambda: mp3.read() and mp3.body == station.expected(1, 20, MP3))
    assert opus.tls.version() == "TLSv1.3"
    assert not station.edge.mounts._behind


def test_titles_and_two_flocks_over_tls(station):
    station.publish(1)
    clients = [station.listen("mp3", Icy_MetaData="1"), station.listen("mp3"), station.listen("mp3")]
    station.publish(*range(2, 12))
    station.until(lambda: all(len(client.read()) > 30_000 for client in clients[:1]) or clients[1].read())
    station.until(lambda: clients[1].read() and clients[1].body == station.expected(1, 11, MP3))
    station.until(lambda: clients[2].read() and clients[2].body == clients[1].body)
    assert clients[0].headers["icy-metaint"] == "16000"


def test_a_slow_reader_gets_every_byte(tmp_path):
    """Its socket is full in the middle of a record, again and again."""
    station = Station(tmp_path, certificate=certificate(tmp_path), lag_skip_s=100.0, lag_drop_s=200.0)
    station.publish(1)
    client = station.listen("opus", rcvbuf=2_048)
    station.publish(*range(2, 60))
    assert station.edge.mounts._behind
    station.until(lambda: client.read(512) and client.body == station.expected(1, 59))
    station.close()


def test_the_end_is_said_in_tls(station):
    station.publish(1)
    client = station.listen("opus")
    station.ring.end_n = 3
    station.publish(2)
    station.until(lambda: client.read() and client.closed)  # a ragged end would raise
    assert client.body == station.expected(1, 2)


def test_short_answers_and_kept_connections(station):
    client = station.connect(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    station.until(lambda: client.read().endswith(b"}"))
    client.tls.sendall(b"GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    station.until(lambda: client.read() and client.closed)
    assert client.got.count(b"HTTP/1.1 404 Not Found") == 2


def hello():
    """The first that a client says."""
    said = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl._create_unverified_context().wrap_bio(ssl.MemoryBIO(), said).do_handshake()
    return said.read()


@pytest.fixture
def small(tmp_path):
    """A station with room for three in its intake, of whom three are in the midst of their handshakes."""
    station = Station(tmp_path, certificate=certificate(tmp_path), requests_max=3, headers_timeout_s=60)
    station.edge.spare = station.server._spare = lambda: 0
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", station.port))) for _ in range(3)]
        for sock in slow:
            sock.sendall(hello())
        station.until(lambda: len(station.server._shaking) == 3)
        yield station, slow
    station.close()


def test_a_handshake_under_way_makes_no_room(small):
    """Who comes next waits until one of them is done, or gone."""
    station, slow = small
    client = station.connect(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(50):
        station.loop.turn(0)
    assert station.server.counters.shed == 0 and not client.read()
    assert all(select.select([sock], [], [], 0)[0] and sock.recv(65_536) for sock in slow), "each has its answer"
    slow[1].close()
    station.until(lambda: client.read().endswith(b"}"))
    assert station.server.counters.shed == 0


def test_who_lets_a_handshake_rest_makes_room_in_the_end(small, monkeypatch):
    station, _ = small
    monkeypatch.setattr(server, "SHAKING_S", 0.0)
    client = station.connect(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    station.until(lambda: client.read().endswith(b"}"))
    assert station.server.counters.shed == 1


def test_no_handshake_is_made_with_who_has_gone(station, monkeypatch):
    """Who waited too long left a whole hello behind, and a handshake takes as much time as fifty requests."""
    made, wrap, said = [], server.wrap, hello()
    monkeypatch.setattr(server, "wrap", lambda sock, context: made.append(sock) or wrap(sock, context))
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", station.port)) as gone:
            gone.sendall(said)
    client = station.connect(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    station.until(lambda: client.read().endswith(b"}"))
    assert len(made) == 1


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x40\x00" + os.urandom(99), b"\0" * 9],
    ids=["HTTP", "noise in a record", "zeros"],
)
def test_what_is_no_tls_is_closed(station, garbage):
    client = Client(station.port, garbage)
    station.until(lambda: client.read() is not None and client.closed)
    assert not station.faults


def test_half_a_handshake_has_the_time_of_headers(station):
    first, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(first, out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    clients = [Client(station.port, out.read()), Client(station.port, b"\x16\x03"), Client(station.port)]
    station.until(lambda: all(client.read() is not None and client.closed for client in clients))


def test_a_peer_that_resets_in_the_handshake_harms_nobody(station):
    station.publish(1)
    for _ in range(5):
        client = Client(station.port, b"\x16\x03\x01")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.sock.close()
    assert station.listen("opus").status == 200
    assert not station.faults


def test_who_leaves_in_the_middle_is_parted_with(station):
    station.publish(1)
    client, stays = station.listen("opus"), station.listen("opus")
    client.sock.close()
    station.until(lambda: len(station.edge.mounts) == 1)
    station.publish(2, 3)
    station.until(lambda: stays.read() and stays.body == station.expected(1, 3, OPUS))
