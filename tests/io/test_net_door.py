"""A door worker end to end: a real board, the pages of the package, real sockets."""

import gzip
import json
import re
import time

import pytest
from msgspec import structs

from stentor.formats import ticket
from stentor.io.keys import GroupKeys
from stentor.io.wake import BOARD, Caller
from stentor.model import board
from support.house import SHOW, House


@pytest.fixture
def house(tmp_path):
    one = House(tmp_path)
    yield one
    one.close()


def test_a_ticket_that_the_edge_takes(house):
    body = json.loads(house.ask("/s/show-1/join", "POST").body)
    now = int(time.time())
    token = ticket.check(body["ticket"], keys_of(house, now), ticket.show_tag("show-1"), now, group=1)
    assert isinstance(token, ticket.Token)
    assert (token.cls, token.seq) == (ticket.Class.LATE, body["seq"])
    assert body["expires_ms"] == token.expires * 1000 == (token.issued + house.settings.ticket_life_s) * 1000


def keys_of(house, now):
    """What an edge would check by."""
    files, hour = GroupKeys(house.settings.keys_dir, house.settings.edge_group), now // ticket.HOUR_S
    return {ticket.hour_id(hour): files.hour(hour), 128: files.show(ticket.show_tag("show-1"), 128)}


def test_an_address_that_players_keep_has_a_ticket_to_come_back_by(house):
    location = house.ask("/s/show-1/listen.mp3").headers["location"]
    now = int(time.time())
    token = ticket.check(location.split("/")[-2], keys_of(house, now), ticket.show_tag("show-1"), now, group=1)
    assert isinstance(token, ticket.Token)
    assert (token.cls, token.key_id) == (ticket.Class.RECONNECT, 128)
    assert token.expires - token.issued == 86_400


def test_where_a_key_is_revoked_the_next_one_mints(house):
    now = int(time.time())
    house.board.put("desk", board.Desk(2, (structs.replace(SHOW, revoked=board.Revoked((now // 3600 % 128, 128))),)))
    house.door.look()
    body = json.loads(house.ask("/s/show-1/join", "POST").body)
    files = GroupKeys(house.settings.keys_dir, house.settings.edge_group)
    second = {129: files.show(ticket.show_tag("show-1"), 129)}
    token = ticket.check(body["ticket"], second, ticket.show_tag("show-1"), now, group=1)
    assert isinstance(token, ticket.Token) and token.cls is ticket.Class.LATE


def test_no_number_comes_twice_over_a_restart(house, tmp_path):
    seen = [json.loads(house.ask("/s/show-1/join", "POST").body)["seq"] for _ in range(3)]
    again = House(tmp_path)
    seen += [json.loads(again.ask("/s/show-1/join", "POST").body)["seq"] for _ in range(3)]
    again.close()
    assert len(set(seen)) == 6


def test_the_page_and_every_file_it_names(house):
    page = house.ask("/s/show-1", headers="Accept-Encoding: gzip\r\n")
    text = gzip.decompress(page.body).decode()
    assert page.status == 200 and "{{" not in text
    config = re.search(r'id="config">(.*?)</script>', text)[1]
    assert json.loads(config) == {"edge_port": 8001, "archive_port": 8004}
    names = re.findall(r'"(/assets/[^"]+)"', text)
    assert names
    for name in names:
        plain, small = house.ask(name), house.ask(name, headers="Accept-Encoding: gzip\r\n")
        assert plain.status == 200
        assert gzip.decompress(small.body) == plain.body if "content-encoding" in small.headers else True
        assert "immutable" in plain.headers["cache-control"]


def test_the_now_object_and_the_list_of_shows(house):
    assert house.ask("/s/show-1/now").body == b'{"phase":"open"}'
    listed = json.loads(house.ask("/", headers="Accept: application/json\r\n").body)["shows"]
    assert [(show["id"], show["phase"]) for show in listed] == [("show-1", "open")]
    assert b"A talk" in house.ask("/").body


def test_head_wherever_get(house):
    for path in ("/", "/healthz", "/s/show-1", "/s/show-1/now", "/s/show-1/listen.m3u"):
        got, head = house.ask(path), house.ask(path, "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(got.body))


def test_a_new_show_is_known_once_the_desk_pokes(house):
    assert house.ask("/s/other").status == 404
    house.board.put("desk", board.Desk(2, (SHOW, board.Show("other", "Other", 1, 1))))
    Caller(house.settings.wake_dir).call(BOARD)
    assert house.ask("/healthz").status == 200  # a turn of the loop
    assert house.ask("/s/other").status == 200


def test_without_the_desk_what_it_said_last_still_holds(house):
    house.board.drop("desk")
    house.door.look()
    assert house.ask("/s/show-1/join", "POST").status == 200


def test_a_path_of_the_board_is_no_path_of_a_request(house):
    house.board.put("nowhere", board.Now(at_ms=1, text="secret"))
    for show in ("..", "x/../nowhere", "%2e%2e", ".hidden"):
        assert house.ask(f"/s/{show}/now").status == 404


def test_without_pages_there_are_tickets(tmp_path, capsys):
    house = House(tmp_path, web=tmp_path / "empty")
    assert "page listen/index.html: No such file" in capsys.readouterr().out
    page = house.ask("/s/show-1")
    assert (page.status, json.loads(page.body)["code"]) == (503, "page-missing")
    assert house.ask("/s/show-1/join", "POST").status == 200
    house.close()


def test_without_numbers_the_door_says_so(house):
    (house.settings.keys_dir / "ticket.seq").write_bytes(b"junk")
    refused = house.ask("/s/show-1/join", "POST")
    assert (refused.status, json.loads(refused.body)["code"]) == (503, "no-tickets")


def test_counters_on_the_board(house):
    house.ask("/s/show-1/join", "POST")
    house.ask("/nothing")
    house.door.publish()
    value = house.board.get("door-0", board.Door)
    assert (value.requests, value.tickets, value.refused) == (2, 1, 1)
