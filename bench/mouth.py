"""From mouth to ear, by time code, through everything real: `python bench/mouth.py [--quick] [--drift-minutes 30]`.

`stentor speak timecode` speaks over WebRTC into a show of a `stentor serve`; the listener page plays it in headless
Chromium, and what its <audio> hands to its output is captured in the page (support/hearing.py). Lateness is from when a
burst was spoken to when it leaves the output, by what the browser says its output takes; on a machine without a sound
card that output is Chromium's own fake one. A second listener without a browser tells where in the show a burst stands.

Drift: every process of the stage, speaker included, lives by a clock that is so many ppm fast (drift/), the browser by
the machine's. Both directions run side by side, each with a stage and a browser of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import structlog
from playwright.async_api import Browser, Page, async_playwright

from stentor.clients import installation, timecode
from stentor.clients.installation import Serving
from stentor.clients.links import Link
from stentor.clients.listen import Listener
from stentor.formats.crew import NewShow, ShowMade
from stentor.model.rendition import OPUS
from stentor.settings import Settings
from support import freezes
from support.figures import machine
from support.hearing import TAP, Heard, PageEar, WireEar
from support.processes import BENCH, BenchError, descendants, prefer

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
]
GOALS_MS = {500: 800, 250: 500}
STARTS_IN_S = 4.0
PLAYS_S_MAX = 30.0
WARM_UP_S = 15.0  # joining shakes the jitter buffer, and the page takes ten seconds to judge its place
DRAIN_S = 1.0
TELL_S = 60.0
CLOCK_LOOKS = 10
STEP_MS = 10.0  # what is played later than what came before by more is a gap
GAPS_TOLD = 20
BEFORE_MS = 2_000.0  # a gap is told with the latest chunk that came so long before it
NEAR_MS = 1_000.0  # a gap so near to a seek or a change of rate is the page's doing
QUICK_S = 10.0
COUNTERS = ("stalls", "skips", "seeks", "rate_changes")


class Trial(msgspec.Struct, frozen=True):
    """One run: `ppm` is how much faster than the listener's clock the stage's goes."""

    chunk_ms: int
    seconds: float
    ppm: float = 0.0


@dataclass(frozen=True, slots=True)
class StageClock:
    """The stage's Unix time, from this machine's monotonic clock."""

    began_wall_ns: int
    began_mono_ns: int
    ppm: float

    def wall_ns(self, mono_ms: float) -> int:
        passed_ns = mono_ms * 1e6 - self.began_mono_ns
        return self.began_wall_ns + round(passed_ns * (1 + self.ppm / 1e6))


def run_off(ppm: float) -> StageClock:
    """Whatever this process starts from now on lives by the stage's clock."""
    clock = StageClock(time.time_ns(), time.monotonic_ns(), ppm)
    if ppm:
        os.environ["PYTHONPATH"] = str(BENCH / "drift")
        os.environ["BENCH_DRIFT"] = f"{clock.began_wall_ns} {clock.began_mono_ns} {ppm}"
    return clock


@dataclass(slots=True)
class Told:
    """A burst by its number since 1970, and how late it was where it was heard."""

    number: int
    late_ms: float
    heard_ns: int  # by the stage's clock


