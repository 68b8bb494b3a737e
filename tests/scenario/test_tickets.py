"""Tickets while a show is on air: to come back without the door, to be revoked, to play at one place at a time."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from msgspec import structs

from stentor.io.board import Board
from stentor.io.wake import BOARD, Caller
from stentor.model import board
from support.clock import LIBRARY, Clock
from support.onair import OnAir
from support.running import Running, installation, until

pytestmark = pytest.mark.scenario
HOUR_MS = 3_600_000


class Admitted(NamedTuple):
    ticket: str
    seq: int


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture
def on_air(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnAir]:
    """A show with two edge workers, whose roles go by `clock`."""
    with installation(tmp_path, edges=2) as running, ExitStack() as stack:
        with monkeypatch.context() as patch:
            for name, value in clock.environ.items() if LIBRARY else ():
                patch.setenv(name, value)
            running.start()
        yield OnAir(running, stack, tmp_path, starts_in_s=1.0)


def join(on_air: OnAir) -> Admitted:
    """Of the door."""
    body = httpx.post(on_air.running.url("door", f"/s/{on_air.made.show}/join")).json()
    return Admitted(body["ticket"], body["seq"])


def address(on_air: OnAir, ticket: str) -> str:
    return on_air.running.url("edge", f"/live/{ticket}/opus")


def answered(on_air: OnAir, ticket: str) -> tuple[int, str]:
    """-> status, and the code of a refusal or the ticket to come back by."""
    with httpx.stream("GET", address(on_air, ticket)) as response:
        if response.status_code == httpx.codes.OK:
            next(response.iter_raw())
            return 200, response.headers["stentor-ticket"]
        return response.status_code, json.loads(response.read())["code"]


def kill_for_good(running: Running, *names: str) -> None:
    """Without `serve`, nobody starts them again."""
    for name in ("serve", *names):
        running.kill(name)


@pytest.mark.skipif(LIBRARY is None, reason="faketime is not installed")
def test_hours_later_one_comes_back_though_the_door_is_dead(on_air: OnAir, clock: Clock, tmp_path: Path) -> None:
    """The key of the ticket that the door gave is gone by then."""
    first = join(on_air)
    given = answered(on_air, first.ticket)[1]
    out, report = tmp_path / "listen.mp4", tmp_path / "listen.json"
    argv = on_air.running.command("listen", on_air.made.listener_link, "--json", "--out", str(out))
    listener = on_air.spawn(*argv, output=report)
    on_air.heard_at_least(out, 5_000)
    kill_for_good(on_air.running, "door-0")
    clock.jump("+3h")
    until(lambda: round((on_air.stage().at_ms - time.time() * 1000) / HOUR_MS) == 3, "the studio's clock has jumped")
    until(lambda: answered(on_air, first.ticket) == (403, "ticket-expired"), "the key of the door's ticket is gone")
    assert answered(on_air, given)[0] == 200
    for worker in (0, 1):
        on_air.running.kill(f"edge-{worker}")
    environ = [f"{name}={value}" for name, value in clock.environ.items()]
    on_air.spawn("env", *environ, *on_air.running.command("edge", "--worker", "0"))
    size = out.stat().st_size
    until(lambda: out.stat().st_size > size + 5_000, "they hear more, from the new edge")
    assert listener.poll() is None


def desk_says(on_air: OnAir, revoked: board.Revoked) -> None:
    """What the desk writes when the crew revokes."""
    settings = on_air.running.settings
    values = Board(settings.board_dir)
    desk = values.get("desk", board.Desk)
    assert desk is not None
    shows = tuple(structs.replace(show, revoked=revoked) for show in desk.shows)
    values.put("desk", structs.replace(desk, revision=desk.revision + 1, shows=shows))
    Caller(settings.wake_dir).call(BOARD)


def test_a_revoked_range_ends_a_listener_while_another_plays_on(on_air: OnAir, tmp_path: Path) -> None:
    kept, lost = join(on_air), join(on_air)
    heard = tmp_path / "heard.mp4"
    lasting = on_air.spawn("curl", "-sN", address(on_air, kept.ticket), output=heard)
    given = answered(on_air, lost.ticket)[1]
    ended = on_air.spawn("curl", "-sN", address(on_air, given), output=tmp_path / "ended.mp4")
    on_air.heard_at_least(heard, 5_000)
    on_air.heard_at_least(tmp_path / "ended.mp4", 5_000)
    kill_for_good(on_air.running, "desk")
    desk_says(on_air, board.Revoked(seqs=((lost.seq, lost.seq),)))
    until(lambda: ended.poll() is not None, "the revoked one has ended")
    assert ended.returncode == 0, "told nothing worse than the end"
    for ticket in (lost.ticket, given):
        assert answered(on_air, ticket) == (403, "ticket-revoked")
    on_air.heard_at_least(heard, heard.stat().st_size + 10_000)
    assert lasting.poll() is None


def test_of_many_players_with_one_ticket_the_newest_plays(on_air: OnAir, tmp_path: Path) -> None:
    """At either worker, as chance has it."""
    ticket = join(on_air).ticket
    players: list[subprocess.Popen[bytes]] = []
    for number in range(8):
        heard = tmp_path / f"heard-{number}.mp4"
        players.append(on_air.spawn("curl", "-sN", address(on_air, ticket), output=heard))
        on_air.heard_at_least(heard, 5_000)
        until(lambda: all(older.poll() == 0 for older in players[:-1]), "those before have ended")
    assert players[-1].poll() is None
    on_air.heard_at_least(heard, heard.stat().st_size + 10_000)
