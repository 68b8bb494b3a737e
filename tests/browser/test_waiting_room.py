"""The waiting room of the listener's page in Chromium, in front of a station whose line the test moves."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from browser.station import SHOW, Station
from browser.waiting import until
from stentor.core import eta
from stentor.formats import waiting

Browse = Callable[..., Page]

CAP_MS = 5_400_000
RETRY_AFTER_S = 2
DRAWN = {"commit": "c0", "key": "4b", "root": "f00d", "places": 2_000}
REFUSES_TO_PLAY = """
const play = HTMLMediaElement.prototype.play;
let touched = false; // what tests evaluate counts as a gesture for the browser
addEventListener("click", () => { touched = true; }, true);
HTMLMediaElement.prototype.play = function () {
  if (touched) return play.call(this);
  return Promise.reject(new DOMException("", "NotAllowedError"));
};
"""
COUNT_SAID = """() => {
  window.said = 0;
  new MutationObserver(() => { window.said += 1; })
    .observe(document.querySelector("#room-said"), { childList: true, characterData: true, subtree: true });
}"""


@pytest.fixture
def front() -> Iterator[Station]:
    """A station before its draw."""
    with Station(phase="open") as station:
        station.now |= {"starts_at_ms": station.wall_ms() + 900_000, "ends_at_ms": station.wall_ms() + CAP_MS}
        station.now |= {"gate": "gathering", "draw": {"commit": "c0", "base_s": station.wall_ms() // 1000 + 600}}
        yield station


def draw(station: Station, mark: int = 0, gate: str = "queue", **fields: Any) -> None:
    """Make the draw; then, or later, move the mark."""
    base_s = station.now["draw"]["base_s"]
    pace = {"rate_mps": 2_000, "seen": 900, "calls_mps": 10**6, "waiting": 2_000, "line_reason": "All seats are taken."}
    table = [[mark, mark * 2], [1_000, 2_000]]
    station.now |= {"gate": gate, "mark": mark, "table": table, "draw": DRAWN | {"base_s": base_s}, **pace, **fields}


def press(page: Page) -> None:
    page.get_by_role("button", name="Play", exact=True).click()


def asked(station: Station, what: str) -> list[str]:
    return [path for path in station.asked if path.startswith(f"/s/{SHOW}/{what}")]


def test_from_the_draw_to_the_sound_by_itself(browse: Browse, front: Station) -> None:
    page = browse(front.url)
    expect(page.locator("#when")).to_contain_text("Press play now to take part in the draw.")
    press(page)
    expect(page.locator("#room-label")).to_contain_text("Until the draw at")
    expect(page.locator("#room-lines")).to_contain_text(waiting.DRAWN_WORDS)
    expect(page.locator("#status")).to_have_text("")
    draw(front)
    expect(page.locator("#room-figure")).to_have_text("about 1,000")
    expect(page.locator("#room-lines")).to_contain_text("It takes between 5 and 12 minutes.")
    expect(page.locator("#room-lines")).to_contain_text("All seats are taken.")
    expect(page.locator("#room-lines")).to_contain_text(waiting.OFFER)
    draw(front, mark=400)
    expect(page.locator("#room-figure")).to_have_text("about 200")
    assert not asked(front, "listen") and not [path for path in front.asked if path.startswith("/live/")]
    draw(front, mark=500)
    until(page, "stentor.position_s !== null && !audio.paused")
    expect(page.locator("#room")).to_have_count(0)
    assert len(front.ranks) == 1, "one place"
    assert len(asked(front, "place/")) == 1, "the rank is asked for once; the rest is in `now`"
    assert len(asked(front, "join")) == 2


def test_a_line_of_which_nothing_new_is_heard_stands_still(browse: Browse, front: Station) -> None:
    """Its usher is down: how long it takes is not told by what was true before."""
    page = browse(front.url)
    press(page)
    draw(front, next_poll_ms=500)
    lines = page.locator("#room-lines")
    expect(lines).to_contain_text("It takes between 5 and 12 minutes.")
    front.heard_ms = front.wall_ms()
    expect(lines).to_contain_text(waiting.STANDS_WORDS)
    expect(lines).not_to_contain_text("It takes between")
    expect(page.locator("#room-figure")).to_have_text("about 1,000")
    front.heard_ms = 0
    expect(lines).to_contain_text("It takes between 5 and 12 minutes.")


def test_a_door_that_is_busy_is_asked_for_the_rank_no_sooner_than_it_says(browse: Browse, front: Station) -> None:
    page = browse(front.url)
    press(page)
    expect(page.locator("#room")).to_be_visible()
    page.evaluate("() => { Math.random = () => 0; window.asks = []; }")
    page.route("**/place/*", lambda route: _put_off(page, route))
    draw(front)
    until(page, "asks.length >= 2")
    assert page.evaluate("asks[1] - asks[0]") >= RETRY_AFTER_S * 1000


def test_the_more_there_are_in_the_draw_the_longer_they_take_to_ask(browse: Browse, front: Station) -> None:
    page = browse(front.url)
    press(page)
    expect(page.locator("#room")).to_be_visible()
    page.evaluate(
        """() => { window.waits = []; Math.random = () => 0.5; const set = setTimeout;
          window.setTimeout = (call, ms) => { waits.push(ms); return set(call, Math.min(ms, 50)); }; }"""
    )
    base_s = front.now["draw"]["base_s"]
    draw(front, draw=DRAWN | {"base_s": base_s, "places": 50_000})
    until(page, "waits.includes(50_000)")  # half of a hundred seconds


def test_also_who_has_no_feed_comes_again_when_a_busy_door_says_so(browse: Browse, front: Station) -> None:
    """HLS and MP3: they would give up, or try something else at once."""
    page = browse(front.url)
    page.evaluate("() => { Math.random = () => 0; window.asks = []; }")
    page.route("**/join*", lambda route: _put_off(page, route))
    page.evaluate(
        """async () => {
          const { Entry } = await import("/assets/00000000/listen/entry.js");
          const { Mp3 } = await import("/assets/00000000/listen/mp3.js");
          const entry = new Entry({ show: "night", kept: () => null });
          const audio = document.createElement("audio");
          new Mp3({ audio, show: "night", entry, now: () => ({ gate: "queue" }) }).start().catch(() => {});
          window.heard = audio;
        }"""
    )
    until(page, "asks.length >= 2")
    assert page.evaluate("asks[1] - asks[0]") >= RETRY_AFTER_S * 1000
    page.unroute("**/join*")
    page.route("**/join*", lambda route: route.fulfill(json={"ticket": "t", "seq": 1, "expires_ms": 1}))
    until(page, "heard.src.endsWith('/listen.mp3')")


def _put_off(page: Page, route: Route) -> None:
    page.evaluate("() => { asks.push(performance.now()); }")
    route.fulfill(status=503, headers={"Retry-After": str(RETRY_AFTER_S)}, json={"code": "busy"})


def test_a_reload_keeps_its_place(browse: Browse, front: Station) -> None:
    page = browse(front.url)
    press(page)
    expect(page.locator("#room")).to_be_visible()
    page.reload()
    expect(page.locator("#room-lines")).to_contain_text("Press play, and the sound comes by itself")
    draw(front, mark=500)
    until(page, "stentor.position_s !== null && !audio.paused")
    assert len(front.ranks) == 1
    page.reload()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    expect(page.locator("#room")).to_have_count(0)
    press(page)
    until(page, "stentor.position_s !== null")
    assert len(front.ranks) == 1


def test_a_second_tab_has_a_place_of_its_own(browse: Browse, front: Station) -> None:
    page = browse(front.url)
    press(page)
    expect(page.locator("#room")).to_be_visible()
    second = page.context.new_page()
    second.goto(front.url)
    press(second)
    expect(second.locator("#room")).to_be_visible()
    assert len(front.ranks) == 2
    second.close()
    page.reload()
    expect(page.locator("#room")).to_be_visible()
    assert len(front.ranks) == 2


def test_a_page_that_slept_through_its_turn_comes_in_when_it_wakes(browse: Browse, front: Station) -> None:
    draw(front)
    page = browse("about:blank")
    page.clock.install()
    page.goto(front.url)
    press(page)
    expect(page.locator("#room-figure")).to_have_text("about 1,000")
    page.clock.pause_at(time.time() + 600)
    page.wait_for_timeout(1_000)  # what it had asked for is answered
    asked_before = len(front.asked)
    draw(front, mark=1 << 50)
    page.wait_for_timeout(3_000)  # more than any poll
    assert len(front.asked) == asked_before, "it sleeps"
    page.clock.resume()
    until(page, "stentor.position_s !== null && !audio.paused")
    assert len(front.ranks) == 1


def test_whoever_may_not_start_by_itself_is_asked_to_press_play(browse: Browse, front: Station) -> None:
    first = browse(front.url)
    press(first)
    expect(first.locator("#room")).to_be_visible()
    page = first.context.new_page()  # as after the browser was closed: nobody has touched this page
    first.close()
    page.add_init_script(REFUSES_TO_PLAY)
    page.goto(front.url)
    draw(front, mark=500)
    expect(page.locator("#status")).to_have_text("Your browser wants you to press play.")
    page.locator("#play").click()
    until(page, "stentor.position_s !== null && !audio.paused")
    assert len(front.ranks) == 1


def test_who_does_not_want_to_start_by_itself_does_not(browse: Browse, front: Station) -> None:
    page = browse(front.url)
    press(page)
    expect(page.locator("#room-lines")).to_contain_text("Leave this page open")
    page.get_by_role("button", name="Do not start by itself").click()
    draw(front, mark=500)
    expect(page.locator("#room-label")).to_have_text("Your turn")
    page.wait_for_timeout(2_500)  # more than any jitter
    assert page.evaluate("audio.paused")
    page.get_by_role("button", name="Start by itself").click()
    until(page, "stentor.position_s !== null && !audio.paused")


def test_a_place_that_is_none_any_more_is_replaced(browse: Browse, front: Station) -> None:
    page = browse(front.url)
    press(page)
    expect(page.locator("#room")).to_be_visible()
    front.ranks.clear()
    page.reload()
    press_again = page.get_by_role("button", name="Start by itself")
    press_again.click()
    until(page, "document.querySelector('#room') !== null")
    expect(page.locator("#room-lines")).to_contain_text("Leave this page open")
    draw(front, mark=500)
    until(page, "stentor.position_s !== null")


def test_a_closed_door_says_so_and_the_place_is_kept(browse: Browse, front: Station) -> None:
    draw(front)
    page = browse(front.url)
    press(page)
    expect(page.locator("#room-figure")).to_have_text("about 1,000")
    draw(front, gate="closed", line_reason="The studio is full of smoke.")
    expect(page.locator("#room-lines")).to_contain_text(waiting.CLOSED_WORDS)
    expect(page.locator("#room-lines")).to_contain_text("The studio is full of smoke.")
    draw(front, gate="free")
    until(page, "stentor.position_s !== null")


def test_the_end_of_the_show_is_the_end_of_the_wait(browse: Browse, front: Station) -> None:
    draw(front)
    page = browse(front.url)
    press(page)
    expect(page.locator("#room")).to_be_visible()
    front.end()
    expect(page.locator("#room")).to_have_count(0)
    expect(page.locator("#lamp")).to_have_text("Recording")


def test_ears_are_told_what_changes_in_kind_not_every_second(browse: Browse, front: Station) -> None:
    page = browse(front.url)
    press(page)
    expect(page.locator("#room-said")).to_contain_text("Until the draw")
    page.evaluate(COUNT_SAID)
    figure = page.locator("#room-figure").text_content()
    until(page, "(before) => document.querySelector('#room-figure').textContent !== before", figure)
    assert page.evaluate("window.said") == 0
    draw(front)
    expect(page.locator("#room-said")).to_contain_text("about 1,000 ahead of you")
    for mark in (10, 20, 30):
        draw(front, mark=mark)
        expect(page.locator("#room-figure")).to_have_text(f"about {1_000 - 2 * mark}")
    assert page.evaluate("window.said") <= 2  # "being looked up" may come between


def test_the_page_computes_what_the_door_computes(browse: Browse, front: Station) -> None:
    rng = random.Random(4)
    cases = []
    for _ in range(200):
        points = sorted((rng.randrange(2**40), rng.randrange(10**6)) for _ in range(rng.randrange(2, 64)))
        table = [[rank, count] for (rank, _), count in zip(points, sorted(c for _, c in points), strict=True)]
        pace = eta.Pace(
            rng.choice([0, rng.randrange(1, 10**6)]), rng.randrange(1, 10**4), rng.randrange(-50, 50),
            rng.randrange(0, 90), rng.randrange(0, 10**6), 5_000,
        )  # fmt: skip
        cases.append([table, rng.randrange(2**40), rng.randrange(2**40), pace._asdict(), rng.uniform(-10, 9_000)])
    page = browse(front.url)
    theirs = page.evaluate(
        """async (cases) => {
          const { ahead, rangeS, chance } = await import("/assets/00000000/listen/line.js");
          return cases.map(([table, mark, rank, pace, leftS]) => {
            const count = ahead({ table, mark }, rank);
            return [count, rangeS(count, pace), chance(count, pace, leftS)];
          });
        }""",
        cases,
    )
    for (table, mark, rank, pace, left_s), (count, range_s, chance) in zip(cases, theirs, strict=True):
        ours = eta.ahead([tuple(point) for point in table], mark, rank)
        assert count == ours
        expected = eta.range_s(ours, eta.Pace(**pace))
        assert range_s == (list(expected) if expected else None)
        assert chance == pytest.approx(eta.chance(ours, eta.Pace(**pace), left_s), abs=0.011)


def test_the_page_says_what_the_door_says(browse: Browse, front: Station) -> None:
    counts = [0, 1, 7, 99, 100, 104, 995, 996, 1_237, 12_345, 999_999]
    ranges = [None, [0, 20], [0, 61], [370, 520], [540, 540], [61, 7_200], [3_000, 7_201], [7_200, 10_000], [0, 3_601]]
    chances = [0.0, 0.04, 0.05, 0.3, 0.71, 0.94, 0.95, 1.0]
    page = browse(front.url)
    theirs = page.evaluate(
        """async ([counts, ranges, chances]) => {
          const waits = await import("/assets/00000000/listen/waits.js");
          const { words } = await import("/assets/00000000/listen/verdict.js");
          const verdicts = ["calm", "crowd", "undecided", "attack"].map((verdict) => words({ verdict: { verdict } }));
          const fixed = [waits.OFFER, waits.DRAWN, waits.AFTER_DRAW, waits.CLOSED, waits.STANDS];
          const said = [false, true].map((assumed) => chances.map((chance) => waits.chanceWords(chance, assumed)));
          return [counts.map(waits.countWords), ranges.map(waits.etaWords), said, fixed, verdicts];
        }""",
        [counts, ranges, chances],
    )
    assert theirs == [
        [list(waiting.count_words(count)) for count in counts],
        [waiting.eta_words(tuple(one) if one else None) for one in ranges],
        [[waiting.chance_words(chance, assumed=assumed) for chance in chances] for assumed in (False, True)],
        [
            waiting.OFFER,
            waiting.DRAWN_WORDS,
            waiting.AFTER_DRAW_WORDS,
            waiting.CLOSED_WORDS,
            waiting.STANDS_WORDS,
        ],
        ["", *(waiting.VERDICT_WORDS[verdict] for verdict in ("crowd", "undecided", "attack"))],
    ]
