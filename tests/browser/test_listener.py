"""The listener page in Chromium, in front of a station that misbehaves on request."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from browser.station import SHOW, WEB, Station, served
from browser.waiting import until

PAGE_BYTES_MAX = 20_000
STEADY_S = 10
STAYS_LIVE_MS = 2_500  # sanity, not a figure: this machine may be busy

Browse = Callable[..., Page]

FULL_ONCE = """
const append = SourceBuffer.prototype.appendBuffer;
window.refusals = 0;
SourceBuffer.prototype.appendBuffer = function (bytes) {
  if (window.fillUp && window.refusals < 2) {
    window.refusals += 1;
    throw new DOMException("full", "QuotaExceededError");
  }
  return append.call(this, bytes);
};
"""


def figure(page: Page, name: str) -> float:
    return page.evaluate(f"stentor.{name}")


def press(page: Page) -> None:
    """Press play and wait for sound."""
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "stentor.position_s !== null && !audio.paused && audio.readyState > 2")


def plays_on(page: Page, seconds: float) -> None:
    """Wait until the playhead is so much further."""
    until(page, "(until) => stentor.position_s > until", arg=figure(page, "position_s") + seconds)


def buffered(page: Page) -> list[list[float]]:
    return page.evaluate(
        "[...Array(audio.buffered.length).keys()].map((k) => [audio.buffered.start(k), audio.buffered.end(k)])"
    )


def test_plays_without_a_stall_and_shows_how_far_behind(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    expect(page.get_by_role("heading", name="The Long Night")).to_be_visible()
    expect(page.locator("#lamp")).to_have_text("On air")
    expect(page.locator("#voices")).to_have_text("with Ada and Grace")
    expect(page.locator("#audience")).to_have_text("12,345 listening")
    press(page)
    plays_on(page, STEADY_S)
    assert figure(page, "skips") == 0
    assert len(buffered(page)) == 1
    assert 500 < figure(page, "behind_ms") < STAYS_LIVE_MS
    expect(page.locator("#behind")).to_have_text(re.compile(r"^\d\.\d s behind live$"))
    assert page.evaluate("navigator.mediaSession.metadata.title") == "The Long Night"


def test_after_a_cut_it_goes_on_at_the_chunk_it_had(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    plays_on(page, 1)
    station.cut()
    until(page, "(n) => stentor.n > n", arg=station.head + 6)
    again = [path for path in station.asked if path.startswith("/live/")][-1]
    assert int(again.split("from=")[1]) <= station.head
    assert len(buffered(page)) == 1, "no chunk is missing"
    assert figure(page, "skips") == 0


def test_a_stall_is_counted_though_the_chunk_is_there_when_it_is_told(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    plays_on(page, 2)
    before = figure(page, "stalls")
    station.publish_lag_s = 1.5
    until(page, "(count) => stentor.stalls > count", arg=before)
    station.publish_lag_s = 0.01
    plays_on(page, 1)


def test_a_revoked_ticket_is_renewed(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    station.revoke()
    station.cut()
    until(page, "(n) => stentor.n > n", arg=station.head + 4)
    assert sum(path.endswith("/join") for path in station.asked) == 2


def joins(station: Station) -> int:
    return sum(path.endswith("/join") for path in station.asked)


def test_comes_back_by_the_ticket_of_the_edge_and_not_by_way_of_the_door(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    plays_on(page, 1)
    station.tickets = {one for one in station.tickets if one.startswith("again-")}  # what the door gave has expired
    station.cut()
    until(page, "(n) => stentor.n > n", arg=station.head + 4)
    assert joins(station) == 1
    assert figure(page, "skips") == 0


def test_a_reload_keeps_the_ticket_and_a_copied_tab_gets_its_own(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    plays_on(page, 1)
    page.reload()
    press(page)
    plays_on(page, 1)
    assert joins(station) == 1
    with page.expect_popup() as opened:
        page.evaluate("void window.open(location.href)")  # with a copy of this tab's session storage
    press(opened.value)
    plays_on(opened.value, 1)
    assert joins(station) == 2
    playing = {path.split("/")[2] for path in station.asked if path.startswith("/live/again-")}
    assert len(playing) == 1, "the second tab has not come back by the first one's ticket"


def test_jumps_over_chunks_that_were_never_sent(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    gone = range(station.head + 3, station.head + 6)
    station.skipped.update(gone)
    until(page, "(n) => stentor.position_s > n / 2", arg=gone.stop + 2)
    assert figure(page, "skips") == 1
    assert figure(page, "behind_ms") < STAYS_LIVE_MS + 2_000


def test_lives_through_a_full_buffer(browse: Browse, station: Station) -> None:
    page = browse(station.url, script=FULL_ONCE)
    press(page)
    plays_on(page, 2)
    page.evaluate("window.fillUp = true")
    until(page, "window.refusals === 2")
    plays_on(page, 3)
    assert figure(page, "skips") == 0


def test_takes_another_header_when_the_codec_changes(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    station.programs["opus"] = station.programs["aac"]
    station.headers_sent["opus"] = station.headers_sent["aac"]
    station.cut()
    until(page, "(n) => stentor.n > n", arg=station.head + 4)
    plays_on(page, 2)
    assert page.evaluate("audio.error") is None


def test_falls_back_to_the_public_origin(browse: Browse, station: Station) -> None:
    station.dark = True
    page = browse(station.url)
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "document.querySelector('#status').dataset.kind === 'trouble'")
    assert [path for path in station.asked_of["page"] if path.startswith("/live/")], (
        "tried by way of the page's own origin"
    )
    station.dark = False
    until(page, "stentor.position_s !== null")


def test_back_to_the_first_second_and_live_again(browse: Browse) -> None:
    with Station(age_s=120) as station:
        page = browse(station.url)
        press(page)
        page.get_by_role("button", name="Back 15 seconds").click()
        until(page, "stentor.behind_ms > 15000")
        page.get_by_label("Position in the show").press("Home")
        until(page, "stentor.position_s > 1.5 && stentor.position_s < 20")
        assert any(f"/archive/{SHOW}/opus/2-" in path for path in station.asked), "from the first chunk on tape"
        assert "behind live" in (page.get_by_label("Position in the show").get_attribute("aria-valuetext") or "")
        page.get_by_role("button", name="Go live").click()
        until(page, "stentor.position_s > 100 && stentor.behind_ms < 5000")


def test_turns_into_the_recording_without_a_reload(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    press(page)
    page.evaluate("window.sameDocument = true")
    station.end(after=3)
    expect(page.locator("#lamp")).to_have_text("Recording")
    page.get_by_role("button", name="Play the recording").click()
    until(page, "audio.src.endsWith('/replay.m4a') && audio.currentTime > 0.5")
    assert page.evaluate("window.sameDocument") is True
    links = page.locator(".files a").evaluate_all("all => all.map((a) => new URL(a.href).pathname)")
    assert f"/archive/{SHOW}/replay.opus" in links
    assert f"/archive/{SHOW}/proof/opus.json" in links
    expect(page.locator("pre")).to_contain_text("stentor verify")


def test_counts_down_and_begins_by_itself(browse: Browse) -> None:
    with Station(phase="announced") as station:
        station.now["starts_at_ms"] = station.wall_ms() + 125_000
        page = browse(station.url)
        expect(page.locator("#clock")).to_have_text(re.compile(r"^2:0\d$"))
        page.get_by_role("button", name="Start by itself").click()
        page.wait_for_timeout(1_000)
        assert not [path for path in station.asked if path.startswith("/live/")], (
            "before the doors open nothing is asked for"
        )
        station.now |= {"phase": "live", "starts_at_ms": station.wall_ms()}
        until(page, "stentor.position_s !== null && audio.currentTime > 1")
        expect(page.locator("#lamp")).to_have_text("On air")


def test_what_is_at_the_door_is_said_in_one_calm_sentence(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    expect(page.locator("#lamp")).to_have_text("On air")
    expect(page.locator("#verdict")).to_have_count(0)
    station.now |= {"verdict": {"verdict": "attack", "since_ms": 1, "level": 3, "words": [], "error": ""}}
    expect(page.locator("#verdict")).to_contain_text("There seems to be an attack on the door")
    station.now |= {"verdict": {"verdict": "calm"}}
    expect(page.locator("#verdict")).to_be_hidden()


@pytest.mark.parametrize(
    ("change", "lamp", "words"),
    [
        ({"phase": "held", "reason": "The studio has no power"}, "Late", "The studio has no power"),
        ({"phase": "cancelled", "reason": "The guest is ill"}, "Cancelled", "The guest is ill"),
        ({"phase": "drawn"}, "Doors open", "starts by itself"),
        ({"phase": "live", "holding": True}, "On hold", "Nobody is speaking"),
        ({"phase": "ended", "end_n": 9}, "Off air", "recording is about to be here"),
    ],
)
def test_says_what_is(browse: Browse, station: Station, change: dict[str, object], lamp: str, words: str) -> None:
    station.now |= {**change, "notice": "We go on until <b>ten</b>."}
    page = browse(station.url)
    expect(page.locator("#lamp")).to_have_text(lamp)
    expect(page.locator("#when")).to_contain_text(words)
    expect(page.locator("#notice-text")).to_have_text("We go on until <b>ten</b>.")


def test_the_plain_stream_where_there_is_no_push(browse: Browse, station: Station) -> None:
    page = browse(station.url, script="delete window.MediaSource; delete window.ManagedMediaSource;")
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, f"audio.src.endsWith('/s/{SHOW}/listen.mp3') && audio.currentTime > 0.5")


def test_without_scripts_there_is_a_player(browse: Browse, station: Station) -> None:
    page = browse(station.url, java_script_enabled=False)
    player = page.locator("noscript audio")
    assert player.get_attribute("src") == f"/s/{SHOW}/listen.mp3"
    assert player.get_attribute("controls") is not None


def test_the_page_is_small_and_asks_nobody_else(browse: Browse, station: Station) -> None:
    urls: list[str] = []
    page = browse("about:blank")
    page.on("request", lambda request: urls.append(request.url))
    page.goto(station.url)
    press(page)
    before = urls[: next(k for k, url in enumerate(urls) if "/live/" in url)]
    files = {WEB / url.split("/assets/00000000/")[1] for url in before if "/assets/" in url}
    sizes = {file.name: len(gzip.compress(served(file))) for file in files}
    sizes["index.html"] = len(gzip.compress(station.html()))
    assert {"listen.js", "push.js", "theme.css"} <= sizes.keys()
    assert sum(sizes.values()) <= PAGE_BYTES_MAX, sizes
    ours = (f"http://127.0.0.1:{station.page_port}/", f"http://127.0.0.1:{station.media_port}/", "blob:", "data:")
    assert [url for url in urls if not url.startswith(ours)] == []
