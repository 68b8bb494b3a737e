"""The listener page and the death of the studio: `python bench/kills.py [--kills 10]` -> JSON.

The page plays a show in headless Chromium while the studio is killed with -9 again and again. For each death: the
stalls that the page counted, how late the latest chunk was that a listener without a browser got, and how many were
hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

import structlog
from playwright.async_api import async_playwright

from mouth import CHROMIUM, COUNTERS, FLAGS, GOALS_MS, now_ms, on_air, play
from stentor.clients import installation
from stentor.clients.links import Link
from stentor.clients.listen import Listener
from stentor.core.heard import Whole
from stentor.io.ring import Ring
from stentor.model.rendition import OPUS
from support import freezes
from support.figures import machine

BETWEEN_S = 15.0  # a life of ten seconds makes the next start of the studio quick again


async def measure(chunk_ms: int, kills: int) -> list[dict[str, Any]]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=FLAGS, ignore_default_args=["--mute-audio"]
        )
        try:
            async with on_air(chunk_ms) as (up, show):
                page = await play(browser, show)
                late_ms: list[float] = []
                listener = Listener(Link.parse(show.listener_link), OPUS, on_chunk=lambda whole: note(late_ms, whole))
                listening = asyncio.ensure_future(listener.run())
                [ring] = map(Ring, (up.settings.run_dir / "rings").glob("*.ring"))
                start = await page.evaluate("window.stentor")
                rows = [
                    {"killed": False, "at_s": now_ms() / 1000 - BETWEEN_S, **{name: start[name] for name in COUNTERS}}
                ]
                for kill in range(kills + 1):  # at first nobody is killed
                    rows.append(await death(up.kill if kill else None, page, late_ms, ring))
                    print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
                listening.cancel()
                await asyncio.wait([listening])
                return rows
        finally:
            await browser.close()


def note(late_ms: list[float], whole: Whole) -> None:
    if whole.late_ms is not None:
        late_ms.append(whole.late_ms)


async def death(kill: Any, page: Any, late_ms: list[float], ring: Ring) -> dict[str, Any]:
    """`hold`: how many chunks of that time were nobody's voice."""
    first, before, at_ms = ring.head(OPUS.id), await page.evaluate("window.stentor"), now_ms()
    late_ms.clear()
    if kill is not None:
        kill("studio")
    await asyncio.sleep(BETWEEN_S)
    after = await page.evaluate("window.stentor")
    grown = {name: after[name] - before[name] for name in COUNTERS}
    aired = [ring.get(OPUS.id, n) for n in range(first + 1, ring.head(OPUS.id) + 1)]
    return {
        "killed": kill is not None,
        "at_s": round(at_ms / 1000, 1),
        **grown,
        "latest_chunk_ms": round(max(late_ms, default=0.0), 1),
        "hold": sum(chunk is None or chunk.hold for chunk in aired),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--chunk-ms", type=int, default=500, choices=GOALS_MS)
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    installation.end_by_sigterm()
    with freezes.watch() as frozen:
        rows = asyncio.run(measure(arguments.chunk_ms, arguments.kills))
    for row in rows:
        row["frozen"] = frozen.before(row["at_s"] + BETWEEN_S, within_s=BETWEEN_S)
    stalled = sum(row["killed"] and row["stalls"] > 0 for row in rows)
    print(json.dumps({"machine": machine(), "deaths": arguments.kills, "stalled": stalled, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
