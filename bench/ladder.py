"""What giving up latency saves, and whether a listener hears it: `python bench/ladder.py [--quick]` -> JSON.

CPU: one edge on its core, a crowd on the other, chunks of 0.5 s that go out one, two and four at a time, by turns. A
turn counts only if every listener got every byte. Switches: a whole installation on the air, the listener's page in
Chromium among a crowd; the crew asks for rung 1, then 2, the crowd leaves, the crew asks for none; the page's stalls
are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from playwright.async_api import Page, async_playwright

import mouth
from stentor.clients.admin import Admin
from stentor.clients.installation import Serving
from stentor.core.ladder import CALM_S
from stentor.io.board import Board
from stentor.model import board
from stentor.model.grid import SAMPLE_RATE
from support import freezes
from support.contestants import SHOW, Contestant, stentor, tickets
from support.crowd import Crowd, crowd
from support.figures import machine, median
from support.processes import BenchError, alone, cpu_s
from support.pulse import Pulse, new_grid, opus_bytes

CHUNK_S = 0.5
GROUPS = (1, 2, 4)
GOALS = {2: 0.6, 4: 0.35}  # of the CPU of single chunks
ALIGN_N = 4
LEAD_N = 6  # from the order to the switch, where nobody has to be warned
AT_ONCE = 2_000
TRIES = 2
FIRST_SEQ = 1_000_000  # tickets of the crowd: not the page's
SWITCH_S_MAX = 60.0
BACK_S_MAX = SWITCH_S_MAX + 3 * CALM_S
LOOK_S = 1.0
COUNTERS = ("stalls", "skips", "seeks", "rate_changes")


class Plan(NamedTuple):
    listeners: int
    rounds: int
    window_s: float
    settle_s: float
    comes_back: bool


FULL = Plan(10_000, 9, 8.0, 30.0, True)
QUICK = Plan(1_000, 3, 4.0, 8.0, False)


def aligned(n: int) -> int:
    """`n`, or the next at which groups of every size end."""
    return -(-n // ALIGN_N) * ALIGN_N


# What a listener costs.


def turn(server: Contestant, people: Crowd, pulse: Pulse, values: Board, group: int, plan: Plan) -> float:
    """CPU of the edge, us a listener-second, between two moments at which everything that was due is out."""
    last = pulse.quiet()
    from_n = aligned(last + LEAD_N) + 1
    values.put("ladder", board.Ladder(last, last, rung=group // 2, group=group, from_n=from_n, show=SHOW))
    first = from_n - 1 + ALIGN_N
    pulse.quiet(first - last)
    people.mark()
    before = cpu_s(server.pids)
    end = pulse.quiet(aligned(round(plan.window_s / CHUNK_S)))
    spent = cpu_s(server.pids) - before
    check(people.mark(), plan.listeners, opus_bytes(pulse.grid, first + 1, end))
    return spent / ((end - first) * CHUNK_S) / plan.listeners * 1e6


def check(mark: dict[str, Any], listeners: int, expected: int) -> None:
    if mark["listeners"] != listeners or mark["closed"]:
        raise BenchError(f"{mark['listeners']} listeners of {listeners}, {mark['closed']} were closed")
    if (mark["bytes_min"], mark["bytes_max"]) != (expected, expected):
        raise BenchError(f"{mark['bytes_min']} to {mark['bytes_max']} bytes a listener where {expected} were sent")


def rounds(plan: Plan) -> dict[int, list[float | None]]:
    """All turns on one edge with one crowd; who begins changes from round to round."""
    found: dict[int, list[float | None]] = {group: [] for group in GROUPS}
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        scratch, grid = Path(directory), new_grid(round(CHUNK_S * SAMPLE_RATE))
        with (
            stentor(grid, scratch, plan.listeners) as server,
            crowd(server.port, server.paths, scratch) as people,
            Pulse(grid, server.publish) as pulse,
        ):
            pulse.quiet(1)
            people.join(plan.listeners, AT_ONCE)
            values = Board(scratch / "run" / "board")
            for number in range(plan.rounds):
                at = number % len(GROUPS)
                for group in GROUPS[at:] + GROUPS[:at]:
                    found[group].append(attempt(server, people, pulse, values, group, plan))
    return found


def attempt(server: Contestant, people: Crowd, pulse: Pulse, values: Board, group: int, plan: Plan) -> float | None:
    """-> the first turn that counts, or None."""
    for _ in range(TRIES):
        try:
            taken = turn(server, people, pulse, values, group, plan)
        except BenchError as error:
            print(f"void: {group} at a time: {error}", file=sys.stderr)
        else:
            print(f"{group} at a time: {taken:.2f} us", file=sys.stderr)
            return taken
    return None


def cpu(plan: Plan) -> dict[str, Any]:
    with alone():
        turns = rounds(plan)
    result: dict[str, Any] = {}
    for group, taken in turns.items():
        counted = [one for one in taken if one]
        result[f"cpu_us_listener_second_{group}"] = median(counted, 2) if counted else None
        result[f"rounds_{group}"] = [one and round(one, 2) for one in taken]
    for group, goal in GOALS.items():
        ratios = [many / one for one, many in zip(turns[1], turns[group], strict=True) if one and many]
        if ratios:
            ratio = median(ratios)
            result[f"ratio_{group}"] = {**ratio, "goal": goal, "met": ratio["high"] <= goal}
    return result


# What a listener hears.


async def order(up: Serving, show_id: str, rung: int) -> None:
    """What the crew asks for; -1: by measure."""
    async with Admin(up.settings.desk_socket) as desk:
        await desk.rung(show_id, rung)


async def switched(up: Serving, rung: int, seconds: float) -> board.Ladder:
    """Until that rung is in force. Raises `BenchError`."""
    values, deadline = Board(up.settings.board_dir), time.monotonic() + seconds
    while time.monotonic() < deadline:
        ladder, stage = values.get("ladder", board.Ladder), values.get("stage", board.Stage)
        if ladder and stage and ladder.rung == rung and stage.n >= ladder.from_n:
            return ladder
        await asyncio.sleep(LOOK_S / 4)
    raise BenchError(f"rung {rung} was not in force within {seconds:.0f} s")


async def follow(page: Page, seconds: float, stalled_s: list[float]) -> dict[str, Any]:
    """Watch the page for so long; -> its figures then."""
    until_s, last = time.monotonic() + seconds, await page.evaluate("window.stentor")
    while time.monotonic() < until_s:
        await asyncio.sleep(LOOK_S)
        before, last = last, await page.evaluate("window.stentor")
        stalled_s += [time.monotonic()] * (last["stalls"] - before["stalls"])
    return dict(last)


async def step(page: Page, up: Serving, rung: int, wait_s: float, settle_s: float, stalled_s: list[float]) -> Any:
    """Watch the page until the rung is in force, and a while longer; -> its figures then."""
    waiting = asyncio.ensure_future(switched(up, rung, wait_s))
    while not waiting.done():
        await follow(page, LOOK_S, stalled_s)
    waiting.result()
    figures = await follow(page, settle_s, stalled_s)
    print(f"rung {rung}: {figures}", file=sys.stderr)
    return figures


async def switches(plan: Plan) -> dict[str, Any]:
    """Up both rungs of latency in a crowd; and, once that has gone, down again."""
    stalled_s: list[float] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=mouth.CHROMIUM, headless=True, args=mouth.FLAGS, ignore_default_args=["--mute-audio"]
        )
        with (
            tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory,
            freezes.watch() as frozen,
        ):
            async with mouth.on_air(round(CHUNK_S * 1000)) as (up, show):
                page = await mouth.play(browser, show)
                paths = tickets(up.settings, plan.listeners, show.show, FIRST_SEQ)
                with crowd(up.settings.edge_port, paths, Path(directory), cores="0-1") as people:
                    await asyncio.to_thread(people.join, plan.listeners, AT_ONCE)
                    figures = {"at_0": await follow(page, plan.settle_s, stalled_s)}
                    for rung in (1, 2):
                        await order(up, show.show, rung)
                        figures[f"at_{rung}"] = await step(page, up, rung, SWITCH_S_MAX, plan.settle_s, stalled_s)
                    closed = people.mark()["closed"]
                if plan.comes_back:
                    await order(up, show.show, -1)
                    figures["back_at_0"] = await step(page, up, 0, BACK_S_MAX, plan.settle_s, stalled_s)
        await browser.close()
    return mouth.apart(told(figures) | {"stalled_s": stalled_s}, frozen) | {"closed": closed}


def told(figures: dict[str, Any]) -> dict[str, Any]:
    """How far behind the page was at each rung, and what its counters grew by."""
    first, *_, last = figures.values()
    behind = {f"behind_ms_{name}": one["behind_ms"] for name, one in figures.items()}
    return behind | {name: last[name] - first[name] for name in COUNTERS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1,000 listeners and three short rounds")
    parser.add_argument("--listeners", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", choices=("cpu", "switches"))
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    plan = QUICK if arguments.quick else FULL
    plan = plan._replace(listeners=arguments.listeners or plan.listeners, rounds=arguments.rounds or plan.rounds)
    result: dict[str, Any] = {"machine": machine(), **plan._asdict()}
    if arguments.only != "cpu":
        result["switches"] = asyncio.run(switches(plan))  # first: for the CPU this process goes to one core
    if arguments.only != "switches":
        result["cpu"] = cpu(plan)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