def told(bursts: list[Heard], clock: Callable[[float], int], behind_ms: Callable[[float], float] | None) -> list[Told]:
    """`clock`: the stage's Unix ns at a time that stands in `bursts`. `behind_ms`: about how late the hearer was then,
    to within 3 s; without it, who is more than 6.4 s late seems to be less."""
    found = []
    for k, at_ms in bursts:
        heard_ns = clock(at_ms)
        if behind_ms is None:
            spoken_ns = timecode.spoken_ns(k, heard_ns)
        else:
            spoken_ns = timecode.spoken_near_ns(k, heard_ns - round(behind_ms(at_ms) * 1e6))
        found.append(Told(spoken_ns // timecode.PERIOD_NS, (heard_ns - spoken_ns) / 1e6, heard_ns))
    return found


@asynccontextmanager
async def on_air(chunk_ms: int) -> AsyncIterator[tuple[Serving, ShowMade]]:
    """A show with a time-coded voice on air."""
    with installation.directories() as (data_dir, run_dir):
        own = replace(Settings(), data_dir=data_dir, run_dir=run_dir, advertise="127.0.0.1")
        async with installation.serving(installation.with_free_ports(own, keep=False)) as up:
            order = NewShow("Mouth to ear", starts_in_s=STARTS_IN_S, chunk_ms=chunk_ms, host="Host", on_air=("Host",))
            show = await up.create_show(order)
            with (data_dir / "speak.log").open("wb") as log:
                speaker = await up.spawn(log, "speak", show.crew_link, "timecode")
            try:
                yield up, show
            finally:
                await installation.stop(speaker)


async def play(browser: Browser, show: ShowMade) -> Page:
    """The listener page, playing and tapped."""
    page = await (await browser.new_context(bypass_csp=True)).new_page()
    await page.goto(show.listener_link)
    for pid in descendants(os.getpid()):  # stage, speaker and browser alike
        prefer(pid)
    await asyncio.sleep(STARTS_IN_S + 1)
    await page.get_by_role("button", name="Play", exact=True).click()
    async with asyncio.timeout(PLAYS_S_MAX):
        while not await page.evaluate("stentor.position_s !== null && audio.readyState > 2"):  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_S)
    await page.evaluate(TAP)  # which shakes the output too
    await asyncio.sleep(WARM_UP_S)
    return page


def now_ms() -> float:
    return time.monotonic_ns() / 1e6


async def page_clock(page: Page) -> float:
    """Our monotonic clock less the page's, ms: of a few looks, the quickest."""
    looks = []
    for _ in range(CLOCK_LOOKS):
        before_ms = now_ms()
        page_ms = await page.evaluate("performance.timeOrigin + performance.now()")
        after_ms = now_ms()
        looks.append((after_ms - before_ms, (before_ms + after_ms) / 2 - page_ms))
    return min(looks)[1]


async def measure(trial: Trial) -> dict[str, Any]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=FLAGS, ignore_default_args=["--mute-audio"]
        )
        clock = run_off(trial.ppm)
        async with on_air(trial.chunk_ms) as (_, show):
            page = await play(browser, show)
            wire, ear = WireEar(), PageEar()
            listener = Listener(Link.parse(show.listener_link), OPUS)
            listener.on_chunk = lambda whole: wire.receive(whole, listener.heard.grid, clock.wall_ns(now_ms()))
            listening = asyncio.ensure_future(listener.run())
            figures = await hear(page, ear, trial.seconds)
            listening.cancel()
            await asyncio.wait([listening])
            mono_less_page_ms = await page_clock(page)
        await browser.close()

    def stage_ns(page_ms: float) -> int:
        return clock.wall_ns(page_ms + mono_less_page_ms)

    heard = told(ear.heard(), stage_ns, ear.behind_ms)
    if not heard:
        raise BenchError("no time code was heard")
    placed = told(wire.placed(), lambda stage_ms: round(stage_ms * 1e6), None)
    touches_ms = [stage_ns(page_ms) / 1e6 for page_ms in ear.touches_ms]
    return report(trial, heard, placed, wire, figures, touches_ms) | {"output_ms": round(ear.delay_ms, 1)}


async def hear(page: Page, ear: PageEar, seconds: float) -> dict[str, Any]:
    """Take what the page plays for so long; -> how its counters grew meanwhile, and when it had told of each stall."""
    first = await drain(page, ear)
    last, began_s = first, time.monotonic()
    stalled_s: list[float] = []
    while (passed_s := time.monotonic() - began_s) < seconds:
        await asyncio.sleep(DRAIN_S)
        if passed_s % TELL_S < DRAIN_S:
            print(f"{passed_s:.0f} s: {last}", file=sys.stderr, flush=True)
        before, last = last, await drain(page, ear)
        stalled_s += [time.monotonic()] * (last["stalls"] - before["stalls"])
    grown = {name: last[name] - first[name] for name in COUNTERS}
    return grown | {"behind_ms_said": last["behind_ms"], "stalled_s": stalled_s}


async def drain(page: Page, ear: PageEar) -> dict[str, int]:
    drained = await page.evaluate("bench()")
    ear.receive(drained)
    figures: dict[str, int] = drained["figures"]
    return figures


def spread(values: Sequence[float]) -> dict[str, float]:
    points = {"median": 50, "p95": 95, "max": 100}
    return {name: round(float(np.percentile(values, point)), 1) for name, point in points.items()} if values else {}


def report(
    trial: Trial,
    heard: list[Told],
    placed: list[Told],
    wire: WireEar,
    figures: dict[str, Any],
    touches_ms: list[float],
) -> dict[str, Any]:
    """`behind_ms`: the show at the output against the stage's clock; with `mouth_to_show_ms` it makes `late_ms`."""
    in_show = {burst.number: burst.late_ms for burst in placed}
    behind = [(burst, burst.late_ms - in_show[burst.number]) for burst in heard if burst.number in in_show]
    late = spread([burst.late_ms for burst in heard])
    goal_ms, broken = GOALS_MS[trial.chunk_ms], gaps(behind, touches_ms, wire.chunks)
    return {
        **msgspec.to_builtins(trial),
        "late_ms": late,
        "goal_ms": goal_ms,
        "met": late["p95"] <= goal_ms and not figures["stalls"] and not broken["gaps"],
        "mouth_to_show_ms": spread(list(in_show.values())),
        "chunk_whole_ms": spread([late_ms for _, late_ms in wire.chunks]),
        "behind_ms": spread([value for _, value in behind]),
        "behind_ms_last": round(behind[-1][1]),
        **figures,
        **order([burst.number for burst, _ in behind], in_show),
        **broken,
    }


