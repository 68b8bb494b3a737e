"""The listener page by HLS from real roles: without streams, and where they are held back on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

import stentor.web
from browser.shows import own_shows
from browser.waiting import until
from stentor.formats.crew import NewShow, ShowMade
from support.running import Running, installation
from support.running import until as running_until

HLS_JS = Path(stentor.web.__file__).parent / "vendor" / "hls.js"
NO_STREAMS = "delete Response.prototype.body;"
NO_MEDIA_SOURCE = "delete window.MediaSource; delete window.ManagedMediaSource;"
HEARD = "stentor.position_s !== null && !audio.paused && audio.readyState > 2"

Announce = Callable[[], ShowMade]
Browse = Callable[..., Page]
pytestmark = pytest.mark.skipif(not HLS_JS.exists(), reason="hls.js is not installed (npm is missing)")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with installation(tmp_path_factory.mktemp("hls")) as running:
        running.start()
        yield running


@pytest.fixture
def announce(running: Running) -> Iterator[Announce]:
    """Announces a show that starts in a second."""
    with own_shows(running) as give:
        yield lambda: give(NewShow("The Long Night", starts_in_s=1.0))


def asked(page: Page) -> list[str]:
    """Paths of what the page asks for from now on."""
    paths: list[str] = []
    page.on("request", lambda request: paths.append(re.sub(r"^https?://[^/]+", "", request.url)))
    return paths


def press(page: Page) -> None:
    expect(page.locator("#lamp")).to_have_text(re.compile("On air|On hold"))
    page.get_by_role("button", name="Play", exact=True).click()


def test_without_streams_hls_js_plays_and_the_show_turns_into_its_recording(
    announce: Announce, browse: Browse, running: Running
) -> None:
    made = announce()
    page = browse("about:blank", script=NO_STREAMS)
    paths = asked(page)
    page.goto(made.listener_link)
    press(page)
    until(page, HEARD)
    begun = page.evaluate("stentor.position_s")
    until(page, "(begun) => stentor.position_s > begun + 6", arg=begun)
    assert 500 < page.evaluate("stentor.behind_ms") < 8_000
    expect(page.locator("#behind")).to_have_text(re.compile(r"^\d\.\d s behind live$"))
    assert any(re.search(r"/live\.m3u8\?_HLS_msn=\d+&_HLS_part=\d+", path) for path in paths), "low latency"
    assert any(path.startswith("/assets/") and path.endswith("/vendor/hls.js") for path in paths)
    page.get_by_label("Position in the show").press("Home")
    until(page, "stentor.position_s !== null && stentor.behind_ms > 5000 && audio.readyState > 2")
    until(page, "(begun) => stentor.position_s < begun", arg=begun)
    page.get_by_role("button", name="Go live").click()
    until(page, "stentor.position_s !== null && stentor.behind_ms < 5000")
    assert running.run("show", "end", made.show).returncode == 0
    expect(page.locator("#lamp")).to_have_text("Recording")
    page.get_by_role("button", name="Play the recording").click()
    until(page, "audio.src.endsWith('/replay.m4a') && audio.currentTime > 0.5")


def test_whoever_plays_says_so_and_stops_when_the_ticket_is_revoked(announce: Announce, browse: Browse) -> None:
    made = announce()
    page = browse("about:blank", script=NO_STREAMS)
    page.goto(made.listener_link)
    with page.expect_response(re.compile(r"/live/[^/]+/beacon$")) as beacon:
        press(page)
    assert beacon.value.status == 204
    until(page, HEARD)
    problem = {"code": "ticket-revoked", "status": 403}
    page.route(re.compile(r"/beacon$"), lambda route: route.fulfill(status=403, json=problem))
    page.reload()
    press(page)
    expect(page.get_by_text("Your ticket was revoked by the crew of this show.")).to_be_visible()
    until(page, "audio.paused && stentor.position_s === null")


def test_reloads_that_a_proxy_cuts_are_made_again(announce: Announce, browse: Browse) -> None:
    made = announce()
    page = browse("about:blank", script=NO_STREAMS)
    paths, cuts = asked(page), [1, 2, 3, 4]  # in a row
    page.goto(made.listener_link)
    press(page)
    until(page, HEARD)
    whole = re.compile(r"/live\.m3u8\?_HLS_msn=")
    page.route(whole, lambda route: route.abort("connectionreset") if cuts and cuts.pop() else route.continue_())
    running_until(lambda: page.wait_for_timeout(50) or not cuts, "all are cut")
    begun = page.evaluate("stentor.position_s")
    until(page, "(begun) => stentor.position_s > begun + 5", arg=begun)
    assert sum(path.endswith("/join") for path in paths) == 1, "it went on where it was, by the same means"


def test_after_a_long_stall_it_goes_on_at_live(announce: Announce, browse: Browse) -> None:
    made = announce()
    page = browse("about:blank", script=NO_STREAMS)
    page.goto(made.listener_link)
    press(page)
    until(page, HEARD + " && stentor.behind_ms < 4000")
    held: list[Route] = []
    over: list[bool] = []
    page.route(re.compile(r"/live/"), lambda route: route.continue_() if over else held.append(route))
    until(page, "stentor.stalls > 0 && stentor.behind_ms > 6000")
    over.append(True)
    for route in held:
        route.continue_()
    until(page, HEARD + " && stentor.behind_ms < 4000")


def test_by_the_browser_itself_where_there_is_no_media_source(announce: Announce, browse: Browse) -> None:
    made = announce()
    page = browse("about:blank", script=NO_MEDIA_SOURCE)
    paths = asked(page)
    page.goto(made.listener_link)
    if not page.evaluate("audio.canPlayType('application/vnd.apple.mpegurl')"):
        pytest.skip("this Chromium does not play HLS")
    press(page)
    until(page, "audio.src.endsWith('/index.m3u8') && !audio.paused && audio.readyState > 2")
    heard = page.evaluate("audio.currentTime")
    until(page, "(heard) => audio.currentTime > heard + 2", arg=heard)
    assert not any(path.endswith("/hls.js") for path in paths)


def test_where_endless_answers_are_kept_back_hls_takes_over(announce: Announce, browse: Browse) -> None:
    made = announce()
    page = browse("about:blank")
    page.route(re.compile(r"/live/[^/]+/opus\?"), lambda route: None)  # never answered
    page.goto(made.listener_link)
    press(page)
    until(page, HEARD + " && audio.currentTime > 1")
