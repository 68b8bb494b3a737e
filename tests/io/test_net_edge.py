"""An edge worker end to end: a real ring, a real board, real sockets."""

import errno
import json
import os
import socket
import struct
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest

from stentor.formats import chunks, fmp4, ticket
from stentor.formats.icy import METAINT
from stentor.io import ring as rings
from stentor.io.wake import RING, Caller
from stentor.model import board
from stentor.model.rendition import AAC, RENDITIONS
from support.edge import FAR_NS, MP3, OPUS, TITLE, Station, chunk, demux_icy, make_ring, publish

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def station(tmp_path):
    one = Station(tmp_path)
    yield one
    one.close()
    assert not one.faults


def test_two_hundred_listeners_get_every_byte_in_order(station):
    station.publish(1, 2, 3)
    clients = [station.listen(name) for name in ("opus", "aac.m4a") for _ in range(100)]
    for n in range(4, 40):
        station.publish(n)
        station.turn(1)
        for client in clients:
            client.read()
    for index, client in enumerate(clients):
        expected = station.expected(2, 39, OPUS if index < 100 else AAC)
        station.until(lambda client=client, expected=expected: len(client.read()) and client.body == expected)
    assert len(station.edge.mounts) == 200
    assert station.edge.mounts.counters.skips == 0


