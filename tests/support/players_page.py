"""What every browser has to do with the listener page, however it is driven: play, by push, to the replay."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from support.onair import OnAir
from support.players_browsers import Driven
from support.running import Running

HEARD_S = 20
HEARD = "stentor.position_s !== null && !audio.paused && audio.readyState > 2"


def listen_to_the_end(browser: Driven, running: Running, tmp: Path, origin: str = "", **kept: str) -> dict[str, Any]:
    """A show from its start to its recording; -> the page's figures after `HEARD_S`. `origin`: not the door's own. The
    page finds what it has `kept` from a visit before.

    Stalls are for a calm machine to count: docs/PLAYERS.md.
    """
    with ExitStack() as stack:
        on_air = OnAir(running, stack, tmp, starts_in_s=1.0)
        on_air.speak(on_air.made.crew_link)
        link = f"{origin or running.url('door', '')}/s/{on_air.made.show}"
        browser.open(link)
        if kept:
            browser.value(f"Object.assign(localStorage, {json.dumps(kept)})")
            browser.open(link)
        browser.until("/On air/.test(document.querySelector('#lamp').textContent)")
        browser.click("#play")
        browser.until(HEARD)
        browser.until(f"stentor.position_s > {browser.value('stentor.position_s') + HEARD_S}")
        figures = browser.value("stentor")
        assert browser.value("document.querySelector('#voices').textContent") == "with Host"
        on_air.end()
    browser.until("document.querySelector('#lamp').textContent === 'Recording'")
    browser.click("#play")
    browser.until("audio.src.endsWith('/replay.m4a') && audio.currentTime > 0.5")
    return figures
