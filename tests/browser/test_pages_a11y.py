"""What people need who do not see the page, or not its colours, or have no mouse. All pages, both colour schemes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from browser.desk import Desk, desk_pages
from browser.station import Station
from browser.waiting import until

Browse = Callable[..., Page]

AA_TEXT = 4.5  # WCAG 2.2, 1.4.3
AA_PARTS = 3.0  # 1.4.11

NAMELESS = """
() => [...document.querySelectorAll("button, input, select, textarea, a[href], [role=meter]")]
  .filter((part) => part.checkVisibility())
  .filter((part) => !(part.getAttribute("aria-label") || part.labels?.[0]?.innerText || part.textContent).trim())
  .map((part) => part.outerHTML)
"""
SMALL = """
() => [...document.querySelectorAll("button, select, input:not([type=checkbox])")]
  .filter((part) => part.checkVisibility())
  .map((part) => [part.outerHTML, part.getBoundingClientRect()])
  .filter(([, box]) => box.width < 24 || box.height < 24)
  .map(([html]) => html)
"""
COLOURS = """
() => Object.fromEntries(
  ["ground", "panel", "ink", "soft", "air", "air-fill", "on-air", "hold", "good", "edge", "focus"].map(
    (name) => [name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()]))
"""


@pytest.fixture
def desk() -> Iterator[Desk]:
    with desk_pages() as desk:
        yield desk


def listener(browse: Browse, station: Station, **options: object) -> Page:
    page = browse(station.url, **options)
    page.get_by_role("button", name="Play", exact=True).click()
    page.get_by_label("Position in the show").wait_for()
    return page


def luminance(colour: str) -> float:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def long_form(colour: str) -> str:
    return colour if len(colour) == 7 else "#" + "".join(2 * part for part in colour[1:])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast(browse: Browse, station: Station, scheme: str) -> None:
    found = browse(station.url, color_scheme=scheme).evaluate(COLOURS)
    colour = {name: long_form(value) for name, value in found.items()}
    for ground in ("ground", "panel"):
        for ink in ("ink", "soft", "air", "hold", "good"):
            assert contrast(colour[ink], colour[ground]) >= AA_TEXT, (scheme, ink, ground)
        for part in ("edge", "focus", "air-fill"):
            assert contrast(colour[part], colour[ground]) >= AA_PARTS, (scheme, part, ground)
    assert contrast(colour["on-air"], colour["air-fill"]) >= AA_TEXT


@pytest.mark.parametrize("name", ["listen", "crew", "speak"])
def test_every_control_has_a_name_and_room_for_a_finger(
    browse: Browse, station: Station, desk: Desk, name: str
) -> None:
    if name == "listen":
        page = listener(browse, station, viewport={"width": 320, "height": 640})
    else:
        page = browse(f"{desk.url}{'speak' if name == 'speak' else ''}#token", viewport={"width": 320, "height": 640})
        page.get_by_role("button", name="Use the microphone").click()
        page.get_by_role("button", name="Join").wait_for()
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(SMALL) == []
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    assert page.locator("[role=status]").count() >= 1
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 320, f"{width} px: nothing is cut off on a small telephone (1.4.10)"


def test_the_player_by_keyboard(browse: Browse, station: Station) -> None:
    page = browse(station.url)
    page.locator("#play").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "play"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    until(page, "stentor.position_s !== null && document.querySelector('#back')?.checkVisibility()")
    reached = [page.keyboard.press("Tab") or page.evaluate("document.activeElement.id") for _ in range(4)]
    assert reached == ["live", "seek", "mute", "volume"]
    page.get_by_label("Volume").press("ArrowLeft")
    assert page.evaluate("audio.volume") == pytest.approx(0.95)
    mute = page.get_by_role("button", name="Mute")
    mute.press("Space")
    expect(mute).to_have_attribute("aria-pressed", "true")
    page.locator("#play").press("Space")
    until(page, "audio.paused")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_nothing_moves_for_those_who_do_not_want_it(browse: Browse, station: Station) -> None:
    page = listener(browse, station, reduced_motion="reduce")
    until(page, "document.querySelector('#horn').dataset.sound === 'on'")
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_crew_page_tells_trouble_in_words_and_asks_before_the_end(browse: Browse, desk: Desk) -> None:
    page = browse(f"{desk.url}#token")
    expect(page.locator("#lamp")).to_have_text("On air")
    expect(page.locator("#health")).to_contain_text("trouble: silent for 9 s")
    expect(page.locator("#health")).to_contain_text("trouble: disk full. The show goes on.")
    expect(page.locator("#backstage .seat-name")).to_have_text("<i>Eve</i>")
    expect(page.get_by_role("button", name="Go live now")).to_be_disabled()
    desk.orders.clear()
    page.get_by_role("button", name="End the show").click()
    page.get_by_role("button", name="No, go on").click()
    assert desk.orders == []
    with page.expect_response("**/crew/api/seats/eve"):
        page.get_by_role("button", name="Put on air: <i>Eve</i>").click()
    page.get_by_role("button", name="End the show").click()
    with page.expect_response("**/crew/api/wish"):
        page.locator("#ask-yes").click()
    until(page, "!document.querySelector('#ask').open")
    expect(page.locator("#says")).to_be_hidden()
    assert ("/crew/api/seats/eve", {"on_air": True}) in desk.orders
    assert any(path == "/crew/api/wish" and order["wish"] == "end" for path, order in desk.orders)


@pytest.mark.parametrize("path", ["", "speak"])
def test_an_address_without_its_secret_says_so(browse: Browse, desk: Desk, path: str) -> None:
    page = browse(desk.url + path)
    expect(page.get_by_text(re.compile("the part behind the # is missing"))).to_be_visible()
