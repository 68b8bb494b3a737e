"""The crew's view of the shield: the verdict with its evidence, who is shut out and why, and the controls over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.desk import Desk, desk_pages
from browser.test_crew_door import _confirm, _ordered, _page
from browser.test_pages_a11y import NAMELESS, SMALL
from stentor.model.board import Rule, Rules, Shield, Verdict
from support.desk import running_desk

Browse = Callable[..., Page]
ATTACK: dict[str, Any] = {
    "at_ms": 1_000_000, "verdict": "attack", "since_ms": 980_000, "level": 3, "sources": 420, "joins": 9_800,
    "completed": 3, "rules": 412, "drops_by": "kernel", "challenge": True, "share": 12,
    "error": "wrong in 0 of 300 rehearsed crowds",
    "signals": [
        {"family": "completion", "words": "412 addresses opened 9,800 joins in 10 s and none played a second of audio"},
        {"family": "strangers", "words": "96 % were <b>never</b> in the pre-queue"},
    ],
}  # fmt: skip
RULES: list[dict[str, Any]] = [
    {
        "id": "r1", "action": "drop", "target": "203.0.113.7/32", "since_ms": 990_000, "until_ms": 1_060_000,
        "enforced_ms": 991_000, "hits": 1_204, "why": "66 sessions begun and none played",
    },
    {
        "id": "r2", "action": "limit", "target": "2001:db8::/64", "since_ms": 991_000, "until_ms": 1_060_000,
        "spared": "a listener plays there",
    },
    {"id": "r3", "action": "limit", "target": "198.51.100.7/32", "since_ms": 992_000, "until_ms": 1_060_000},
]  # fmt: skip


@pytest.fixture
def desk() -> Iterator[Desk]:
    with desk_pages() as desk:
        yield desk


def test_the_verdict_with_its_evidence_in_words(browse: Browse, desk: Desk) -> None:
    desk.say(shield=ATTACK, rules=RULES)
    page = _page(browse, desk)
    expect(page.locator("#verdict")).to_contain_text("This looks like an attack. Since")
    expect(page.locator("#shield-level")).to_have_text("level 3, attack")
    expect(page.locator("#evidence li")).to_have_text([signal["words"] for signal in ATTACK["signals"]])
    notes = page.locator("#shield-notes")
    for words in (
        "In 10 s: 9,800 joins asked for by about 420 sources; 3 played.",
        "A source without a ticket may join 12 times in 10 s, unless it is known to behave.",
        "The kernel drops whom a rule shuts out",
        "In rehearsal: wrong in 0 of 300 rehearsed crowds.",
    ):
        expect(notes).to_contain_text(words)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"shield": None}, "Nobody judges"),
        ({"shield": {"at_ms": 1}}, "Calm."),  # what has its default is not sent
        ({"shield": {"at_ms": 1, "verdict": "crowd", "level": 1}}, "A crowd alone shuts nobody out."),
        ({"shield": {"at_ms": 1, "verdict": "undecided", "level": 2}}, "Not clear yet"),
        ({"shield": ATTACK, "age_ms": {"shield": 9_000}}, "The usher is silent"),
    ],
)
def test_verdicts_in_words(browse: Browse, desk: Desk, parts: dict[str, Any], words: str) -> None:
    desk.say(**parts)
    page = _page(browse, desk)
    expect(page.locator("#verdict")).to_contain_text(words)
    expect(page.locator("#rules-part")).to_be_hidden()


@pytest.mark.parametrize(
    ("drops_by", "words"),
    [
        ("workers", "Door and edges refuse whom a rule shuts out; the kernel does not help."),
        ("workers: no nft", "the kernel does not help: no nft."),
        ("nobody: a proxy on another machine hides who comes", "Why: a proxy on another machine hides who comes"),
    ],
)
def test_who_drops_and_why_nobody_does(browse: Browse, desk: Desk, drops_by: str, words: str) -> None:
    desk.say(shield=ATTACK | {"drops_by": drops_by})
    expect(_page(browse, desk).locator("#shield-notes")).to_contain_text(words)


def test_a_calm_evening_says_nothing_of_a_siege(browse: Browse, desk: Desk) -> None:
    """A level of 0 is not even in what the desk says."""
    desk.say(shield={"at_ms": 1_000_000, "joins": 1, "sources": 1, "completed": 1})
    page = _page(browse, desk)
    expect(page.locator("#shield-notes")).to_contain_text("In 10 s: 1 join")
    expect(page.locator("#shield-notes")).not_to_contain_text("iege")


def test_a_siege_that_nobody_ordered_says_why(browse: Browse, desk: Desk) -> None:
    desk.say(shield=ATTACK | {"level": 4})
    page = _page(browse, desk)
    expect(page.locator("#shield-notes")).to_contain_text("Siege, for the door has no time left in this attack")
    desk.say(shield={"level": 4, "siege": True})
    expect(page.locator("#shield-notes")).to_contain_text("Siege: only tickets and those who come back are let in.")


def test_rules_say_whom_they_are_against_why_and_how_long(browse: Browse, desk: Desk) -> None:
    desk.say(shield=ATTACK, rules=RULES)
    page = _page(browse, desk)
    first, second, third = page.locator(".rule").all()
    expect(first).to_contain_text("Shuts out 203.0.113.7/32")
    expect(first).to_contain_text("In force until")
    expect(first).to_contain_text("1,204 events in 10 s")
    expect(first).to_contain_text("66 sessions begun and none played")
    expect(second).to_contain_text("Limits new connections of 2001:db8::/64")
    expect(second).to_contain_text("Not enforced: a listener plays there")
    expect(third).to_contain_text("Limits new connections of 198.51.100.7/32")
    expect(third).to_contain_text("Watched, not enforced yet")
    expect(page.locator("#rules-count")).to_have_text("412")
    expect(page.locator("#rules-rest")).to_contain_text("those with most events, of 412 in force")


def test_a_rule_is_released_and_none_moves_under_the_finger(browse: Browse, desk: Desk) -> None:
    desk.say(shield=ATTACK, rules=RULES)
    page = _page(browse, desk)
    button = page.get_by_role("button", name="Release: 198.51.100.7/32")
    button.focus()
    desk.say(rules=RULES[1:])  # the first has run out
    expect(page.locator(".rule")).to_have_count(2)
    assert page.evaluate("document.activeElement.ariaLabel") == "Release: 198.51.100.7/32"
    page.keyboard.press("Enter")
    _ordered(page, desk, "release", {"target": "198.51.100.7/32"})
    desk.say(shield={"rules": 0}, rules=[])
    expect(page.locator("#rules-part")).to_be_hidden()


def test_dry_run_and_siege_ask_before_something_can_be_lost(browse: Browse, desk: Desk) -> None:
    page = _page(browse, desk)
    dry_run, siege = (page.get_by_role("button", name=name, exact=True) for name in ("Dry run", "Siege"))
    dry_run.click()
    expect(page.locator("#ask-text")).to_contain_text("nobody is shut out by them. An attack gets through.")
    page.get_by_role("button", name="No, leave it").click()
    assert desk.orders == []
    dry_run.click()
    _confirm(page)
    _ordered(page, desk, "dry-run", {"dry_run": True})
    siege.click()
    expect(page.locator("#ask-text")).to_contain_text("Those who listen go on.")
    _confirm(page)
    _ordered(page, desk, "siege", {"siege": True})
    desk.say(show={"dry_run": True, "siege": True}, shield={"at_ms": 1}, revision=2)
    expect(siege).to_have_attribute("aria-pressed", "true")
    expect(dry_run).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#shield-notes")).to_contain_text("Siege: only tickets")
    expect(page.locator("#shield-notes")).to_contain_text("Dry run: rules are made and written down")
    siege.click()  # nothing is lost by it: no question
    _ordered(page, desk, "siege", {"siege": False})


@pytest.mark.parametrize("width", [320, 1_280])
def test_the_panel_has_names_and_room(browse: Browse, desk: Desk, width: int) -> None:
    desk.say(shield=ATTACK, rules=RULES)
    page = browse(f"{desk.url}#token", viewport={"width": width, "height": 700})
    expect(page.locator(".rule")).to_have_count(3)
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(SMALL) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_with_a_real_desk_orders_are_on_the_board_and_in_the_log(browse: Browse, tmp_path: Path) -> None:
    with running_desk(tmp_path) as running:
        made, now_ms = running.create(), time.time_ns() // 1_000_000
        rule = Rule("r1", "drop", "203.0.113.7/32", now_ms, now_ms + 60_000, enforced_ms=now_ms, hits=66)
        running.board.put("rules", Rules(now_ms, 1, (rule,)))
        running.board.put("shield", Shield(now_ms, Verdict.ATTACK, now_ms, 3, rules=1, drops_by="workers"))
        page = browse(made["crew_link"], locale="en-GB")
        page.get_by_role("button", name="Release: 203.0.113.7/32").click()
        expect(page.locator("#log .log-said").first).to_have_text("Released an IPv4 address")
        page.get_by_role("button", name="Siege", exact=True).click()
        _confirm(page)
        expect(page.get_by_role("button", name="Siege", exact=True)).to_have_attribute("aria-pressed", "true")
        (show,) = running.on_board().shows
        assert (show.released, show.siege, show.dry_run) == (("203.0.113.7/32",), True, False)
