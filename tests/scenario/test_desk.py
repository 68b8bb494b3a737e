"""A desk in its own process, asked over real HTTP: links, orders, restarts, and what it says no to."""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from stentor.core.pace import BURST
from stentor.model.board import Edge, Levels, Phase, Stage
from stentor.nodes.desk_feed import SUBSCRIBERS_MAX
from support.desk import WITHIN_S, RunningDesk, running_desk

pytestmark = pytest.mark.scenario


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    with running_desk(tmp_path_factory.mktemp("desk")) as desk:
        yield desk


@pytest.fixture
def own_desk(tmp_path: Path) -> Iterator[RunningDesk]:
    """For tests that kill it."""
    with running_desk(tmp_path) as desk:
        yield desk


def _token(link: str) -> str:
    return link.partition("#")[2]


def _until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WITHIN_S
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    fields = answer.json()
    assert fields["code"] == code, answer.text
    return dict(fields)


def test_a_show_with_its_links(desk: RunningDesk) -> None:
    made = desk.create(guests=["Ada"], on_air=["Ada"], chunk_ms=250)
    assert made["crew_link"] == f"{desk.base}/crew/#{made['crew_token']}"
    assert made["guest_links"]["Ada"].startswith(f"{desk.base}/crew/speak#")
    assert made["listener_link"] == f"http://127.0.0.1:{desk.settings.door_port}/s/{made['show']}"
    show = desk.ask("GET", "/api/show", made["crew_token"]).json()["show"]
    assert (show["id"], show["chunk_ms"], show["phase"]) == (made["show"], 250, "announced")
    assert [(seat["name"], seat["crew"], seat["on_air"]) for seat in show["seats"]] == [
        ("Host", True, False),
        ("Ada", False, True),
    ]
    assert desk.admin("GET", f"/shows/{made['show']}").json()["show"] == show


def test_what_is_ordered_is_on_the_board_when_it_is_answered(desk: RunningDesk) -> None:
    made = desk.create(guests=["Ada"])
    crew, guest = made["crew_token"], _token(made["guest_links"]["Ada"])
    seat = desk.ask("GET", "/api/seat", guest).json()["seat"]["id"]
    for method, path, token, order in (
        ("POST", "/api/wish", crew, {"wish": "hold", "reason": "late"}),
        ("POST", "/api/notice", crew, {"text": "Soon"}),
        ("POST", f"/api/seats/{seat}", crew, {"on_air": True}),
        ("POST", "/api/seat", guest, {"muted": True}),
    ):
        first, second = (desk.ask(method, path, token, json=order) for _ in range(2))
        assert first.status_code == 200, first.text
        assert first.json() == second.json() == {"revision": desk.on_board().revision}  # a second press is harmless
    assert desk.admin("POST", f"/shows/{made['show']}/cap", json={"cap": 500}).status_code == 200
    (show,) = (show for show in desk.on_board().shows if show.id == made["show"])
    assert (show.wish, show.reason, show.notice, show.cap) == ("hold", "late", "Soon", 500)
    assert (show.seats[1].on_air, show.seats[1].muted) == (True, True)


def test_every_change_is_recorded_with_who_made_it(desk: RunningDesk) -> None:
    made = desk.create(guests=["Ada"])
    guest = _token(made["guest_links"]["Ada"])
    desk.ask("POST", "/api/seat", guest, json={"muted": True})
    desk.ask("POST", "/api/seat", guest, json={"muted": True})
    actions = desk.admin("GET", f"/shows/{made['show']}").json()["actions"]
    (show,) = (show for show in desk.on_board().shows if show.id == made["show"])
    assert [action["what"].split()[0] for action in actions] == ["seat", "create"]
    assert actions[1]["token"] == "admin"
    assert len(actions[0]["token"]) == 12 and show.seats[1].token_hash.startswith(actions[0]["token"])


