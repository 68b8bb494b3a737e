"""The crew's view of the door: what it says, what it asks before it does something, and that a keyboard is enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.desk import Desk, desk_pages
from browser.waiting import POLL_MS, WITHIN_S, until
from support.desk import running_desk

Browse = Callable[..., Page]
QUEUE: dict[str, Any] = {
    "at_ms": 1_000_000, "gate": "queue", "mark": 77, "cap": 5_000, "listening": 4_990, "called": 12, "waiting": 1_310,
    "rate_mps": 700, "seen": 40, "reason": "All seats are taken.", "places": 900, "key": "12" * 32,
}  # fmt: skip
LADDER = {
    "at_ms": 1,
    "rung": 1,
    "group": 2,
    "cap": 5_000,
    "reason": "70 % reached.",
    "capacity": [6_000, 9_000, 12_000, 15_000, 20_000],
}


@pytest.fixture
def desk() -> Iterator[Desk]:
    with desk_pages() as desk:
        yield desk


def _page(browse: Browse, desk: Desk) -> Page:
    page = browse(f"{desk.url}#token", locale="en-GB")
    expect(page.locator("#lamp")).to_have_text("On air")
    return page


def _confirm(page: Page) -> None:
    page.locator("#ask-yes").click()
    until(page, "!document.querySelector('#ask').open")


def _ordered(page: Page, desk: Desk, path: str, body: dict[str, Any]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not desk.orders:
        assert time.monotonic() < deadline
        page.wait_for_timeout(POLL_MS)
    assert desk.orders == [(f"/crew/api/{path}", body)]
    expect(page.locator("#says")).to_be_hidden()
    desk.orders.clear()


def test_the_figures_of_the_door(browse: Browse, desk: Desk) -> None:
    desk.say(
        line=QUEUE,
        ladder=LADDER,
        joins_hz=3.5,
        edges={"listeners": 4_970, "hls_signed": 12, "hls_estimated": 8},
        doors={"shed": 41},
    )
    page = _page(browse, desk)
    expect(page.locator("#listeners")).to_have_text("4,990")
    expect(page.locator("#of-seats")).to_have_text("of 5,000 seats")
    expect(page.locator("#by-hls")).to_have_text("(of these by HLS: 12 counted, about 8 estimated)")
    for id_, words in (("#waiting", "1,310"), ("#a-minute", "42"), ("#a-second", "3.5"), ("#called", "12")):
        expect(page.locator(id_)).to_have_text(words)
    expect(page.locator("#gate")).to_have_text("In line: one comes in as there is room. All seats are taken.")
    expect(page.locator("#door-notes")).to_contain_text("900 places were drawn.")
    expect(page.locator("#door-notes")).to_contain_text("41 were asked to come back in a moment.")
    present = page.locator("#ladder [aria-current=step]")
    expect(present).to_contain_text("Pairs")
    expect(present).to_contain_text("carries 9,000")
    expect(page.locator("#ladder-how")).to_have_text("by measure")
    expect(page.locator("#ladder-why")).to_have_text("70 % reached.")


def test_what_is_not_known_is_not_made_up(browse: Browse, desk: Desk) -> None:
    page = _page(browse, desk)
    for id_ in ("#waiting", "#a-minute", "#a-second", "#called"):
        expect(page.locator(id_)).to_have_text("–")
    expect(page.locator("#of-seats")).to_be_empty()
    expect(page.locator("#gate")).to_have_text("Open: no line is kept, everybody comes in.")
    expect(page.locator("#beacon")).to_be_hidden()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"show": {"closed": True}}, "Closed by the crew"),
        ({"line": QUEUE | {"gate": "gathering"}}, "Everybody gets a place."),
        ({"line": QUEUE | {"gate": "closed", "reason": "So it is."}}, "Closed: nobody new comes in. So it is."),
        ({"line": {"at_ms": 1}}, "Open: everybody comes in at once."),  # what has its default is not sent
        ({"line": QUEUE, "age_ms": {"line": 9_000}}, "The usher is silent"),
    ],
)  # fmt: skip
def test_the_gate_in_words(browse: Browse, desk: Desk, parts: dict[str, Any], words: str) -> None:
    desk.say(**parts)
    expect(_page(browse, desk).locator("#gate")).to_contain_text(words)


def test_a_cap_is_asked_for_with_what_it_does(browse: Browse, desk: Desk) -> None:
    desk.say(edges={"listeners": 4_990})
    page = _page(browse, desk)
    page.get_by_label("Listeners, at most").fill("500")
    page.get_by_role("button", name="Go on with these").click()
    expect(page.locator("#ask-title")).to_have_text("Go on with 500 listeners?")
    expect(page.locator("#ask-text")).to_contain_text("4,990 listen now. Nobody is cut off")
    page.get_by_role("button", name="No, leave it").click()
    assert desk.orders == []
    page.get_by_role("button", name="Go on with these").click()
    _confirm(page)
    _ordered(page, desk, "cap", {"cap": 500})
    desk.say(show={"cap": 500}, revision=2)
    page.get_by_role("button", name="No limit").click()
    _confirm(page)
    _ordered(page, desk, "cap", {"cap": 0})


def test_the_door_is_closed_and_opened(browse: Browse, desk: Desk) -> None:
    page = _page(browse, desk)
    page.get_by_role("button", name="Close the door").click()
    expect(page.locator("#ask-text")).to_contain_text("those in line keep their place")
    _confirm(page)
    _ordered(page, desk, "door", {"closed": True})
    desk.say(show={"closed": True}, revision=2)
    page.get_by_role("button", name="Open the door again").click()  # nothing is lost by it: no question
    _ordered(page, desk, "door", {"closed": False})


def test_the_ladder_by_hand_and_by_keyboard_alone(browse: Browse, desk: Desk) -> None:
    page = _page(browse, desk)
    page.get_by_label("Give up at least").focus()
    page.keyboard.type("2")  # the option that begins with it
    assert desk.orders == []  # a choice is not yet an order
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#ask-title")).to_have_text("Fours, at least?")
    assert page.evaluate("document.activeElement.value") == "no"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    until(page, "!document.querySelector('#ask').open")
    _ordered(page, desk, "rung", {"rung": 2})
    desk.say(show={"rung": 2}, ladder=LADDER, revision=2)
    expect(page.locator("#ladder-how")).to_have_text("step 2 at least")
    expect(page.locator("#ladder-why")).to_have_text("On the way to step 2, Fours, as asked for.")


def test_the_value_of_the_beacon_is_asked_for_until_it_is_given(browse: Browse, desk: Desk) -> None:
    desk.say(show={"beacon_name": "drand 4242", "draws_at_ms": 1_060_000, "phase": "open"})
    page = browse(f"{desk.url}#token")
    page.get_by_label("Value of the beacon, drand 4242").fill(" ab12 ")
    page.get_by_role("button", name="Give to the draw").click()
    _confirm(page)
    _ordered(page, desk, "beacon", {"value": "ab12"})
    desk.say(show={"beacon": "ab12"}, revision=2)
    expect(page.locator("#beacon")).to_be_hidden()
    expect(page.locator("#door-notes")).to_contain_text("Beacon drand 4242: ab12")


def test_what_others_type_is_kept_while_the_state_goes_on(browse: Browse, desk: Desk) -> None:
    page = _page(browse, desk)
    page.get_by_label("Listeners, at most").fill("70")
    page.get_by_label("Give up at least").select_option("1")
    desk.say(edges={"listeners": 7})
    expect(page.locator("#listeners")).to_have_text("7")
    expect(page.get_by_label("Listeners, at most")).to_have_value("70")
    expect(page.get_by_label("Give up at least")).to_have_value("1")


def test_the_log_says_who_did_what(browse: Browse, desk: Desk) -> None:
    desk.actions = [
        {"revision": 1, "at_ms": 900_000, "who": "<b>Ada</b>", "said": "Closed the door", "what": "", "token": ""}
    ]
    page = _page(browse, desk)
    expect(page.locator("#log li")).to_have_count(1)
    expect(page.locator("#log")).to_contain_text("Closed the door <b>Ada</b>")
    desk.actions = [{**desk.actions[0], "said": "Opened the door again"}, *desk.actions]
    desk.say(revision=2)
    expect(page.locator("#log li")).to_have_count(2)
    expect(page.locator("#log li").first).to_contain_text("Opened the door again")


def test_with_a_real_desk_an_order_is_on_the_board_and_in_the_log(browse: Browse, tmp_path: Path) -> None:
    with running_desk(tmp_path) as running:
        made = running.create(draw_before_s=300, beacon_name="drand 4242")
        page = browse(made["crew_link"], locale="en-GB")
        page.get_by_role("button", name="Close the door").click()
        _confirm(page)
        expect(page.get_by_role("button", name="Open the door again")).to_be_visible()
        page.get_by_label("Listeners, at most").fill("12000")
        page.get_by_role("button", name="Go on with these").click()
        _confirm(page)
        page.get_by_label("Value of the beacon, drand 4242").fill("ab12")
        page.get_by_role("button", name="Give to the draw").click()
        _confirm(page)
        expect(page.locator("#log li")).to_have_count(4)
        expect(page.locator("#log .log-said")).to_have_text(
            [
                "Gave the beacon's value: ab12",
                "Go on with at most 12,000 listeners",
                "Closed the door",
                "Announced the show",
            ]
        )
        expect(page.locator("#log .log-who")).to_have_text(["Host", "Host", "Host", "command line"])
        (show,) = running.on_board().shows
        assert (show.closed, show.cap, show.beacon) == (True, 12_000, "ab12")