def test_the_head_says_where_the_stream_stands(station):
    station.publish(1, 2, 3, 4)
    client = station.listen()
    assert client.status == 200
    head = client.headers
    assert head["content-type"] == "audio/mp4"
    assert head["access-control-allow-origin"] == "*"
    assert (head["stentor-n"], head["stentor-head"], head["stentor-chunk-ms"]) == ("3", "4", "500")
    assert head["stentor-t0-ms"] == str(station.ring.grid.t0_wall_ns // 1_000_000)
    assert head["connection"] == "close"
    assert "content-length" not in head


def test_woken_by_a_datagram(station):
    client = station.listen()
    publish(station.ring, 1)
    Caller(station.settings.wake_dir).call(RING)
    assert station.edge.mounts.counters.chunks == 0
    station.loop.turn(time.monotonic() + 20)  # would sleep for ever: no chunk is due
    assert client.read() and client.body == station.expected(1, 1)


@pytest.mark.parametrize(
    ("query", "first"), [("?from=5", 5), ("?from=1", 1), ("?from=99", 9), ("?burst=0", 9), ("?burst=4", 5)]
)
def test_a_stream_begins_where_it_was_asked_to(station, query, first):
    station.publish(*range(1, 9))
    client = station.listen(query=query)
    station.publish(9)
    station.until(lambda: client.read() and client.body == station.expected(first, 9))
    assert client.headers["stentor-n"] == str(first)


def test_a_resume_older_than_the_ring_begins_with_the_oldest(station):
    station.publish(*range(1, 200))
    client = station.listen(query="?from=3")
    oldest = station.ring.oldest()
    station.until(lambda: client.read() and client.body == station.expected(oldest, 199))
    assert oldest > 3
    assert station.edge.mounts.counters.skips == 0  # what was asked for is not held against the listener


def test_a_slow_reader_gets_exact_bytes_by_partial_sends(station):
    station.publish(*range(1, 60))
    client = station.listen(query="?from=1", rcvbuf=4096)
    behind = station.edge.mounts._behind
    station.turn()
    assert [one.offset not in (0, len(one.data)) for one in behind.values()] == [True]
    station.publish(60)
    station.until(lambda: client.read(1501) and client.body == station.expected(1, 60))
    assert not behind
    station.publish(61)
    station.until(lambda: client.read(1501) and client.body == station.expected(1, 61))


def fill(station, n):
    """Publish until the one listener, who does not read, has fallen behind; -> the next n."""
    while not station.edge.mounts._behind:
        station.publish(n)
        n += 1
    return n


def test_a_listener_too_far_behind_skips_to_the_newest_chunk(tmp_path):
    station = Station(tmp_path, lag_skip_s=3.0)
    station.publish(1)
    client = station.listen(rcvbuf=4096)
    n = fill(station, 2)
    station.publish(*range(n, n + 10))
    station.until(lambda: client.read() and not station.edge.mounts._behind)
    station.publish(n + 10)
    station.until(lambda: client.read().endswith(chunk(station.ring, OPUS, n + 10)))
    numbers = sequence_numbers(client.body)
    assert numbers[-2:] == [n + 9, n + 10]
    gaps = [b - a for a, b in pairwise(numbers) if b != a + 1]
    assert len(gaps) == station.edge.mounts.counters.skips == 1
    station.close()


def sequence_numbers(body):
    """n of every chunk in a body; each is parsed, so a cut one fails."""
    at, numbers = len(chunks.header(OPUS)), []
    while at < len(body):
        moof = int.from_bytes(body[at : at + 4])
        size = moof + int.from_bytes(body[at + moof : at + moof + 4])
        numbers.append(fmp4.parse_chunk(body[at : at + size])[0])
        at += size
    return numbers


def test_a_listener_whose_socket_takes_nothing_is_dropped(tmp_path):
    station = Station(tmp_path, lag_skip_s=0.1, lag_drop_s=0.2)
    station.publish(1)
    client = station.listen(rcvbuf=4096)
    fill(station, 2)
    station.until(lambda: station.edge.mounts.counters.drops == 1)
    assert len(station.edge.mounts) == 0
    station.until(lambda: is_reset(client))
    station.close()


def is_reset(client):
    """Whether nothing is left of the other end: no bytes that still want to go out, and no FIN."""
    return client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


def test_a_listener_who_goes_is_noticed_without_a_send(station):
    client = station.listen()
    assert len(station.edge.mounts) == 1
    client.sock.close()
    station.until(lambda: len(station.edge.mounts) == 0)


def test_who_reconnects_in_a_loop_is_counted_and_nobody_else_misses_a_byte(station):
    steady = station.listen()
    station.publish(1, 2, 3)
    descriptors = len([*DESCRIPTORS.iterdir()])
    for turn in range(300):
        again = station.listen("opus" if turn % 2 else "mp3")
        assert again.status == 200
        again.sock.close()
        if turn % 30 == 0:
            station.publish(4 + turn // 30)
    station.until(lambda: len(station.edge.mounts) == 1)
    station.until(lambda: steady.read() and steady.body == station.expected(1, 13))
    assert station.edge.mounts.counters.joins == 301
    left = len([*DESCRIPTORS.iterdir()])
    assert left <= descriptors  # fewer, where an earlier test had left something to the garbage collector


def test_what_a_listener_sends_is_thrown_away_up_to_a_limit(station):
    client = station.listen()
    client.sock.sendall(b"x" * 1000)
    station.publish(1)
    station.until(lambda: client.read() and client.body == station.expected(1, 1))
    client.sock.setblocking(True)
    client.sock.settimeout(1)
    with pytest.raises((ConnectionError, TimeoutError)):
        while len(station.edge.mounts):
            client.sock.sendall(b"x" * 1000)
            station.turn()
        raise ConnectionError
    assert len(station.edge.mounts) == 0


def test_without_a_writer_the_edge_makes_the_hold_and_never_sends_the_late_chunk(tmp_path):
    now_ns = time.monotonic_ns()
    station = Station(tmp_path, now_ns, 9_600, hold_grace_ms=1, edge_grace_ms=40)
    client = station.listen(query="?burst=0")
    first = int(client.headers["stentor-n"])
    station.until(lambda: len(sequence_numbers(client.read() and whole_chunks(client.body))) >= 2)
    late = station.edge.program.feeds[OPUS.id].n
    back = late + 3  # the stage returns: it brings a chunk that is long sent, leaves two out, and goes on
    publish(station.ring, late, back)
    station.until(lambda: client.read() and client.body.endswith(chunk(station.ring, OPUS, back)))
    held = b"".join(station.ring.holds[OPUS.id].chunk(station.ring.grid, n) for n in range(first, back))
    assert client.body == chunks.header(OPUS) + held + chunk(station.ring, OPUS, back)
    station.edge.publish()
    assert station.board.get("edge-0", board.Edge).holds_made >= (back - first) * len(RENDITIONS)
    station.close()


def whole_chunks(body):
    """A body less a chunk that has not come whole."""
    at = len(chunks.header(OPUS))
    while at + 8 <= len(body):
        moof = int.from_bytes(body[at : at + 4])
        size = moof + int.from_bytes(body[at + moof : at + moof + 4] or b"\xff\xff\xff")
        if at + size > len(body):
            break
        at += size
    return body[:at]


def test_the_end_of_a_show_closes_every_mount_after_its_last_chunk(station):
    station.publish(*range(1, 30))
    quick, slow = station.listen(query="?from=1"), station.listen(query="?from=1", rcvbuf=4096)
    station.publish(30)
    station.ring.end_n = 31
    station.until(lambda: quick.read() and quick.closed)
    assert quick.body == station.expected(1, 30)
    station.until(lambda: slow.read(1501) and slow.closed)
    assert slow.body == station.expected(1, 30)
    assert len(station.edge.mounts) == 0
    late = station.listen()
    assert (late.status, json.loads(late.body)["code"], late.headers["retry-after"]) == (503, "no-show", "5")


def test_an_ended_stream_does_not_wait_for_ever_for_the_peer(station, monkeypatch):
    monkeypatch.setattr("stentor.io.net.mounts.LEAVE_S", 0.1)
    station.publish(1)
    station.listen()
    station.ring.end_n = 2
    station.until(lambda: not len(station.edge.mounts))
    assert station.edge.mounts._leaving
    station.until(lambda: not station.edge.mounts._leaving)


def test_a_replaced_ring_of_the_same_show_goes_on(station):
    station.publish(1, 2, 3)
    client = station.listen(query="?from=1")
    grid = station.ring.grid
    old = station.ring
    station.ring = rings.create(old.path, old.show, grid, old.holds)
    station.edge.program.look()
    publish(station.ring, 1, 2, 3)
    station.publish(4)
    station.until(lambda: client.read() and client.body == station.expected(1, 4))


def test_another_show_ends_the_streams_of_the_one_before(station, tmp_path):
    station.publish(1)
    client = station.listen(query="?from=1")
    expected = station.expected(1, 1)
    station.ring = make_ring(tmp_path / "other", time.monotonic_ns() + FAR_NS, show="show-2")
    station.put_stage(station.ring)
    station.edge.program.look()
    station.until(lambda: client.read() and client.closed)
    assert client.body == expected
    old = station.listen()
    assert (old.status, json.loads(old.body)["code"]) == (403, "ticket-wrong-show")


def test_titles_stand_between_the_bytes_of_mp3(station):
    station.publish(*range(1, 9))
    clients = [station.listen("mp3", Icy_MetaData="1")]
    for n in range(9, 40):
        station.publish(n)
        station.turn(2)
        if n in (12, 13):  # other phases
            clients.append(station.listen("mp3.mp3", "?burst=1", Icy_MetaData="1"))
        for client in clients:
            client.read()
    for client in clients:
        first = int(client.headers["stentor-n"])
        station.until(lambda c=client, f=first: c.read() and demux_icy(c.body)[0] == station.expected(f, 39, MP3))
        assert set(demux_icy(client.body)[1]) == {f"StreamTitle='{TITLE}';"}
        assert client.headers["icy-metaint"] == str(METAINT)
        assert client.headers["icy-name"] == TITLE
    assert len(station.edge.mounts._in_step) == 3


def test_a_slow_reader_with_titles(station):
    station.publish(*range(1, 60))
    client = station.listen("mp3", "?from=1", rcvbuf=4096, Icy_MetaData="1")
    station.publish(60)
    station.until(lambda: demux_icy(client.read(1501) and client.body)[0] == station.expected(1, 60, MP3))
    station.publish(61)
    station.until(lambda: demux_icy(client.read(1501) and client.body)[0] == station.expected(1, 61, MP3))


def test_mp3_without_titles_gets_a_burst_for_its_player(station):
    station.publish(*range(1, 30))
    client = station.listen("mp3")
    station.until(lambda: client.read() and client.body == station.expected(22, 29, MP3))
    assert client.headers["content-type"] == "audio/mpeg"
    assert "icy-metaint" not in client.headers


def test_head_gives_the_head_alone(station):
    station.publish(1)
    client = station.request(f"/live/{station.ticket()}/opus", "HEAD")
    station.until(lambda: client.read() and client.closed)
    assert (client.status, client.body) == (200, b"")
    assert client.headers["stentor-n"] == "1"


def test_the_range_probe_of_safari(station):
    station.publish(1, 2)
    for name, start in (("aac", chunks.header(AAC)[:2]), ("mp3", chunk(station.ring, MP3, 2)[:2])):
        probe = station.listen(name, Range="bytes=0-1")
        assert (probe.status, probe.body) == (206, start)
        assert (probe.headers["content-range"], probe.headers["content-length"]) == ("bytes 0-1/*", "2")
    assert station.listen(Range="bytes=0-").status == 200


def test_preflight_is_answered_though_none_is_needed(station):
    client = station.request("/live/x/opus", "OPTIONS")
    station.until(lambda: client.whole_head)
    assert (client.status, client.headers["access-control-allow-origin"]) == (204, "*")


def flipped(text):
    return text[:-1] + ("A" if text[-1] != "A" else "B")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda s: flipped(s.ticket()), "ticket-forged"),
        (lambda s: s.ticket()[:40], "ticket-malformed"),
        (lambda s: s.ticket(issued=1000), "ticket-expired"),
        (lambda s: s.ticket(issued=int(time.time()) + 600), "ticket-early"),
        (lambda s: s.ticket("show-2"), "ticket-wrong-show"),
        (lambda s: "%C3%A9", "ticket-malformed"),
    ],
)
def test_a_bad_ticket_is_refused_with_its_reason(station, make, code):
    client = station.request(f"/live/{make(station)}/opus")
    station.until(lambda: client.whole_head)
    problem = json.loads(client.body)
    assert (client.status, problem["status"], problem["code"]) == (403, 403, code)
    assert client.headers["content-type"] == "application/problem+json"
    assert code in set(ticket.Refusal)
    assert station.edge.admission.refusals == {code: 1}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/s/nothing/join", 404),
        ("GET", "/live/x/vorbis", 404),
        ("POST", "/live/x/opus", 405),
        ("GET", "/live/{ticket}/opus?from=-1", 400),
        ("GET", "/live/{ticket}/opus?burst=many", 400),
        ("GET", "/live/..%2f/now", 404),
    ],
)
def test_other_refusals(station, method, path, status):
    client = station.request(path.format(ticket=station.ticket()), method)
    station.until(lambda: client.whole_head)
    assert client.status == json.loads(client.body)["status"] == status


