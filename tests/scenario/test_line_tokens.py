"""Tickets and places that are not (any more) what they should be, at a real door and edge: each refused by its code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import httpx
import pytest

from stentor.core.keys import EARLY_S, Key
from stentor.formats import ticket
from stentor.formats.crew import RevokeOrder
from stentor.formats.ticket import Class, Kind, Token, show_tag
from stentor.nodes.keyring import Keyring
from support.line import Line
from support.onair import OnAir
from support.running import installation, until

pytestmark = pytest.mark.scenario
REVOKED_SEQ, SEQ = 4_000_000, 4_000_001  # far from those that the door gives out
DAY_S = 86_400


class Mint(NamedTuple):
    """Makes tokens by the keys of an installation."""

    show: str
    of_show: Key
    of_hour: Key

    def __call__(self, kind: Kind, key: Key | None = None, show: str = "", secret: bytes = b"", **changes: Any) -> str:
        key, now = key or self.of_show, int(time.time())
        cls = Class.RECONNECT if kind is Kind.TICKET else Class.LATE
        token = Token(kind, show_tag(show or self.show), cls, SEQ, now, now - EARLY_S, now + DAY_S, key.id, key.group)
        return ticket.mint(token._replace(**changes), secret or key.secret)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A show on air of which nothing is revoked but a number, and that has one seat."""
    tmp = tmp_path_factory.mktemp("tokens")
    with installation(tmp) as running, ExitStack() as stack:
        running.start()
        one = Line(running, OnAir(running, stack, tmp, starts_in_s=1.0).made.show, stack, tmp)
        one.crew(lambda admin: admin.revoke(one.show, RevokeOrder(seqs=((REVOKED_SEQ, REVOKED_SEQ),))))
        one.seats(1)
        yield one


@pytest.fixture(scope="module")
def mint(line: Line) -> Mint:
    keyring, now = Keyring(line.running.settings), int(time.time())
    keyring.look(now)
    of_show, of_hour = keyring.lasting(line.show, ()), keyring.admitting(line.show, (), now)
    assert of_show is not None and of_hour is not None
    return Mint(line.show, of_show, of_hour)


def now_s() -> int:
    return int(time.time())


def changed(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


SPOILED: dict[str, tuple[Callable[[Mint, Kind], str], str]] = {
    "cut": (lambda mint, kind: mint(kind)[:-4], "malformed"),
    "longer": (lambda mint, kind: mint(kind) + "AAAA", "malformed"),
    "not base64": (lambda mint, kind: mint(kind)[:-1] + "!", "malformed"),
    "another number": (lambda mint, kind: changed(mint(kind), 20), "forged"),
    "another code": (lambda mint, kind: changed(mint(kind), 60), "forged"),
    "a key made up": (lambda mint, kind: mint(kind, secret=b"k" * 32), "forged"),
    "a key there is not": (lambda mint, kind: mint(kind, key_id=255), "forged"),
    "the other kind": (lambda mint, kind: mint(Kind.PLACE if kind is Kind.TICKET else Kind.TICKET), "wrong-kind"),
    "another show": (lambda mint, kind: mint(kind, show="another-show"), "wrong-show"),
    "another group": (lambda mint, kind: mint(kind, group=mint.of_show.group + 1), "wrong-group"),
    "early": (lambda mint, kind: mint(kind, not_before=now_s() + 60), "early"),
    "expired": (lambda mint, kind: mint(kind, expires=now_s()), "expired"),
    "expired, and its key with it": (lambda mint, kind: mint(kind, key_id=255, expires=now_s()), "expired"),
    "revoked": (lambda mint, kind: mint(kind, seq=REVOKED_SEQ), "revoked"),
}


def refused(answer: httpx.Response, code: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json"), answer.text
    fields = answer.json()
    assert (fields["status"], fields["code"]) == (403, code) and fields["title"], fields


@pytest.mark.parametrize("how", SPOILED)
def test_places(line: Line, mint: Mint, how: str) -> None:
    spoil, code = SPOILED[how]
    place = spoil(mint, Kind.PLACE)
    for path in (f"join?place={place}", f"place/{place}", f"wait/{place}", f"listen.mp3?place={place}"):
        method = "POST" if path.startswith("join") else "GET"
        refused(line.ask(path, method, headers={"Accept": "application/json"}), f"place-{code}")
    page = line.ask(f"wait/{place}")  # as a browser without JavaScript has it
    assert page.status_code == 403 and "Back to the line" in page.text


@pytest.mark.parametrize("how", SPOILED)
def test_tickets(line: Line, mint: Mint, how: str) -> None:
    spoil, code = SPOILED[how]
    text = spoil(mint, Kind.TICKET)
    for rendition in ("opus", "mp3", "index.m3u8"):
        refused(httpx.get(line.running.url("edge", f"/live/{text}/{rendition}"), timeout=30), f"ticket-{code}")


def test_what_is_not_spoiled_is_taken(line: Line, mint: Mint) -> None:
    """Or the tables above would prove nothing."""
    assert line.join(mint(Kind.PLACE))["seq"] == SEQ
    for key in (mint.of_show, mint.of_hour):
        # HEAD: who gets the playlist has a seat, and the house has one.
        answer = httpx.head(line.running.url("edge", f"/live/{mint(Kind.TICKET, key)}/index.m3u8"), timeout=30)
        assert answer.status_code == 200, answer.text


def test_a_place_that_is_replayed_and_shared_is_one_seat_and_plays_once(line: Line) -> None:
    place = line.place()["place"]
    first = line.let_in(place)
    again = [line.join(place) for _ in range(3)]
    assert [one["seq"] for one in again] == [first["seq"]] * 3
    line.listen(first["ticket"])
    for one in again:
        line.listen(one["ticket"])
        older = line.leaves()
        assert older == 0, "the one before has ended, and was told nothing worse"
    until(lambda: line.listeners == 1, "one of them plays")
    line.nobody_was_cut()
    assert "ticket" not in line.join(line.place()["place"])
