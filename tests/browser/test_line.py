"""From before the draw to the sound, with the real processes: a page in Chromium, and curl, which runs no scripts."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect

from browser.shows import own_shows
from browser.waiting import until as page_until
from stentor.formats.crew import NewShow, ShowMade
from stentor.io.board import Board
from stentor.io.wake import BOARD, Caller
from stentor.model import board
from support.running import Running, installation, until

DRAW_IN_S = 12
START_IN_S = 20
MP3_BYTES = 8_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with installation(tmp_path_factory.mktemp("line")) as running:
        running.start()
        yield running


@pytest.fixture
def drawing(running: Running) -> Iterator[ShowMade]:
    """A show whose doors are open, with its draw still to come."""
    with own_shows(running) as announce:
        made = announce(NewShow("The Long Night", starts_in_s=START_IN_S, host="Ada"))
        draws_at_ms = time.time_ns() // 1_000_000 + DRAW_IN_S * 1000
        values = Board(running.settings.board_dir)
        desk = until(lambda: values.get("desk", board.Desk), "the desk has spoken")
        shows = [replace(one, draws_at_ms=draws_at_ms) if one.id == made.show else one for one in desk.shows]
        values.put("desk", replace(desk, shows=tuple(shows)))
        Caller(running.settings.wake_dir).call(BOARD)
        until(lambda: gate(running, made.show) is board.Gate.GATHERING, "the draw is to come")
        yield made


def gate(running: Running, show: str) -> board.Gate | None:
    line = Board(running.settings.board_dir).get(f"line-{show}", board.Line)
    return line.gate if line else None


def curl(running: Running, path: str, *options: str) -> str:
    argv = ["curl", "-s", *options, running.url("door", path)]
    return subprocess.run(argv, env=running.environ, capture_output=True, text=True, check=True, timeout=30).stdout


def as_json(running: Running, path: str, *options: str) -> dict:
    return json.loads(curl(running, path, "-H", "Accept: application/json", *options))


def test_a_page_and_curl_go_from_the_draw_to_the_sound(
    browse: Callable[..., Page], running: Running, drawing: ShowMade
) -> None:
    line = f"/s/{drawing.show}/wait"
    page = browse(drawing.listener_link)
    page.get_by_role("button", name=re.compile("^(Play|Start by itself)$")).click()
    expect(page.locator("#room-lines")).to_contain_text("You have a place in the draw.")

    assert "Take part in the draw" in curl(running, line)
    address = re.search(r"(?im)^location: (\S+)", curl(running, line, "-D", "-", "-X", "POST"))[1]
    assert "You have a place in the draw." in (waits := curl(running, address))
    assert 'http-equiv="refresh"' in waits
    before = as_json(running, address)
    assert (before["state"], before["rank"]) == ("gathering", None)

    running.back("door-0", running.kill("door-0"))  # it kept nothing
    until(lambda: running.accepts("door"), "the door is back")
    assert as_json(running, address)["seq"] == before["seq"]

    page_until(page, "stentor.position_s !== null && !audio.paused && audio.readyState > 2")
    expect(page.locator("#room")).to_have_count(0)
    source = until(lambda: re.search(r'<audio [^>]*src="([^"]+)"', curl(running, address)), "the page plays")[1]
    heard = subprocess.run(
        ["curl", "-sL", "--max-time", "5", running.url("door", source)], env=running.environ, capture_output=True
    ).stdout
    assert len(heard) > MP3_BYTES and heard[0] == 0xFF, "MP3"
    admitted = as_json(running, address)
    assert admitted["seq"] == before["seq"] and admitted["ticket"]

    drawn = as_json(running, f"/s/{drawing.show}/draw")
    assert drawn["places"] == 2 and drawn["root"] and drawn["key"]
    listed = subprocess.run(["curl", "-s", running.url("door", f"/s/{drawing.show}/places")], capture_output=True)
    assert len(listed.stdout) == 16