def test_full_is_said_and_nobody_who_listens_is_cut(tmp_path):
    station = Station(tmp_path, listeners_max=3)
    clients = [station.listen() for _ in range(3)]
    refused = station.listen()
    assert (refused.status, json.loads(refused.body)["code"], refused.headers["retry-after"]) == (503, "edge-full", "5")
    station.publish(1)
    for client in clients:
        station.until(lambda c=client: c.read() and c.body == station.expected(1, 1))
    clients[0].sock.close()
    station.until(lambda: len(station.edge.mounts) == 2)
    assert station.listen().status == 200
    station.close()


def test_a_burst_from_afar_waits_in_the_places_of_listeners(tmp_path):
    """All connect before the first of them sends its request."""
    station = Station(tmp_path, requests_max=2, listeners_max=6)
    clients = [station.connect() for _ in range(6)]
    station.until(lambda: station.server.counters.accepted == 6)
    for client in clients:
        client.sock.sendall(b"GET /live/%b/opus HTTP/1.1\r\nHost: x\r\n\r\n" % station.ticket().encode())
    station.until(lambda: all(client.whole_head for client in clients))
    assert {client.status for client in clients} == {200}
    assert station.server.counters.shed == 0
    station.close()


def test_the_now_object_is_served_as_it_stands_on_the_board(station):
    station.board.put("now-show-1", board.Now(at_ms=1, text='{"v":1}'))
    client = station.request("/live/show-1/now")
    station.until(lambda: client.whole_head)
    assert (client.status, client.body) == (200, b'{"v":1}')
    assert client.headers["cache-control"] == "public, max-age=1"
    assert client.headers["connection"] == "keep-alive"


