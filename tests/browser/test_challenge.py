"""Joining while the door asks for work first, in Chromium: from the button to the sound, by itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.station import SHOW, Station
from browser.waiting import until
from stentor.core.challenge import TABLE_BYTES, Challenger
from stentor.formats import challenge

Browse = Callable[..., Page]
SOUND = "document.querySelector('audio').currentTime > 1"


@pytest.fixture
def asking(station: Station) -> Station:
    station.challenger = Challenger(bytes(32), bytearray(TABLE_BYTES), random.SystemRandom())
    return station


def joins(station: Station) -> list[str]:
    return [path for path in station.asked if path.startswith(f"/s/{SHOW}/join")]


def test_whoever_is_asked_hears_the_show_without_doing_anything(browse: Browse, asking: Station) -> None:
    page = browse(asking.url)
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, SOUND)
    assert asking.challenger is not None
    assert (asking.challenger.challenged, asking.challenger.solved) == (1, 1)
    assert len(joins(asking)) == 2
    expect(page.locator("#task")).to_be_hidden()


def test_what_it_does_meanwhile_is_said(browse: Browse, asking: Station) -> None:
    hold = "const post = Worker.prototype.postMessage; const held = [];"
    hold += "Worker.prototype.postMessage = function (...said) { held.push(() => post.apply(this, said)); };"
    page = browse(asking.url, script=f"{hold} window.release = () => held.forEach((one) => one());")
    page.get_by_role("button", name="Play", exact=True).click()
    said = page.get_by_role("status").filter(has_text="small task")
    expect(said).to_be_visible()
    page.evaluate("release()")
    until(page, SOUND)
    expect(said).to_have_count(0)


def test_where_a_solution_does_not_count_another_is_worked_out(browse: Browse, asking: Station) -> None:
    assert asking.challenger is not None
    asking.challenger, other = (
        Challenger(bytes(31) + b"1", bytearray(TABLE_BYTES), random.SystemRandom()),
        asking.challenger,
    )
    page = browse(asking.url)

    def changed(*sent: Any) -> Any:
        asking.challenger = other
        return first(*sent)

    first = asking.challenger.receive
    asking.challenger.receive = changed  # type: ignore[method-assign]
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, SOUND)
    assert other.solved == 1 and len(joins(asking)) == 3


def test_an_audio_element_gets_a_ticket_for_what_the_page_has_worked_out(browse: Browse, asking: Station) -> None:
    page = browse(asking.url)
    page.evaluate(
        """async () => {
          const { Entry } = await import("/assets/00000000/listen/entry.js");
          const { Mp3 } = await import("/assets/00000000/listen/mp3.js");
          const entry = new Entry({ show: "night", kept: () => null });
          window.heard = document.createElement("audio");
          const now = () => ({ verdict: { level: 2 } });
          new Mp3({ audio: heard, show: "night", entry, edges: [location.origin], now }).start().catch(() => {});
        }"""
    )
    until(page, r"/\/live\/[0-9a-f]{64}\/mp3$/.test(heard.src)")


def test_the_worker_finds_what_the_door_has_hidden(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    made = [challenge.make(bytes(32), random.randbytes(12), number, 99_999) for number in (0, 9, 10, 99_999)]
    found = page.evaluate(
        """(all) => Promise.all(all.map((challenge) => new Promise((resolve) => {
          const worker = new Worker("/assets/00000000/listen/solver.js");
          worker.onmessage = ({ data }) => resolve(data);
          worker.postMessage(challenge);
        })))""",
        [one.fields() for one in made],
    )
    assert found == [0, 9, 10, 99_999]