def order(numbers: list[int], in_show: dict[int, float]) -> dict[str, int]:
    """Bursts that the page left out or played twice, and the edge did not."""
    expected = {number for number in in_show if numbers[0] <= number <= numbers[-1]}
    doubled = len(numbers) - len(set(numbers))
    return {"bursts": len(numbers), "missing": len(expected - set(numbers)), "doubled": doubled}


def gaps(
    behind: list[tuple[Told, float]], touches_ms: list[float], chunks: list[tuple[float, float]]
) -> dict[str, Any]:
    """Where the page began to play later than before, each with the latest chunk of the seconds before it."""
    steps = [(after[0].heard_ns / 1e6, after[1] - before[1]) for before, after in pairwise(behind)]
    steps = [(at_ms, step_ms) for at_ms, step_ms in steps if step_ms > STEP_MS]
    own = [step for step in steps if not any(abs(step[0] - touch_ms) < NEAR_MS for touch_ms in touches_ms)]
    found = []
    for at_ms, step_ms in own[:GAPS_TOLD]:
        late_ms = [late for whole_ms, late in chunks if -BEFORE_MS < whole_ms - at_ms < 0]
        at_s = round((at_ms - behind[0][0].heard_ns / 1e6) / 1000, 1)
        found.append({"at_s": at_s, "ms": round(step_ms, 1), "chunk_late_ms": round(max(late_ms, default=0.0), 1)})
    return {"gaps": len(own), "gaps_of_moves": len(steps) - len(own), "gaps_told": found}


def in_a_process(trial: Trial) -> subprocess.Popen[bytes]:
    """A stage's clock is its whole process's."""
    argv = [sys.executable, __file__, "--trial", msgspec.json.encode(trial).decode()]
    return subprocess.Popen(argv, stdout=subprocess.PIPE)


def results(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Side by side. Raises `BenchError` if one gives nothing."""
    processes = [in_a_process(trial) for trial in trials]
    try:
        with freezes.watch() as frozen:
            outputs = [process.communicate()[0] for process in processes]
    finally:
        for process in processes:
            process.terminate()
            process.wait()
    if any(process.returncode for process in processes):
        raise BenchError("a trial ended without figures")
    return [apart(json.loads(output), frozen) for output in outputs]


def apart(result: dict[str, Any], frozen: freezes.Freezes) -> dict[str, Any]:
    """With its stalls told apart: those for which the machine had stood still, and all others."""
    stalled_s = result.pop("stalled_s")
    own = [at_s for at_s in stalled_s if not frozen.before(at_s, within_s=2 * DRAIN_S)]
    return result | frozen.summary() | {"stalls_without_freeze": len(own)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; shows that everything runs")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a run without drift")
    parser.add_argument("--drift-minutes", type=float, default=30.0, help="0: none")
    parser.add_argument("--drift-ppm", type=float, default=200.0)
    parser.add_argument("--drift-chunk-ms", type=int, default=500, choices=GOALS_MS)
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    installation.end_by_sigterm()
    if arguments.trial:
        trial = msgspec.json.decode(arguments.trial, type=Trial)
        print(json.dumps(asyncio.run(measure(trial))))
        return
    print(json.dumps(bench(arguments), indent=2))


def bench(arguments: argparse.Namespace) -> dict[str, Any]:
    seconds, drift_s = arguments.seconds, 60 * arguments.drift_minutes
    if arguments.quick:
        seconds, drift_s = QUICK_S, min(drift_s, QUICK_S)
    found: dict[str, Any] = {"machine": machine(), "calm": [], "drift": []}
    for chunk_ms in GOALS_MS:
        found["calm"] += results([Trial(chunk_ms, seconds)])
        print(json.dumps(found["calm"][-1]), file=sys.stderr)
    if drift_s:
        both = [Trial(arguments.drift_chunk_ms, drift_s, ppm) for ppm in (arguments.drift_ppm, -arguments.drift_ppm)]
        found["drift"] = results(both)
    return found


if __name__ == "__main__":
    main()
