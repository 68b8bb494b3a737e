"""One live session a ticket, the newest wins; and what the crew has revoked: edge workers with real sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stentor.core import keys
from stentor.formats import ticket
from stentor.io.board import Board
from stentor.io.sessions import Sessions
from stentor.io.wake import BOARD, TAKEN, Caller
from stentor.model import board
from stentor.nodes import admission
from stentor.settings import to_environ
from support.edge import SHOW, TITLE, Client, Station
from support.ports import ports_of_roles

WITHIN_S = 30.0


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    one = Station(tmp_path)
    yield one
    one.close()
    assert not one.faults


def revoke(station: Station, revoked: board.Revoked) -> None:
    """As the desk does."""
    station.board.put("desk", board.Desk(2, (board.Show(SHOW, TITLE, 1, 1, revoked=revoked),)))
    Caller(station.settings.wake_dir).call(BOARD)


def counted(station: Station) -> board.Edge:
    station.edge.publish()
    value = station.board.get("edge-0", board.Edge)
    assert value is not None
    return value


def refused(station: Station, text: str, name: str = "opus") -> str:
    client = station.request(f"/live/{text}/{name}")
    station.until(lambda: client.whole_head)
    assert client.status == 403
    return str(json.loads(client.body)["code"])


def test_the_newest_plays_and_the_one_before_is_told_nothing_bad(station: Station) -> None:
    text = station.ticket()
    older = station.listen(ticket=text)
    station.publish(1, 2)
    newer = station.listen(ticket=text)
    station.until(lambda: older.read() and older.closed)
    assert older.status == 200 and older.body == station.expected(1, 2)
    station.publish(3)
    station.until(lambda: newer.read() and newer.body == station.expected(1, 3))
    value = counted(station)
    assert (value.arrivals, value.renewed, value.replaced, value.listeners) == (1, 1, 1, 1)


def test_a_session_that_is_behind_makes_room_as_well(station: Station) -> None:
    text = station.ticket()
    station.publish(*range(1, 100))
    older = station.listen(ticket=text, query="?from=1", rcvbuf=4096)
    station.turn()
    assert station.edge.mounts._behind
    newer = station.listen(ticket=text)
    station.until(lambda: older.read() and older.closed)
    station.until(lambda: newer.read() and newer.body == station.expected(98, 99))
    assert len(station.edge.mounts) == len(station.edge.mounts.roster) == 1


def test_another_ticket_is_another_listener(station: Station) -> None:
    clients = [station.listen() for _ in range(5)]
    station.publish(1)
    for client in clients:
        station.until(lambda c=client: c.read() and c.body == station.expected(1, 1))  # type: ignore[misc]
    value = counted(station)
    assert (value.arrivals, value.renewed, value.replaced) == (5, 0, 0)


def test_only_to_listen_takes_the_session(station: Station) -> None:
    text = station.ticket()
    listener = station.listen(ticket=text)
    station.publish(1)
    for method, name, fields in (
        ("HEAD", "opus", {}), ("GET", "index.m3u8", {}), ("GET", "opus", {"Range": "bytes=0-1"}),
    ):  # fmt: skip
        client = station.request(f"/live/{text}/{name}", method, **fields)
        station.until(lambda c=client: c.whole_head)  # type: ignore[misc]
        assert client.status in (200, 206)
    station.publish(2)
    station.until(lambda: listener.read() and listener.body == station.expected(1, 2))
    assert (counted(station).arrivals, counted(station).renewed) == (1, 0)


def test_who_plays_hls_has_arrived_once(station: Station) -> None:
    text = station.ticket()
    for _ in range(3):
        client = station.request(f"/live/{text}/index.m3u8")
        station.until(lambda c=client: c.whole_head)  # type: ignore[misc]
    again = client.headers["stentor-ticket"]
    station.listen(ticket=again)
    assert (counted(station).arrivals, counted(station).renewed) == (1, 1)


def test_who_listens_may_come_again_though_there_is_no_room(tmp_path: Path) -> None:
    station = Station(tmp_path, listeners_max=1)
    text = station.ticket()
    older = station.listen(ticket=text)
    assert station.listen().status == 503
    newer = station.listen(ticket=text)
    station.until(lambda: older.read() and older.closed)
    assert newer.status == 200
    assert counted(station).refusals == {"edge-full": 1}
    station.close()


def test_each_listener_gets_a_ticket_of_their_own_to_come_back_by(station: Station) -> None:
    """In the same millisecond, from the same prelude; and with it the next one."""
    clients = [station.listen() for _ in range(3)]
    assert "Stentor-Ticket" in clients[0].headers["access-control-expose-headers"]
    given = [client.headers["stentor-ticket"] for client in clients]
    now = int(time.time())
    tokens = [ticket.check(text, station.edge.admission.keyring.by_id, ticket.show_tag(SHOW), now) for text in given]
    assert all(isinstance(token, ticket.Token) for token in tokens)
    assert {(token.seq, token.cls, token.key_id) for token in tokens} == {  # type: ignore[union-attr]
        (seq, ticket.Class.RECONNECT, 128) for seq in (1, 2, 3)
    }
    again = station.listen(ticket=given[0])
    station.until(lambda: clients[0].read() and clients[0].closed)
    assert again.headers["stentor-ticket"][:32] == given[0][:32]
    assert counted(station).listeners == 3


def test_hours_later_one_comes_back_by_it_and_not_by_the_ticket_of_the_door(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = station.ticket()
    given = station.listen(ticket=first).headers["stentor-ticket"]
    later = time.time() + 5 * 3_600
    monkeypatch.setattr(time, "time", lambda: later)
    station.edge.look()
    assert refused(station, first) == "ticket-expired"
    client = station.listen(ticket=given)
    assert client.status == 200
    expires = ticket.check(
        client.headers["stentor-ticket"], station.edge.admission.keyring.by_id, ticket.show_tag(SHOW), int(later)
    ).expires  # type: ignore[union-attr]
    assert expires == int(later) + keys.LASTING_S


def test_of_another_group_no_ticket_is_taken(tmp_path: Path) -> None:
    """Neither by its key, nor with the key of this group and the number of another."""
    station = Station(tmp_path, edge_group=2)
    for group in (1, 2):
        minted = station.ticket(group=group, key_group=1)
        assert refused(station, minted) == "ticket-forged"
    assert refused(station, station.ticket(group=1, key_group=2)) == "ticket-wrong-group"
    assert station.listen().status == 200
    station.close()


def test_a_revoked_range_ends_a_session_while_another_plays_on(station: Station) -> None:
    texts = [station.ticket(seq=seq) for seq in (7, 8, 9)]
    clients = [station.listen(ticket=text) for text in texts]
    given = clients[1].headers["stentor-ticket"]
    revoke(station, board.Revoked(seqs=((8, 8),)))
    station.until(lambda: clients[1].read() and clients[1].closed)
    station.publish(1)
    for client in (clients[0], clients[2]):
        station.until(lambda c=client: c.read() and c.body == station.expected(1, 1))  # type: ignore[misc]
    assert refused(station, texts[1]) == refused(station, given) == "ticket-revoked"
    assert refused(station, texts[1], "index.m3u8") == "ticket-revoked"
    value = counted(station)
    assert (value.refusals, value.refused, value.replaced) == ({"ticket-revoked": 3}, 3, 0)


def test_very_many_are_revoked_some_at_a_time(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "ENDS_A_TURN", 3)
    clients = [station.listen() for _ in range(10)]
    revoke(station, board.Revoked(classes=(int(ticket.Class.LATE),)))
    station.until(lambda: len(station.edge.mounts) < 10)
    assert len(station.edge.mounts) >= 4
    for client in clients:
        station.until(lambda c=client: c.read() and c.closed)  # type: ignore[misc]


def test_where_the_key_of_the_show_is_revoked_the_next_one_renews(station: Station) -> None:
    client = station.listen()
    given = client.headers["stentor-ticket"]
    revoke(station, board.Revoked(keys=(128,)))
    station.until(lambda: station.edge.admission.keyring.by_id.keys() >= {128, 129})
    assert refused(station, given) == "ticket-revoked"
    again = station.listen(ticket=station.ticket(seq=1)).headers["stentor-ticket"]
    assert station.listen(ticket=again).status == 200
    assert len(station.edge.mounts) == 1


def test_what_is_revoked_stays_so_without_the_desk(station: Station) -> None:
    revoke(station, board.Revoked(seqs=((8, 8),)))
    station.until(lambda: station.edge.admission._revocation)
    station.board.drop("desk")
    station.edge.look()
    assert refused(station, station.ticket(seq=8)) == "ticket-revoked"


def test_without_the_table_of_sessions_tickets_admit(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "sessions").write_bytes(b"junk")
    station = Station(tmp_path)
    text = station.ticket()
    older, newer = station.listen(ticket=text), station.listen(ticket=text)
    station.until(lambda: older.read() and older.closed)
    assert newer.status == 200
    station.close()


# Two workers: the one of the test, and another process.


@contextmanager
def other_worker(station: Station) -> Iterator[int]:
    """A second edge worker of the same installation; -> its port."""
    argv = [sys.executable, "-m", "stentor.cli", "edge", "--worker", "1"]
    process = subprocess.Popen(argv, env=os.environ | to_environ(station.settings))
    try:
        deadline = time.monotonic() + WITHIN_S
        while not up(station.board):
            assert process.poll() is None and time.monotonic() < deadline
            station.turn(1)
            time.sleep(0.01)
        yield station.settings.edge_port
    finally:
        process.terminate()
        process.wait(WITHIN_S)


def up(values: Board) -> bool:
    return values.get("edge-1", board.Edge) is not None


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Station, int]]:
    """A station that looks at the table by itself only when the test says so, and the port of the other worker."""
    monkeypatch.setattr(admission, "SWEEP_S", 3_600.0)
    station = Station(tmp_path, edge_port=ports_of_roles()["edge_port"])
    with other_worker(station) as port:
        yield station, port
    station.close()


def listen_at(station: Station, port: int, text: str) -> Client:
    client = Client(port, f"GET /live/{text}/opus HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    station.clients.append(client)
    station.until(lambda: client.whole_head)
    assert client.status == 200
    return client


def test_the_newest_wins_across_workers(pair: tuple[Station, int]) -> None:
    station, port = pair
    text = station.ticket()
    older = station.listen(ticket=text)
    newer = listen_at(station, port, text)
    station.until(lambda: older.read() and older.closed)  # by the datagram: nobody sweeps here
    assert counted(station).replaced == 1
    newest = station.listen(ticket=newer.headers["stentor-ticket"])
    station.until(lambda: newer.read() and newer.closed)
    station.publish(1)
    station.until(lambda: newest.read() and newest.body == station.expected(1, 1))


def test_where_the_datagram_is_lost_a_look_at_the_table_finds_out(
    pair: tuple[Station, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    station, port = pair
    monkeypatch.setattr(station.edge.admission, "heard", lambda what: None)
    text = station.ticket()
    older, bystander = station.listen(ticket=text), station.listen()
    listen_at(station, port, text)
    station.turn()
    assert len(station.edge.mounts) == 2
    station.edge.admission.sweep()
    station.until(lambda: older.read() and older.closed)
    station.turn()
    assert len(station.edge.mounts) == 1 and not bystander.closed


def test_an_old_datagram_ends_nobody(station: Station) -> None:
    """Whoever came back meanwhile plays here."""
    client = station.listen(ticket=station.ticket(seq=7))
    station.edge.admission.heard([TAKEN + (7).to_bytes(4, "big"), TAKEN, b"ring", TAKEN + b"junk of some length"])
    station.publish(1)
    station.until(lambda: client.read() and client.body == station.expected(1, 1))


def visit(station: Station, text: str, name: str = "index.m3u8", method: str = "GET") -> Client:
    client = station.request(f"/live/{text}/{name}", method)
    station.until(lambda: client.whole_head)
    return client


def by_hls(station: Station) -> tuple[int, int, int]:
    value = counted(station)
    return value.listeners, value.hls_signed, value.hls_estimated


def test_who_plays_hls_has_a_seat_known_or_estimated(station: Station) -> None:
    first, second = station.ticket(), station.ticket()
    for text in (first, first, second):
        assert visit(station, text).status == 200
    visit(station, station.ticket(), method="HEAD")
    assert by_hls(station) == (0, 0, 2)
    answered = visit(station, first, "beacon")
    assert (answered.status, answered.headers["cache-control"], answered.body) == (204, "no-store", b"")
    assert by_hls(station) == (0, 1, 1)
    assert counted(station).seats == 2
    assert visit(station, answered.headers["stentor-ticket"], "beacon").status == 204
    assert by_hls(station) == (0, 1, 1)


def test_whoever_listens_otherwise_has_one_seat(station: Station) -> None:
    text = station.ticket()
    visit(station, text)
    visit(station, text, "beacon")
    station.listen(ticket=text)
    station.until(lambda: by_hls(station) == (1, 0, 0))
    visit(station, text)
    visit(station, text, "beacon")
    assert by_hls(station) == (1, 0, 0)


def test_hls_seen_at_another_worker_is_counted_there(station: Station) -> None:
    text = station.ticket(seq=5)
    visit(station, text, "beacon")
    assert by_hls(station) == (0, 1, 0)
    other = Sessions(station.settings.run_dir / "visits", pid=os.getpid() + 1)
    other.take(5)
    station.edge.admission.sweep()
    assert by_hls(station) == (0, 0, 0)
    visit(station, text, "beacon")
    station.edge.admission.sweep()
    assert by_hls(station) == (0, 1, 0)
    other.close()


def test_a_revoked_ticket_has_no_seat_by_hls_and_its_beacon_says_why(station: Station) -> None:
    texts = [station.ticket(seq=seq) for seq in (7, 8, 9)]
    for text in texts:
        visit(station, text)
        visit(station, text, "beacon")
    revoke(station, board.Revoked(seqs=((8, 8),)))
    station.until(lambda: by_hls(station) == (0, 2, 0))
    assert refused(station, texts[1], "beacon") == "ticket-revoked"
    assert by_hls(station) == (0, 2, 0)


def test_another_show_begins_with_nobody(station: Station) -> None:
    visit(station, station.ticket())
    station.edge.admission.look("another")
    assert by_hls(station) == (0, 0, 0)
