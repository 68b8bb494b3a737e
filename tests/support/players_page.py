"""What every browser has to do with the listener page, however it is driven: play, without a stall, to the replay."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from support.onair import OnAir
from support.players_browsers import Driven
from support.running import Running

HEARD_S = 20
TRIES = 3  # a busy machine may make one stall
HEARD = "stentor.position_s !== null && !audio.paused && audio.readyState > 2"


def listen_to_the_end(browser: Driven, running: Running, tmp: Path) -> dict[str, Any]:
    """A show from its start to its recording; -> the page's figures after `HEARD_S` without a stall."""
    with ExitStack() as stack:
        on_air = OnAir(running, stack, tmp, starts_in_s=1.0)
        on_air.speak(on_air.made.crew_link)
        browser.open(on_air.made.listener_link)
        browser.until("/On air/.test(document.querySelector('#lamp').textContent)")
        browser.click("#play")
        browser.until(HEARD)
        figures = _without_a_stall(browser)
        assert browser.value("document.querySelector('#voices').textContent") == "with Host"
        on_air.end()
    browser.until("document.querySelector('#lamp').textContent === 'Recording'")
    browser.click("#play")
    browser.until("audio.src.endsWith('/replay.m4a') && audio.currentTime > 0.5")
    return figures


def _without_a_stall(browser: Driven) -> dict[str, Any]:
    for _ in range(TRIES):
        before = browser.value("stentor")
        browser.until(f"stentor.position_s > {before['position_s'] + HEARD_S}")
        figures = browser.value("stentor")
        if figures["stalls"] == before["stalls"]:
            return figures
    raise AssertionError(f"stalls in each of {TRIES} stretches of {HEARD_S} s: {figures}")