def test_a_seat_and_its_links(desk: RunningDesk) -> None:
    crew = desk.create()["crew_token"]
    made = desk.ask("POST", "/api/seats", crew, json={"name": "Cy"}).json()
    assert desk.ask("POST", "/api/seats", crew, json={"name": "Cy"}).json() == {**made, "link": ""}
    old = _token(made["link"])
    assert desk.ask("GET", "/api/seat", old).json()["seat"]["name"] == "Cy"
    new = _token(desk.ask("POST", f"/api/seats/{made['seat']}/revoke", crew, json={}).json()["link"])
    _problem(desk.ask("GET", "/api/seat", old), 401, "token-unknown")
    assert desk.ask("GET", "/api/seat", new).status_code == 200
    desk.ask("POST", f"/api/seats/{made['seat']}", crew, json={"removed": True})
    _problem(desk.ask("GET", "/api/seat", new), 403, "seat-removed")
    _problem(desk.ask("POST", "/api/seat", new, json={"muted": False}), 403, "seat-removed")


def test_links_that_do_not_serve(desk: RunningDesk) -> None:
    guest = _token(desk.create(guests=["Ada"])["guest_links"]["Ada"])
    answer = desk.ask("GET", "/api/show")
    _problem(answer, 401, "token-missing")
    assert answer.headers["www-authenticate"] == "Bearer"
    _problem(desk.ask("GET", "/api/show", "x" * 22), 401, "token-unknown")
    _problem(desk.ask("GET", "/api/show", guest), 403, "crew-only")
    _problem(desk.ask("POST", "/api/wish", guest, json={"wish": "end"}), 403, "crew-only")
    brief = _token(desk.create(guests=["Ada"], link_life_s=1)["guest_links"]["Ada"])
    _until(lambda: desk.ask("GET", "/api/seat", brief).status_code == 403)
    _problem(desk.ask("GET", "/api/seat", brief), 403, "token-expired")


@pytest.mark.parametrize(
    ("body", "status", "code", "word"),
    [
        (b"{", 400, "json-malformed", "truncated"),
        (b'{"wish": "\xff"}', 400, "json-malformed", ""),
        (b'{"wish": 5}', 422, "input-invalid", "$.wish"),
        (b'{"wish": "run"}', 422, "input-invalid", "'run'"),
        (b"{}", 422, "input-invalid", "wish"),
        (b'{"wish": "go", "resaon": "x"}', 422, "input-invalid", "resaon"),
        (b"[" * 60_000, 422, "input-invalid", "object"),
        (b'{"wish": "hold", "reason": "' + b"x" * 201 + b'"}', 422, "input-invalid", "at most 200"),
        (b'{"wish": "' + b"x" * 70_000 + b'"}', 413, "body-too-large", "65536"),
    ],
)
def test_orders_that_are_not_understood(desk: RunningDesk, body: bytes, status: int, code: str, word: str) -> None:
    crew = desk.create()["crew_token"]
    revision = desk.on_board().revision
    assert word in _problem(desk.ask("POST", "/api/wish", crew, content=body), status, code).get("detail", "")
    assert desk.on_board().revision == revision


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/shows/nothing", None, 404, "show-unknown"),
        ("POST", "/shows/nothing/wish", {"wish": "go"}, 404, "show-unknown"),
        ("POST", "/shows", {"title": "x", "starts_at_ms": 0}, 422, "input-invalid"),
        ("POST", "/shows", {"title": "x"}, 422, "input-invalid"),
        ("DELETE", "/shows", None, 405, "method-not-allowed"),
        ("GET", "/nothing", None, 404, "not-found"),
    ],
)
def test_admin_refusals(desk: RunningDesk, method: str, path: str, body: Any, status: int, code: str) -> None:
    _problem(desk.admin(method, path, json=body), status, code)


def test_admin_is_not_on_the_port_and_crew_not_on_the_socket(desk: RunningDesk) -> None:
    assert httpx.get(f"{desk.base}/admin/shows").status_code == 404
    assert desk.admin("GET", "/../crew/api/show").status_code == 404


def _lines(answer: httpx.Response, count: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in itertools.islice(answer.iter_lines(), count)]


