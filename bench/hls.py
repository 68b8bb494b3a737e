"""From mouth to ear by HLS, by time code: `python bench/hls.py [--minutes 10]` -> JSON.

As bench/mouth.py, in a Chromium that lets no page read a stream: the listener page plays low-latency HLS by hls.js.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import Any

import structlog
from playwright.async_api import Browser, Page, async_playwright

from mouth import (
    CHROMIUM,
    FLAGS,
    PLAYS_S_MAX,
    STARTS_IN_S,
    WARM_UP_S,
    apart,
    hear,
    on_air,
    page_clock,
    run_off,
    spread,
    told,
)
from stentor.formats.crew import ShowMade
from support import freezes
from support.figures import machine
from support.hearing import TAP, PageEar
from support.processes import BenchError, descendants, prefer

CHUNK_MS = 500
GOAL_MS = 2_200
NO_STREAMS = "delete Response.prototype.body;"
POLL_S = 0.5


async def play(browser: Browser, show: ShowMade) -> Page:
    """The listener page, playing by HLS and tapped."""
    page = await (await browser.new_context(bypass_csp=True)).new_page()
    await page.add_init_script(NO_STREAMS)
    await page.goto(show.listener_link)
    for pid in descendants(os.getpid()):  # stage, speaker and browser alike
        prefer(pid)
    await asyncio.sleep(STARTS_IN_S + 1)
    await page.get_by_role("button", name="Play", exact=True).click()
    async with asyncio.timeout(PLAYS_S_MAX):
        while not await page.evaluate("stentor.position_s !== null && audio.readyState > 2"):  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
    await page.evaluate(TAP)
    await asyncio.sleep(WARM_UP_S)
    return page


async def measure(seconds: float) -> dict[str, Any]:
    """`stalls` and the like: what the page counted meanwhile."""
    clock, ear = run_off(0.0), PageEar()
    async with async_playwright() as playwright, on_air(CHUNK_MS) as (_, show):
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=FLAGS, ignore_default_args=["--mute-audio"]
        )
        page = await play(browser, show)
        counted = await hear(page, ear, seconds)
        mono_less_page_ms = await page_clock(page)
        await browser.close()
    heard = told(ear.heard(), lambda page_ms: clock.wall_ns(page_ms + mono_less_page_ms), ear.behind_ms)
    if not heard:
        raise BenchError("no time code was heard")
    late_ms = spread([burst.late_ms for burst in heard])
    met = late_ms["p95"] <= GOAL_MS and not counted["stalls"]
    return {"seconds": seconds, "late_ms": late_ms, "goal_ms": GOAL_MS, "met": met, "bursts": len(heard), **counted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    before = machine()
    with freezes.watch() as frozen:
        result = asyncio.run(measure(60 * arguments.minutes))
    print(json.dumps({"machine": before, **apart(result, frozen)}, indent=1))


if __name__ == "__main__":
    main()
