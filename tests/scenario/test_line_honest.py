"""What honest people do, and what happens to honest machines, costs nobody their place: another address, a reload,
a second page, a clock that is off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from stentor.formats import emsg, ticket
from support.clock import LIBRARY, Clock
from support.line import Line
from support.onair import OnAir
from support.running import installation, until

pytestmark = pytest.mark.scenario
OTHER_NETWORK = "127.0.0.77"
OFF_S = 30
NOTICE = "We go on at nine."


class Hall(NamedTuple):
    line: Line
    heard: Path


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """A show on air; somebody listens on the one seat that there is."""
    tmp = tmp_path_factory.mktemp("honest")
    with installation(tmp) as running, ExitStack() as stack:
        running.start()
        one = Line(running, OnAir(running, stack, tmp, starts_in_s=1.0).made.show, stack, tmp)
        one.seats(1)
        yield Hall(one, one.listen(one.come_in(), "opus"))


def elsewhere() -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(local_address=OTHER_NETWORK), timeout=30)


def test_a_reload_a_second_page_and_another_network(hall: Hall) -> None:
    line = hall.line
    mine, second = sorted((line.place(), line.place()), key=lambda place: place["rank"])  # within a second: a hash
    assert second["seq"] != mine["seq"] and line.join(mine["place"])["rank"] == mine["rank"]
    door = line.running.url("door", f"/s/{line.show}/join?place={mine['place']}")
    with elsewhere() as phone:
        moved = phone.post(door).json()
        assert (moved["seq"], moved["rank"], moved["place"]) == (mine["seq"], mine["rank"], mine["place"])
        line.seats(2)
        line.let_in(mine["place"])
        admitted = phone.post(door).json()
        url = line.running.url("edge", f"/live/{admitted['ticket']}/opus")
        with phone.stream("GET", url) as heard:
            next(heard.iter_raw())
            back_by = heard.headers["stentor-ticket"]
            line.listen(back_by, "opus")  # they walk home, into yet another network, before the old one gives up
            until(lambda: line.listeners == 2, "nobody is counted twice")
        assert line.join(mine["place"])["seq"] == mine["seq"], "a reload, by a page that forgot its ticket"
    assert "ticket" not in line.join(second["place"]), "both seats are taken"
    line.nobody_was_cut()


def test_a_notice_reaches_who_listens_and_who_waits(hall: Hall) -> None:
    line, heard = hall
    place = line.place()["place"]
    began_s = time.monotonic()
    line.crew(lambda admin: admin.notice(line.show, NOTICE))
    until(lambda: NOTICE.encode() in heard.read_bytes(), "the notice is in the stream")
    print(f"in the stream after {time.monotonic() - began_s:.2f} s")
    until(lambda: line.now().get("notice") == NOTICE, "it is in the now object")
    print(f"in the now object after {time.monotonic() - began_s:.2f} s")
    assert NOTICE in line.ask(f"wait/{place}").text and NOTICE in line.ask("wait").text
    (said,) = {emsg.parse(box)["notice"] for box in emsgs(heard.read_bytes()) if NOTICE.encode() in box}
    assert said == NOTICE


@pytest.mark.skipif(LIBRARY is None, reason="faketime is not installed")
@pytest.mark.parametrize("off_s", [30, -30])
def test_a_door_whose_clock_is_off(tmp_path: Path, off_s: int) -> None:
    """Its people stand where its clock says, at worst; their places and tickets are good everywhere."""
    clock = Clock(tmp_path / "clock")
    clock.jump(f"{off_s:+d}")
    with installation(tmp_path) as running, ExitStack() as stack:
        running.start()
        on_air = OnAir(running, stack, tmp_path, starts_in_s=1.0)
        line = Line(running, on_air.made.show, stack, tmp_path)
        line.seats(1)
        line.listen(line.come_in())
        before = line.place()
        for name in ("serve", "door-0"):
            running.kill(name)
        environ = [f"{name}={value}" for name, value in clock.environ.items()]
        on_air.spawn("env", *environ, *running.command("door", "--worker", "0"))
        until(lambda: running.accepts("door"), "the door is back")
        assert line.join(before["place"])["rank"] == before["rank"]
        given = line.place()
        issued = token(given["place"]).issued
        assert given["rank"] > line.said().mark and line.join(given["place"])["seq"] == given["seq"]
        assert issued - time.time() < max(0, off_s) + 1, "and by a slow clock not before those who were called"
        line.seats(3)
        first = line.let_in(before["place"])
        later = line.let_in(given["place"], 3 * OFF_S)
        for one in (first, later):
            line.listen(one["ticket"])
        line.nobody_was_cut()


def token(text: str) -> ticket.Token:
    found = ticket.peek(text)
    assert isinstance(found, ticket.Token)
    return found


def emsgs(body: bytes) -> Iterator[bytes]:
    """The whole boxes of words for whoever listens."""
    while len(body) >= 8 and len(body) >= (size := int.from_bytes(body[:4], "big")) >= 8:
        if body[4:8] == b"emsg":
            yield body[:size]
        body = body[size:]
