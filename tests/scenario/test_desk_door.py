"""What crew and command line say about the door, by a real desk: on the board, in records and log, or refused."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stentor.commands import Exit
from stentor.model.board import Door, Edge, Gate, Ladder, Line, Revoked, Rule, Rules, Shield, Show, Verdict
from support.desk import RunningDesk, running_desk
from support.running import Running

pytestmark = pytest.mark.scenario
ORDERS: list[tuple[str, dict[str, Any], str]] = [
    ("cap", {"cap": 12_000}, "Go on with at most 12,000 listeners"),
    ("door", {"closed": True}, "Closed the door"),
    ("rung", {"rung": 2}, "Ladder at step 2 or above: sound four pieces at a time"),
    ("beacon", {"value": "ab12"}, "Gave the beacon's value: ab12"),
    ("revoke", {"keys": [7], "classes": ["late"], "seqs": [[5, 9], [1, 4]]}, "Revoked tickets: key 7, class late, "),
    ("dry-run", {"dry_run": True}, "Dry run: rules are written down only"),
    ("siege", {"siege": True}, "Siege: only tickets and places are let in"),
    ("wish", {"wish": "hold", "reason": "The line is being mended"}, "Held the start: The line is being mended"),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    with running_desk(tmp_path_factory.mktemp("desk")) as desk:
        yield desk


def _drawn(desk: RunningDesk, **fields: Any) -> dict[str, Any]:
    times = {"starts_in_s": 7_200, "open_before_s": 2_700, "draw_before_s": 900, "lasts_s": 3_600}
    return desk.create(**(times | {"beacon_name": "drand 4242"} | fields))


def _show(desk: RunningDesk, show_id: str) -> Show:
    return next(show for show in desk.on_board().shows if show.id == show_id)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_each_order_is_on_the_board_and_in_the_log_once_with_who_and_what(desk: RunningDesk) -> None:
    made = _drawn(desk)
    for path, order, _ in ORDERS:
        first, second = (desk.ask("POST", f"/api/{path}", made["crew_token"], json=order) for _ in range(2))
        assert first.status_code == 200, first.text
        assert first.json() == second.json() == {"revision": desk.on_board().revision}
    show = _show(desk, made["show"])
    assert (show.cap, show.closed, show.rung, show.beacon) == (12_000, True, 2, "ab12")
    assert show.revoked == Revoked((7,), (5,), ((1, 9),))
    actions = desk.ask("GET", "/api/actions", made["crew_token"]).json()["actions"]
    for action, (_, _, words) in zip(actions, reversed(ORDERS), strict=False):
        assert action["said"].startswith(words), actions
    assert [action["who"] for action in actions] == ["Host"] * len(ORDERS) + ["command line"]
    assert all(abs(action["at_ms"] - _now_ms()) < 60_000 for action in actions)
    assert desk.admin("GET", f"/shows/{made['show']}").json()["actions"] == actions


def test_the_door_by_the_command_line_is_the_same_to_the_board(desk: RunningDesk) -> None:
    made = _drawn(desk)
    for path, order, _ in ORDERS:
        assert desk.admin("POST", f"/shows/{made['show']}/{path}", json=order).status_code == 200
    show = _show(desk, made["show"])
    assert (show.cap, show.closed, show.rung, show.beacon) == (12_000, True, 2, "ab12")
    actions = desk.admin("GET", f"/shows/{made['show']}").json()["actions"]
    assert {action["who"] for action in actions} == {"command line"}


@pytest.mark.parametrize(
    ("path", "order", "status", "code"),
    [
        ("rung", {"rung": 5}, 422, "input-invalid"),
        ("rung", {"rung": "auto"}, 422, "input-invalid"),
        ("cap", {"cap": -1}, 422, "input-invalid"),
        ("door", {}, 422, "input-invalid"),
        ("revoke", {"classes": ["early"]}, 422, "input-invalid"),
        ("revoke", {"seqs": [[9, 5]]}, 422, "input-invalid"),
        ("revoke", {"seqs": [[5]]}, 422, "input-invalid"),
        ("revoke", {"seqs": [[n, n] for n in range(0, 400, 2)]}, 422, "input-invalid"),
        ("beacon", {"value": ""}, 422, "input-invalid"),
        ("beacon", {"value": "ab12"}, 409, "beacon-refused"),
    ],
)
def test_what_the_desk_does_not_do(desk: RunningDesk, path: str, order: dict[str, Any], status: int, code: str) -> None:
    made = desk.create()  # without a draw
    revision = desk.on_board().revision
    refused = desk.ask("POST", f"/api/{path}", made["crew_token"], json=order)
    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
    assert refused.json()["code"] == code and refused.json()["detail"]
    assert desk.on_board().revision == revision


def test_a_guest_has_no_say_about_the_door(desk: RunningDesk) -> None:
    guest = _drawn(desk, guests=["Ada"])["guest_links"]["Ada"].partition("#")[2]
    for path, order, _ in ORDERS:
        assert desk.ask("POST", f"/api/{path}", guest, json=order).json()["code"] == "crew-only"
    assert desk.ask("GET", "/api/actions", guest).json()["code"] == "crew-only"


def test_a_beacon_comes_too_late_after_the_draw(desk: RunningDesk) -> None:
    made = _drawn(desk)
    desk.board.put(f"line-{made['show']}", Line(at_ms=_now_ms(), key="12" * 32))
    refused = desk.ask("POST", "/api/beacon", made["crew_token"], json={"value": "ab12"})
    assert (refused.status_code, refused.json()["code"]) == (409, "beacon-refused")
    assert "draw has been made" in refused.json()["detail"]


def test_the_crew_follows_the_line(desk: RunningDesk) -> None:
    made = _drawn(desk)
    line = Line(at_ms=_now_ms(), gate=Gate.QUEUE, mark=77, cap=500, listening=400, waiting=90, table=((1, 2),))
    desk.board.put(f"line-{made['show']}", line)
    desk.board.put("ladder", Ladder(at_ms=_now_ms(), rung=1, group=2, capacity=(500, 900, 1_200)))
    desk.board.put("door-0", Door(at_ms=_now_ms(), tickets=3, shed=2))
    headers = {"Authorization": f"Bearer {made['crew_token']}"}
    with httpx.stream("GET", f"{desk.base}/crew/api/events", headers=headers, timeout=30) as answer:
        for count, text in enumerate(itertools.islice(answer.iter_lines(), 100)):
            desk.board.put("edge-0", Edge(at_ms=_now_ms(), pid=5, joins=40 + 10 * count))
            state = json.loads(text)
            if state["joins_hz"]:
                break
    assert state["joins_hz"] > 0
    assert (state["line"]["gate"], state["line"]["waiting"], state["line"].get("table")) == ("queue", 90, None)
    assert (state["ladder"]["rung"], state["ladder"]["capacity"]) == (1, [500, 900, 1_200])
    assert (state["doors"]["tickets"], state["doors"]["shed"]) == (3, 2)
    assert 0 <= state["age_ms"]["line"] < 60_000
    shown = desk.admin("GET", f"/shows/{made['show']}").json()
    assert (shown["line"]["mark"], shown["ladder"]["rung"]) == (77, 1)


def test_a_restart_loses_nothing_of_it(tmp_path: Path) -> None:
    with running_desk(tmp_path) as desk:
        made = _drawn(desk)
        for path, order, _ in ORDERS:
            assert desk.ask("POST", f"/api/{path}", made["crew_token"], json=order).status_code == 200
        before = desk.on_board()
        desk.kill()
        desk.board.drop("desk")
        desk.start()
        assert desk.on_board() == before


def test_the_door_by_commands(desk: RunningDesk) -> None:
    command = Running(desk.settings, desk.log)
    times = ("--in", "2h", "--opens", "45m", "--draw", "15m", "--lasts", "2h", "--beacon", "drand 4242")
    show = json.loads(command.run("show", "create", "The final", *times, "--json").stdout)["show"]
    planned = _show(desk, show)
    starts = planned.starts_at_ms
    assert (planned.opens_at_ms, planned.draws_at_ms) == (starts - 2_700_000, starts - 900_000)
    assert (planned.ends_at_ms, planned.beacon_name) == (starts + 7_200_000, "drand 4242")
    for words in (
        ("close", show),
        ("rung", show, "pairs"),
        ("beacon", show, "ab12"),
        ("revoke", show, "--seq", "100-200", "--seq", "7", "--class", "late", "--key", "3"),
        ("cap", show, "5000"),
    ):
        done = command.run("show", *words)
        assert (done.returncode, done.stderr) == (Exit.OK, ""), done.stderr
        assert done.stdout.startswith(f"{show}: ")
    assert _show(desk, show).revoked == Revoked((3,), (5,), ((7, 7), (100, 200)))
    info = command.run("show", "info", show).stdout
    for words in (
        "draw 20", "closed, at most 5,000 listeners", "drand 4242: ab12", "none yet", "step 1 or above, sound two",
        "key 3, class late, 7, 100 to 200", "command line: Closed the door",
    ):  # fmt: skip
        assert words in info, info
    desk.board.put(f"line-{show}", Line(at_ms=_now_ms(), gate=Gate.QUEUE, waiting=1_234, mark=99, cap=5_000))
    assert "5,000 seats, 1,234 waiting, 0 on their way; in line, by the mark; mark 99" in (
        command.run("show", "info", show).stdout
    )
    orders = (("release", show, "203.0.113.7/32"), ("dry-run", show), ("siege", show), ("siege", show, "off"))
    for words in (("reopen", show), ("rung", show, "auto"), ("revoke", show, "--clear"), *orders):
        assert command.run("show", *words).returncode == Exit.OK
    detail = json.loads(command.run("show", "info", show, "--json").stdout)
    assert (detail["show"]["closed"], detail["show"]["rung"], detail["line"]["waiting"]) == (False, -1, 1_234)
    assert detail["show"]["revoked"] == {"keys": [], "classes": [], "seqs": []}
    assert (detail["show"]["dry_run"], detail["show"]["siege"]) == (True, False)


def test_a_rule_is_released_and_the_address_is_on_no_disk(desk: RunningDesk) -> None:
    made = desk.create()
    for _ in range(2):
        answer = desk.ask("POST", "/api/release", made["crew_token"], json={"target": "203.0.113.7/32"})
        assert answer.status_code == 200, answer.text
    assert _show(desk, made["show"]).released == ("203.0.113.7/32",)
    actions = desk.ask("GET", "/api/actions", made["crew_token"]).json()["actions"]
    assert actions[0]["said"] == "Released an IPv4 address"
    desk.stop()
    files = [file for file in desk.settings.data_dir.rglob("*") if file.is_file()]
    assert files and not any(b"203.0.113" in file.read_bytes() for file in files)
    desk.start()  # the board has it still
    assert _show(desk, made["show"]).released == ("203.0.113.7/32",)


def test_the_shield_by_command(desk: RunningDesk) -> None:
    command, show = Running(desk.settings, desk.log), desk.create()["show"]
    assert "nobody judges" in command.run("show", "shield", show).stdout
    why = "66 sessions begun and none played"
    rule = Rule("r1", "drop", "203.0.113.7/32", _now_ms(), _now_ms() + 60_000, enforced_ms=_now_ms(), why=why)
    desk.board.put("rules", Rules(_now_ms(), 1, (rule,)))
    desk.board.put("shield", Shield(_now_ms(), Verdict.ATTACK, _now_ms(), 3, rules=1, drops_by="workers"))
    text = command.run("show", "shield", show).stdout
    for words in ("attack since", "3, attack", "workers", "203.0.113.7/32", "enforced", why):
        assert words in text
    found = json.loads(command.run("show", "shield", show, "--json").stdout)
    assert (found["shield"]["rules"], found["rules"][0]["target"]) == (1, "203.0.113.7/32")
    assert command.run("show", "shield", "monday").returncode == Exit.NOT_FINE


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("rung", "x", "half"), Exit.USAGE, "no step 'half'"),
        (("revoke", "x"), Exit.USAGE, "--seq or --clear"),
        (("revoke", "x", "--seq", "9-"), Exit.USAGE, "'9-' is not a number"),
        (("revoke", "x", "--class", "early"), Exit.USAGE, "no such class"),
        (("close", "x"), Exit.NOT_FINE, "show-unknown"),
        (("create", "x", "--in", "1h", "--draw", "2h"), Exit.NOT_FINE, "the draw would be past"),
        (("create", "x", "--in", "1h", "--draw", "10m", "--opens", "10m"), Exit.NOT_FINE, "before the draw"),
        (("create", "x", "--in", "1h", "--beacon", "drand"), Exit.NOT_FINE, "there is no draw"),
    ],
)
def test_commands_that_are_refused_say_so_in_one_line(
    desk: RunningDesk, words: tuple[str, ...], code: Exit, reason: str
) -> None:
    refused = Running(desk.settings, desk.log).run("show", *words)
    assert refused.returncode == code and not refused.stdout
    (line,) = refused.stderr.splitlines()
    assert line.startswith("stentor: ") and reason in line, line