def test_the_crew_follows_the_stage(desk: RunningDesk) -> None:
    crew = desk.create()
    desk.board.put("stage", Stage(at_ms=_now_ms(), show=crew["show"], phase=Phase.LIVE))
    desk.board.put("levels", Levels(_now_ms(), {"program": -20.0}))
    desk.board.put("edge-0", Edge(at_ms=_now_ms(), listeners=3))
    headers = {"Authorization": f"Bearer {crew['crew_token']}"}
    with httpx.stream("GET", f"{desk.base}/crew/api/events", headers=headers) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = _lines(answer, 3)
    assert lines[0].keys() == lines[-1].keys()
    last = lines[-1]
    assert (last["show"]["phase"], last["stage"]["phase"]) == ("live", "live")
    assert (last["levels"]["dbfs"], last["edges"]["listeners"]) == ({"program": -20.0}, 3)
    assert 0 <= last["age_ms"]["stage"] < WITHIN_S * 1000
    _problem(desk.ask("POST", "/api/wish", crew["crew_token"], json={"wish": "hold"}), 409, "wish-refused")
    desk.board.drop("stage")


def test_a_stream_ends_with_its_link(desk: RunningDesk) -> None:
    made = desk.create(guests=["Ada"])
    token = _token(made["guest_links"]["Ada"])
    with httpx.stream(
        "GET", f"{desk.base}/crew/api/seat/events", headers={"Authorization": f"Bearer {token}"}
    ) as answer:
        lines = answer.iter_lines()
        seat = json.loads(next(lines))["seat"]["id"]
        desk.ask("POST", f"/api/seats/{seat}", made["crew_token"], json={"removed": True})
        assert len(list(lines)) < 20


def test_streams_are_bounded_and_given_back(own_desk: RunningDesk) -> None:
    made = own_desk.create()
    headers = {"Authorization": f"Bearer {made['crew_token']}"}
    limits = httpx.Limits(max_connections=SUBSCRIBERS_MAX + 10)
    with httpx.Client(base_url=own_desk.base, headers=headers, limits=limits) as client:
        request = client.build_request("GET", "/crew/api/events")
        answers = [client.send(request, stream=True) for _ in range(SUBSCRIBERS_MAX)]
        reading = [answer.iter_lines() for answer in answers]  # one that is let go closes its connection
        for lines in reading:
            next(lines)
        with client.stream("GET", "/crew/api/events") as refused:
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        for answer in answers:
            answer.close()

        def again() -> bool:
            with client.stream("GET", "/crew/api/events") as answer:
                return answer.status_code == 200

        _until(again)


