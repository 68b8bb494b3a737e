"""Waiting for a page: asked from outside, since the pages' policy lets nothing be evaluated inside."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Page

WITHIN_S = 30.0  # the machine may be busy; nothing waits so long when all is well
POLL_MS = 50


def until(page: Page, condition: str, arg: Any = None) -> Any:
    """Ask again and again until the JavaScript `condition` gives something true; -> that."""
    deadline = time.monotonic() + WITHIN_S
    while not (value := page.evaluate(condition, arg)):
        assert time.monotonic() < deadline, f"{condition}: not within {WITHIN_S} s; {page.evaluate('window.stentor')}"
        page.wait_for_timeout(POLL_MS)
    return value