def test_before_any_show_there_is_none(tmp_path):
    station = Station(tmp_path, stage=False)
    early = station.listen()
    assert (early.status, json.loads(early.body)["code"]) == (503, "no-show")
    station.put_stage(station.ring)
    station.edge.program.look()
    assert station.listen().status == 200
    station.close()


def test_counters_on_the_board(station):
    station.publish(1)
    station.listen()
    station.listen("mp3")
    station.turn()
    station.edge.publish()
    value = station.board.get("edge-0", board.Edge)
    assert (value.listeners, value.joins, value.by_rendition["opus"], value.by_rendition["mp3"]) == (2, 2, 1, 1)
    assert value.bytes_sent > 0


def memory_bytes(sock):
    """What the kernel holds for a socket: SO_MEMINFO (linux/sock_diag.h), receive, write and option memory, backlog."""
    so_meminfo = 55
    rmem, _, wmem, _, _, queued, optmem, backlog, _ = struct.unpack(
        "9I", sock.getsockopt(socket.SOL_SOCKET, so_meminfo, 36)
    )
    return rmem + max(wmem, queued) + optmem + backlog


def test_a_stalled_listener_holds_little_of_the_kernels_memory(station):
    station.publish(1)
    station.listen(rcvbuf=4096)
    fill(station, 2)
    (one,) = station.edge.mounts._behind.values()
    assert memory_bytes(one.sock) <= 64_000


def test_a_retired_worker_that_was_killed_does_not_stay_on_the_board(station):
    """One that lives does, for as long as it serves anybody."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    for pid in (dead.pid, os.getpid()):
        station.board.put(f"edge-0.{pid}", board.Edge(at_ms=1, pid=pid))
    station.board.put(f"edge-1.{dead.pid}", board.Edge(at_ms=1, pid=dead.pid))
    station.edge.publish()
    assert station.board.keys("edge-0.") == [f"edge-0.{os.getpid()}"]
    assert station.board.keys("edge-1."), "another worker's successor sees to that"