def test_a_link_gives_orders_only_so_fast(desk: RunningDesk) -> None:
    made = desk.create(guests=["Ada"])
    guest = _token(made["guest_links"]["Ada"])
    answers = [desk.ask("POST", "/api/seat", guest, json={"muted": True}) for _ in range(BURST * 2)]
    refused = next(answer for answer in answers if answer.status_code != 200)
    _problem(refused, 429, "too-fast")
    assert int(refused.headers["retry-after"]) >= 1
    assert desk.ask("POST", "/api/notice", made["crew_token"], json={"text": "x"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example/#", "[::", "a b", ""])
def test_a_host_that_cannot_stand_in_a_link_does_not(desk: RunningDesk, host: str) -> None:
    made = desk.create()
    headers = {"Authorization": f"Bearer {made['crew_token']}", "Host": host}
    answer = httpx.post(f"{desk.base}/crew/api/seats", headers=headers, json={"name": "Cy"})
    assert answer.json()["link"].startswith(f"{desk.base}/crew/speak#")


def test_links_lead_to_where_the_crew_reached_the_desk(desk: RunningDesk) -> None:
    made = desk.create()
    headers = {"Authorization": f"Bearer {made['crew_token']}", "Host": f"studio.example:{desk.settings.desk_port}"}
    answer = httpx.post(f"{desk.base}/crew/api/seats", headers=headers, json={"name": "Cy"})
    assert answer.json()["link"].startswith(f"http://studio.example:{desk.settings.desk_port}/crew/speak#")


def test_killed_at_any_moment_it_comes_back_with_everything(own_desk: RunningDesk) -> None:
    made = own_desk.create(guests=["Ada"])
    crew = made["crew_token"]
    assert own_desk.ask("POST", "/api/wish", crew, json={"wish": "hold", "reason": "late"}).status_code == 200
    before = own_desk.on_board()
    own_desk.kill()
    own_desk.board.drop("desk")  # tmpfs may be gone with the machine
    own_desk.start()
    assert own_desk.on_board() == before
    assert own_desk.ask("GET", "/api/seat", _token(made["guest_links"]["Ada"])).status_code == 200
    assert own_desk.ask("POST", "/api/notice", crew, json={"text": "on"}).json() == {"revision": before.revision + 1}


def test_a_restarted_desk_knows_at_once_how_far_the_show_has_come(own_desk: RunningDesk) -> None:
    made = own_desk.create()
    own_desk.board.put("stage", Stage(at_ms=_now_ms(), show=made["show"], phase=Phase.LIVE))
    own_desk.kill()
    own_desk.start()
    _problem(own_desk.ask("POST", "/api/wish", made["crew_token"], json={"wish": "hold"}), 409, "wish-refused")


def test_a_board_that_is_lost_is_written_anew(own_desk: RunningDesk) -> None:
    own_desk.create()
    before = own_desk.on_board()
    own_desk.board.drop("desk")
    assert _until(lambda: own_desk.board.get("desk", type(before))) == before


def _over_at_ms(desk: RunningDesk, show: str) -> int:
    """When the show was over as its record says; 0 until that is stored."""
    with closing(sqlite3.connect(desk.settings.data_dir / "stentor.sqlite3")) as records:
        [(at_ms,)] = records.execute("SELECT over_at_ms FROM shows WHERE id = ?", (show,))
    return int(at_ms)


def test_an_ended_show_takes_no_more_orders_even_after_a_restart(own_desk: RunningDesk) -> None:
    made = own_desk.create()
    show, crew = made["show"], made["crew_token"]
    own_desk.board.put("stage", Stage(at_ms=_now_ms(), show=show, phase=Phase.ENDED))
    _until(lambda: own_desk.admin("GET", f"/shows/{show}").json()["show"]["phase"] == "ended")
    _until(lambda: _over_at_ms(own_desk, show))
    own_desk.kill()
    own_desk.board.drop("stage")
    own_desk.start()
    assert own_desk.ask("GET", "/api/show", crew).json()["show"]["phase"] == "ended"
    _problem(own_desk.ask("POST", "/api/notice", crew, json={"text": "late"}), 409, "show-over")
    _problem(own_desk.ask("POST", "/api/wish", crew, json={"wish": "go"}), 409, "wish-refused")
    assert own_desk.ask("POST", "/api/wish", crew, json={"wish": "end"}).status_code == 200


def test_records_that_cannot_be_written_lose_nothing(own_desk: RunningDesk) -> None:
    made = own_desk.create()
    crew, before = made["crew_token"], own_desk.on_board()
    path = own_desk.settings.data_dir / "stentor.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        _problem(own_desk.ask("POST", "/api/notice", crew, json={"text": "x"}), 503, "records-failed")
        assert own_desk.ask("GET", "/api/show", crew).status_code == 200
    assert own_desk.on_board() == before
    assert own_desk.ask("POST", "/api/notice", crew, json={"text": "x"}).json() == {"revision": before.revision + 1}


def test_a_second_desk_says_so_in_one_line_and_leaves_the_first_alone(own_desk: RunningDesk) -> None:
    own_desk.log.write_text("")
    second = own_desk.spawn()
    assert second.wait(WITHIN_S) == 3
    (line,) = own_desk.log.read_text().splitlines()
    assert "in use by another process" in line
    assert own_desk.create()["revision"] == 1


def test_sigterm_is_a_clean_end_and_no_secret_is_left_behind(own_desk: RunningDesk) -> None:
    made = own_desk.create(guests=["Ada"])
    tokens = [made["crew_token"], _token(made["guest_links"]["Ada"])]
    desk_error = own_desk.ask("POST", "/api/wish", tokens[0], content=b"{")
    assert desk_error.status_code == 400
    with httpx.stream(
        "GET", f"{own_desk.base}/crew/api/events", headers={"Authorization": f"Bearer {tokens[0]}"}
    ) as answer:
        next(answer.iter_lines())
        assert own_desk.stop() == 0
    files = [path for root in (own_desk.settings.data_dir, own_desk.settings.run_dir) for path in root.rglob("*")]
    kept = own_desk.log.read_bytes() + b"".join(path.read_bytes() for path in files if path.is_file())
    assert not any(token.encode() in kept for token in tokens)
