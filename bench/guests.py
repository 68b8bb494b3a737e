"""Guests: from their click to the crew, and from a change of network to their voice again: `python bench/guests.py`.

A `stentor serve` in one network namespace, the speaker's page in headless Chromium in another, with a microphone that
plays speech (support/networks.py). Needs root, nftables, coturn and espeak-ng.

Click to backstage: from the click on "Join" to the line of the crew's stream that says that the seat is connected and
how loud it is. `steps_ms` has what lies between, each from the click: the studio's relays are known, candidates are
gathered, the answer is here, the connection stands, the stage has heard it.

Network change: from the change to the stage's first word of the new session's audio. `moved`: the guest's address is
another, which the browser is told; `cut`: the old flows are dead, which nobody is told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import msgspec
from playwright.async_api import Browser, Page, async_playwright

from mouth import CHROMIUM, FLAGS, now_ms, page_clock
from stentor.clients import installation
from stentor.formats.crew import CrewState, NewShow, ShowMade
from stentor.io.board import Board
from stentor.model import board
from stentor.settings import Settings
from support import figures
from support.networks import RELAY, STUDIO, Cable, networks, relay
from support.processes import BenchError, descendants, prefer

RELAY_PORT, SECRET = 3478, "of-the-bench"
BY_TCP = f"turn:{RELAY}:{RELAY_PORT}?transport=tcp"
BY_UDP = f"turn:{RELAY}:{RELAY_PORT}?transport=udp"
GUEST = "Guest"
STARTS_IN_S = 600.0  # the doors are open, and the stage with them
LOUD_DBFS = -50.0
WITHIN_S = 30.0
LOOK_S = 0.01
CALM_S = 1.5  # between two steps of a round
WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "

# When things happened, in ms since 1970 by the page's clock.
MARKS = """
(() => {
  const marks = (window.marks = {});
  const mark = (name) => (marks[name] ??= performance.timeOrigin + performance.now());
  document.addEventListener("click", ({ target }) => target.closest(".mic-join") && mark("click"), true);
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...options) {
      super(...options);
      this.addEventListener("icegatheringstatechange", () => this.iceGatheringState === "complete" && mark("gathered"));
      this.addEventListener("connectionstatechange", () => this.connectionState === "connected" && mark("connected"));
    }
    setLocalDescription(description) {
      mark("relays_known");
      return super.setLocalDescription(description);
    }
    setRemoteDescription(description) {
      mark("answered");
      return super.setRemoteDescription(description);
    }
  };
})();
"""


@dataclass(frozen=True)
class Trial:
    """A network, and what is measured there. `changes`: of the network, for each of them as many rounds."""

    name: str
    goal_ms: float
    turn_urls: str = ""
    walled: bool = False
    changes: tuple[str, ...] = ("",)


TRIALS = (
    Trial("direct", 800, changes=("moved", "cut")),
    Trial("direct, relays named", 800, f"{BY_UDP},{BY_TCP}"),
    Trial("no UDP, relay by TCP", 2_000, BY_TCP, walled=True),
    Trial("no UDP, relays by UDP and TCP", 2_000, f"{BY_UDP},{BY_TCP}", walled=True),
)
CHANGE_GOAL_MS = 3_000


@dataclass
class Crew:
    """What the crew's stream says, and since when."""

    states: list[tuple[float, CrewState]] = field(default_factory=list)

    async def follow(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(timeout=WITHIN_S) as http, http.stream("GET", url, headers=headers) as response:
            async for line in response.aiter_lines():
                self.states.append((now_ms(), msgspec.json.decode(line, type=CrewState)))

    def hears(self, after_ms: float) -> float | None:
        """When it was said first, after `after_ms`, that the guest is there and loud."""
        return next((at_ms for at_ms, state in self.states if at_ms > after_ms and _loud(state)), None)

    def alone(self) -> bool:
        return bool(self.states) and not _speakers(self.states[-1][1].stage)


def _speakers(stage: board.Stage | None) -> tuple[board.Speaker, ...]:
    return tuple(one for one in stage.speakers if one.name == GUEST) if stage else ()


def _loud(state: CrewState) -> bool:
    dbfs = state.levels.dbfs if state.levels else {}
    return any(dbfs.get(speaker.seat, LOUD_DBFS) > LOUD_DBFS for speaker in _speakers(state.stage))


@dataclass
class Place:
    """What a round needs."""

    cable: Cable
    browser: Browser
    show: ShowMade
    crew: Crew
    values: Board

    def received(self) -> int | None:
        """Packets that the stage has of the guest's newest session; None: it has heard none."""
        heard = _speakers(self.values.get("stage", board.Stage))
        return heard[-1].received if heard else None


async def until(condition: Callable[[], object], what: str) -> float:
    """-> when it came true. Raises `BenchError`."""
    deadline_s = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise BenchError(f"{what}: not within {WITHIN_S:.0f} s")
        await asyncio.sleep(LOOK_S)
    return now_ms()


@asynccontextmanager
async def place(cable: Cable, trial: Trial, scratch: Path) -> AsyncIterator[Place]:
    """A show with open doors, its crew, and a browser in the guest's network."""
    with installation.directories() as (data_dir, run_dir):
        relays = {"turn_urls": trial.turn_urls, "turn_secret": SECRET} if trial.turn_urls else {}
        own = Settings(data_dir=data_dir, run_dir=run_dir, bind=STUDIO, **relays)
        async with installation.serving(installation.with_free_ports(own, keep=False)) as up:
            show = await up.create_show(NewShow("Guests", starts_in_s=STARTS_IN_S, guests=(GUEST,)))
            desk, crew = f"http://{STUDIO}:{up.settings.desk_port}", Crew()
            following = asyncio.ensure_future(crew.follow(f"{desk}/crew/api/events", show.crew_token))
            values = Board(up.settings.board_dir)
            async with browser(cable, scratch, desk) as opened:
                yield Place(cable, opened, show, crew, values)
            following.cancel()
            await asyncio.wait([following])


@asynccontextmanager
async def browser(cable: Cable, scratch: Path, origin: str) -> AsyncIterator[Browser]:
    flags = [
        *FLAGS,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={scratch}/speech.wav",
        f"--unsafely-treat-insecure-origin-as-secure={origin}",  # as if it were https: only there is a microphone
    ]
    async with async_playwright() as playwright:
        program = cable.browser(scratch, CHROMIUM)
        opened = await playwright.chromium.launch(executable_path=program, headless=True, args=flags)
        try:
            yield opened
        finally:
            await opened.close()


async def turn(at: Place, change: str) -> dict[str, Any]:
    """A guest who joins and, with a `change`, whose network changes. -> times in ms."""
    await until(at.crew.alone, "the guest before has left")
    page = await (await at.browser.new_context()).new_page()
    await page.add_init_script(MARKS)
    await page.goto(at.show.guest_links[GUEST])
    await page.get_by_role("button", name="Use the microphone").click()
    join = page.get_by_role("button", name="Join")
    await join.wait_for()
    for pid in descendants(os.getpid()):
        prefer(pid)
    await asyncio.sleep(CALM_S)
    found = await join_and_time(at, page)
    if change:
        found[f"{change}_ms"] = await change_and_time(at, change)
    await page.get_by_role("button", name="Leave").click()
    await page.context.close()
    return found


async def join_and_time(at: Place, page: Page) -> dict[str, Any]:
    before_ms = now_ms()
    await page.get_by_role("button", name="Join").click()
    on_stage_ms = await until(at.received, "the stage hears the guest")
    await until(lambda: at.crew.hears(before_ms), "the crew hears of the guest")
    ours_less_page_ms = await page_clock(page)
    marks = {name: ms + ours_less_page_ms for name, ms in (await page.evaluate("marks")).items()}
    click_ms = marks.pop("click")
    marks["on_stage"] = on_stage_ms
    backstage_ms = (at.crew.hears(before_ms) or 0.0) - click_ms
    return {"backstage_ms": backstage_ms, "steps_ms": {name: ms - click_ms for name, ms in marks.items()}}


async def change_and_time(at: Place, change: str) -> float:
    """-> from the change to a new session's first packets at the stage."""
    await asyncio.sleep(CALM_S)
    had, before_ms = at.received() or 0, now_ms()
    {"moved": at.cable.move, "cut": at.cable.cut}[change]()
    return await until(lambda: 0 < (at.received() or 0) < had, "the guest's voice is back") - before_ms


async def measure(trial: Trial, cable: Cable, rounds: int) -> dict[str, Any]:
    cable.clear(walled=trial.walled)
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        scratch = Path(directory)
        speech(scratch / "speech.wav")
        with relay(scratch, RELAY_PORT, SECRET) if trial.turn_urls else nullcontext():
            async with place(cable, trial, scratch) as at:
                turns = [await turn(at, change) for _ in range(rounds) for change in trial.changes]
    return report(trial, turns)


def speech(path: Path) -> None:
    subprocess.run(["espeak-ng", "-s", "220", "-w", path, WORDS], check=True)


def report(trial: Trial, turns: list[dict[str, Any]]) -> dict[str, Any]:
    backstage = [found["backstage_ms"] for found in turns]
    names = [name for name in turns[0]["steps_ms"] if all(name in found["steps_ms"] for found in turns)]
    steps = {name: round(median(found["steps_ms"][name] for found in turns)) for name in names}
    result = {"name": trial.name, "backstage_ms": goal(backstage, trial.goal_ms), "steps_ms": steps}
    for key in (f"{change}_ms" for change in trial.changes if change):
        result[key] = goal([found[key] for found in turns if key in found], CHANGE_GOAL_MS)
    return result


def goal(samples: list[float], goal_ms: float) -> dict[str, Any]:
    found = figures.median(samples, 0)
    return {**found, "max": round(max(samples)), "goal": goal_ms, "met": found["median"] <= goal_ms}


def inside(guest: str, rounds: int) -> None:
    """In the studio's namespace."""
    result: dict[str, Any] = {"machine": figures.machine(), "rounds": rounds, "trials": []}
    cable = Cable(guest)
    for trial in TRIALS:
        result["trials"].append(asyncio.run(measure(trial, cable, rounds)))
        print(json.dumps(result["trials"][-1]), file=sys.stderr, flush=True)
    print(json.dumps(result, indent=1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--guest", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    installation.end_by_sigterm()
    if arguments.guest:
        inside(arguments.guest, arguments.rounds)
        return 0
    with networks() as (guest, studio):
        argv = ["ip", "netns", "exec", studio, sys.executable, __file__, "--guest", guest]
        process = subprocess.Popen([*argv, "--rounds", str(arguments.rounds)])
        try:
            return process.wait()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
