"""The waiting room for people who do not see it, or have no mouse, or a small telephone; with scripts or without."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import stentor.web
from browser.station import Station
from browser.test_pages_a11y import NAMELESS, SMALL
from browser.waiting import until
from stentor.core.waiting import About, View, answer
from stentor.formats.page import Origins
from stentor.formats.waiting import Waits
from stentor.model.board import Gate, Phase
from stentor.model.http import Request
from stentor.nodes.door import Pages

Browse = Callable[..., Page]

PHONE = {"width": 320, "height": 640}
DRAW = {"commit": "c0", "base_s": 4_000_000_000}
ABOUT = About("night", "The Long Night of Uninterrupted Conversation", Phase.OPEN, 0, 0, notice="We go on until ten.")
WAITS = {
    "drawn": Waits("P", 7, Gate.GATHERING, 60_000, draws_at_ms=720_000),
    "line": Waits("P", 7, Gate.QUEUE, 60_000, rank=9, ahead=1_237, eta_s=(370, 520), chance=0.7, reason="Taken."),
    "turn": Waits("P", 7, Gate.QUEUE, 60_000, turn=True),
    "new": Waits("", 0, Gate.QUEUE, 60_000, ahead=1_237, eta_s=(370, 520)),
    "closed": Waits("", 0, Gate.CLOSED, 60_000, reason="Enough."),
}


@contextmanager
def pages() -> Iterator[str]:
    """The page without JavaScript at an address for each of `WAITS`."""
    files = Pages(Path(stentor.web.__file__).parent, "{}")

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/assets/"):
                file = files.asset(*self.path.split("/", 3)[2:])
                self.answer(200, {"Content-Type": file.content_type}, file.body) if file else self.send_error(404)
                return
            waits = WAITS.get(self.path.strip("/"))
            if waits is None:
                self.send_error(404)
                return
            view = View(Origins("", 1, 2), None, lambda *_: waits, lambda _: ABOUT, files.wait, None, None)  # type: ignore[arg-type]
            path = ("wait", waits.place) if waits.place else ("wait",)
            response = answer(Request("GET", "/", {}, {"host": "127.0.0.1"}), "night", path, view, 0)
            self.answer(response.status, dict(response.headers), response.body or b"")

        def answer(self, status: int, fields: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**fields, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def is_whole(page: Page) -> None:
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(SMALL) == []
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == page.locator("main").count() == 1
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 320, f"{width} px: nothing is cut off on a small telephone (1.4.10)"


def test_pages_without_scripts(browse: Browse) -> None:
    with pages() as url:
        for name in WAITS:
            page = browse(f"{url}/{name}", viewport=PHONE, java_script_enabled=False)
            is_whole(page)
            expect(page.get_by_role("region", name="The line")).to_be_visible()
        page = browse(f"{url}/new", java_script_enabled=False)
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Get in line")).to_be_focused()


@pytest.mark.parametrize("gate", ["gathering", "queue", "closed"])
def test_the_room_in_the_page(browse: Browse, gate: str) -> None:
    with Station(phase="open") as station:
        station.now |= {"gate": "gathering", "draw": DRAW, "starts_at_ms": station.wall_ms() + 900_000}
        page = browse(station.url, viewport=PHONE, reduced_motion="reduce")
        page.locator("#play").wait_for()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#room-said")).to_contain_text("Until the draw")
        station.now |= {"gate": gate, "line_reason": "All seats are taken."}
        page.wait_for_timeout(1_200)  # more than one look
        is_whole(page)
        expect(page.get_by_role("region", name=page.locator("#room-label").inner_text())).to_be_visible()
        assert page.evaluate("document.getAnimations().length") == 0
        assert page.evaluate("document.activeElement.id") == "play", "what comes does not take the keyboard away"
        until(page, "document.querySelector('#room-said').role === 'status'")
