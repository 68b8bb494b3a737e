"""The listener page in Chromium while latency is given up, and what is said between chunks."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from browser.station import Station
from browser.waiting import until

LEAD_S = 8.0
LEAST_MARGIN_MS = 100
WARM_UP_N = 8

Browse = Callable[..., Page]


def figure(page: Page, name: str) -> float:
    return page.evaluate(f"stentor.{name}")


def press(page: Page) -> None:
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "stentor.position_s !== null && !audio.paused && audio.readyState > 2")


def plays_to(page: Page, n: float, station: Station) -> None:
    """Until chunk `n` is heard."""
    until(page, "(seconds) => stentor.position_s >= seconds", arg=n * station.grid.chunk_samples / 48_000)


def has(page: Page, n: int) -> None:
    """Until the page has chunk `n`."""
    until(page, "(n) => stentor.n >= n", arg=n)


def test_the_margin_for_larger_pieces_is_there_before_they_come(browse: Browse, station: Station) -> None:
    """Whether that is without a stall is for bench/ladder.py: here the machine may be busy."""
    page = browse(station.url)
    press(page)
    plays_to(page, station.head + WARM_UP_N, station)
    before = page.evaluate("stentor")
    pairs = station.regroup(2, LEAD_S)
    expect(page.locator("#status")).to_have_text("Larger pieces.")
    has(page, pairs - 1)
    assert figure(page, "behind_ms") > 1_000 + LEAST_MARGIN_MS
    has(page, pairs + 4)
    fours = station.regroup(4, LEAD_S)
    has(page, fours - 1)
    assert figure(page, "behind_ms") > 2_000 + LEAST_MARGIN_MS
    has(page, fours + 4)
    after = page.evaluate("stentor")
    assert after["skips"] == 0
    stalls = after["stalls"] - before["stalls"]
    assert after["rate_changes"] - before["rate_changes"] <= 4 + 2 * stalls
    singly = station.regroup(1, 1.0)
    has(page, singly)
    expect(page.locator("#status")).to_have_text("")


def test_who_comes_while_pieces_are_large_starts_behind_them(browse: Browse, station: Station) -> None:
    station.grouping = (4, 4, 0)
    page = browse(station.url)
    press(page)
    plays_to(page, station.head + WARM_UP_N, station)
    assert figure(page, "behind_ms") > 2_000 + LEAST_MARGIN_MS


def test_a_warning_without_time_is_one_move_back(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    plays_to(page, station.head + WARM_UP_N, station)
    has(page, station.regroup(2, 0.0) + 4)
    assert figure(page, "behind_ms") > 1_000
    assert figure(page, "skips") == 0


def test_a_notice_is_there_before_it_is_asked_for(browse: Browse, station: Station) -> None:
    station.now["next_poll_ms"] = 60_000
    page = browse(station.url)
    press(page)
    asked = sum(path.endswith("/now") for path in station.asked)
    station.say(notice="We go on until <b>ten</b>.")
    expect(page.locator("#notice-text")).to_have_text("We go on until <b>ten</b>.")
    station.say(notice="")
    expect(page.locator("#notice")).to_be_hidden()
    assert sum(path.endswith("/now") for path in station.asked) == asked


def test_what_is_polled_later_counts_what_was_polled_before_does_not(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    station.say(notice="Between chunks.", at_ms=station.wall_ms() + 3_600_000)
    expect(page.locator("#notice-text")).to_have_text("Between chunks.")
    station.now["notice"] = "Older."
    polls = len(station.asked_of["page"])
    while len(station.asked_of["page"]) < polls + 2:
        page.wait_for_timeout(100)
    expect(page.locator("#notice-text")).to_have_text("Between chunks.")
    station.say(notice="Between chunks.", at_ms=station.wall_ms() - 3_600_000)
    expect(page.locator("#notice-text")).to_have_text("Older.")


def test_where_nothing_is_said_in_the_stream_the_page_asks_more_often(browse: Browse, station: Station) -> None:
    station.now["next_poll_ms"] = 5_000
    page = browse(station.url, script="delete window.MediaSource; delete window.ManagedMediaSource;")
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "audio.currentTime > 0.5")
    page.wait_for_timeout(6_000)  # until the poll that was asked for before is over
    before = len(station.asked_of["page"])
    page.wait_for_timeout(6_000)
    assert len(station.asked_of["page"]) - before >= 3
