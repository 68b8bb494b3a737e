"""The after-action report in a browser: without scripts, by a screen reader, on a telephone, and from nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.test_pages_a11y import AA_PARTS, AA_TEXT, NAMELESS, contrast, long_form
from stentor.nodes import after_action as after
from support.evening import SHOW, Evening

Browse = Callable[..., Page]
HEADINGS = "() => [...document.querySelectorAll('h1, h2, h3')].map((part) => Number(part.tagName[1]))"
SPILLS = """() => [...document.querySelectorAll("main *")]
  .filter((part) => !part.closest(".wide") && part.getBoundingClientRect().right > innerWidth + 1)
  .map((part) => part.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        kept = Evening(tmp_path_factory.mktemp("evening"), monkeypatch)
        kept.keep()
    page = kept.data_dir / "report.html"
    page.write_text(after.as_page(after.make(kept.data_dir, SHOW)), encoding="utf-8")
    yield Path(page).as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_colours_have_contrast(browse: Browse, url: str, scheme: str) -> None:
    page = browse(url, color_scheme=scheme)
    names = ("ground", "panel", "ink", "soft", "air", "hold", "good", "cool", "edge")
    value = "(name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()"
    colour = {name: long_form(page.evaluate(value, name)) for name in names}
    for ink in ("ink", "soft", "air", "hold", "good", "cool"):
        assert contrast(colour[ink], colour["panel"]) >= AA_TEXT, (scheme, ink)
    assert contrast(colour["edge"], colour["panel"]) >= AA_PARTS


def test_it_is_read_in_order_and_nothing_is_without_a_name(browse: Browse, url: str) -> None:
    page = browse(url)
    levels = page.evaluate(HEADINGS)
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.evaluate(NAMELESS) == []
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("main").count() == 1
    for plot in page.get_by_role("img").all():
        assert plot.get_attribute("aria-label")
    assert page.locator("table:not(:has(th[scope]))").count() == 0
    assert page.locator("[role=region]:not([tabindex='0'])").count() == 0


@pytest.mark.parametrize("width", [320, 1_280])
def test_nothing_is_cut_off(browse: Browse, url: str, width: int) -> None:
    page = browse(url, viewport={"width": width, "height": 700})
    assert page.evaluate(SPILLS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_asks_for_nothing_and_needs_no_scripts(browse: Browse, url: str) -> None:
    page = browse(url, java_script_enabled=False)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    assert asked == [url]
    expect(page.get_by_role("heading", name="The <interview> & after")).to_be_visible()
    page.get_by_text("The figures behind the plots").click()
    expect(page.get_by_role("cell", name="4,200").first).to_be_visible()
