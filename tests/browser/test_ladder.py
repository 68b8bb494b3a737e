"""The listener page in Chromium while latency is given up, and what is said between chunks."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from browser.station import Station
from browser.waiting import until

LEAD_S = 8.0
SETTLED_S = 4
WARM_UP_S = 4

Browse = Callable[..., Page]


def figure(page: Page, name: str) -> float:
    return page.evaluate(f"stentor.{name}")


def press(page: Page) -> None:
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "stentor.position_s !== null && !audio.paused && audio.readyState > 2")


def plays_to(page: Page, n: float, station: Station) -> None:
    """Until chunk `n` is heard."""
    seconds = n * station.grid.chunk_samples / 48_000
    while figure(page, "position_s") < seconds:
        page.wait_for_timeout(200)


def settles(page: Page, station: Station, n: int) -> None:
    plays_to(page, n + SETTLED_S * 48_000 / station.grid.chunk_samples, station)


def test_larger_pieces_come_without_a_stall_and_the_page_says_why(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    plays_to(page, station.head + 2 * WARM_UP_S, station)
    before = page.evaluate("stentor")
    pairs = station.regroup(2, LEAD_S)
    expect(page.locator("#status")).to_have_text("Larger pieces.")
    settles(page, station, pairs)
    assert figure(page, "behind_ms") > 1_000
    fours = station.regroup(4, LEAD_S)
    settles(page, station, fours)
    after = page.evaluate("stentor")
    assert after["behind_ms"] > 2_000
    assert after["stalls"] == before["stalls"], after
    assert after["skips"] == 0
    assert after["rate_changes"] - before["rate_changes"] <= 4
    station.regroup(1, 1.0)
    until(page, "audio.playbackRate > 1")  # back to less delay, no words lost
    assert figure(page, "stalls") == after["stalls"]
    expect(page.locator("#status")).to_have_text("")


def test_who_comes_while_pieces_are_large_starts_behind_them(browse: Browse, station: Station) -> None:
    station.grouping = (4, 4, 0)
    page = browse(station.url)
    press(page)
    plays_to(page, station.head + 8, station)
    assert 2_000 < figure(page, "behind_ms") < 3_500
    assert figure(page, "stalls") == 0


def test_a_warning_without_time_is_one_move_back(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    plays_to(page, station.head + 2 * WARM_UP_S, station)
    settles(page, station, station.regroup(2, 0.0))
    assert figure(page, "behind_ms") > 1_000


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
