"""Eight million people within a minute of T0, in simulated time: `python bench/crowd_sim.py [--quick]` -> JSON.

The usher's machines are the real ones (core/admission, order, draw; the log of places is a file that a `Roll` reads),
people, doors and edges are arrays of numbers: everybody is given a place at once, polls `now` as a page does, and joins
when its turn comes; edges take joins at the rate that was measured. CPU is the usher's alone. Besides, in a process of
its own: the memory and the time of a draw.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import deque
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stentor.core import draw
from stentor.core.admission import Admission, Decision, Facts
from stentor.io.places import directory
from stentor.model.board import Gate
from stentor.nodes.usher_draw import Drawn, Roll
from support.figures import machine
from support.processes import alone

LOOK_MS = 250
T0_S = 1_000_000
RUSH_S = 60
DOORS = 48
SHOWS_UP = 0.9
STAY_S = 2_400.0
EDGE_SEATS, EDGE_JOINS_S = 80_000, 2_000  # of one machine of two cores: docs/PERFORMANCE.md, with TLS and room to spare
SHARES = (50, 80, 90, 95)  # percent of those who fit
MEMORY_PLACES = 1_000_000
SECRET = bytes(32)
Numbers = npt.NDArray[np.int64]


class Scale(NamedTuple):
    people: int
    machines: int
    seconds_max: int


class Crowd:
    """Who waits, by when they poll next; and who is on the way to an edge."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._polls: dict[int, list[Numbers]] = {}
        self._ranks = np.zeros(0, np.int64)
        self.polls: list[int] = []  # at each look

    def wait(self, ranks: Numbers, look: int, poll_ms: int) -> None:
        """Let these poll again after a time that each picks."""
        if not len(ranks):
            return
        after = np.maximum(1, self._rng.uniform(0.8, 1.2, len(ranks)) * poll_ms / LOOK_MS).astype(np.int64)
        order = np.argsort(after, kind="stable")
        looks, first = np.unique(after[order], return_index=True)
        for later, part in zip(looks.tolist(), np.split(ranks[order], first[1:]), strict=True):
            self._polls.setdefault(look + later, []).append(part)

    def poll(self, look: int, mark: int, poll_ms: int) -> int:
        """-> how many see that their turn has come, and join."""
        asking = np.concatenate([np.zeros(0, np.int64), *self._polls.pop(look, [])])
        self.polls.append(len(asking))
        turn = asking <= mark
        self.wait(asking[~turn], look, poll_ms)
        return int(self._rng.binomial(int(turn.sum()), SHOWS_UP))


class House:
    """The simulated night."""

    def __init__(self, scale: Scale, shows: Path) -> None:
        self.scale, self.rng = scale, np.random.default_rng(1)
        self.seats = scale.machines * EDGE_SEATS
        self.crowd = Crowd(self.rng)
        folder = directory(shows, "night")
        folder.mkdir(parents=True)
        self._log = (folder / "0.places").open("ab", buffering=0)
        self._key = draw.draw_key(SECRET)
        self.roll = Roll(shows, "night", SECRET, T0_S, Drawn("", 0, "", T0_S))
        self.admission = Admission(scale.machines * EDGE_JOINS_S, 0)
        self._seq = self._came = self.listening = self.joining = self._leaving = 0
        self._tickets: deque[int] = deque([0] * (1_000 // LOOK_MS))  # as late as doors tell of them
        self.cpu_s = self.step_ms_max = 0.0
        self.excess = 0
        self.decision: Decision = self._decide(0, 0, 0)

    def look(self, look: int) -> None:
        second = look * LOOK_MS // 1_000
        came = min(self.scale.people, self.scale.people * (look + 1) * LOOK_MS // (RUSH_S * 1_000)) - self._came
        self._came += came
        at_once = min(came, self.decision.at_once * DOORS) if self.decision.gate is Gate.FREE else 0
        self._give_places(came - at_once, second, look)
        joined = at_once + self.crowd.poll(look, self.decision.mark, self.decision.next_poll_ms)
        self.joining += joined
        arrivals = min(self.joining, self.scale.machines * EDGE_JOINS_S * LOOK_MS // 1_000)
        left = int(self.rng.binomial(self.listening, LOOK_MS / 1_000 / STAY_S))
        self.joining, self.listening = self.joining - arrivals, self.listening + arrivals - left
        self.excess = max(self.excess, self.listening - self.seats)
        self._tickets.append(at_once)
        self.decision = self._decide((look + 1) * LOOK_MS, arrivals, self._tickets.popleft())

    def _give_places(self, count: int, second: int, look: int) -> None:
        seqs = np.arange(self._seq + 1, self._seq + 1 + count, dtype=np.uint32)
        issued = np.full(count, T0_S + second, np.uint32)
        self._seq += count
        self._log.write(np.stack([seqs, issued], axis=1).astype(">u4").tobytes())
        if count:
            self.crowd.wait(draw.ranks(self._key, seqs, issued, T0_S), look, self.decision.next_poll_ms)

    def _decide(self, now_ms: int, arrivals: int, tickets: int) -> Decision:
        """What the usher does in one look; its time counts."""
        before, more = time.process_time(), True
        while more:
            began = time.thread_time()
            more = self.roll.step()
            self.step_ms_max = max(self.step_ms_max, (time.thread_time() - began) * 1_000)
        settled = draw.settled(T0_S + now_ms // 1_000, T0_S)
        facts = Facts(self.seats, self.listening, arrivals, tickets, DOORS, settled=settled)
        began = time.thread_time()
        decision = self.admission.tick(now_ms, facts, self.roll.order)
        self.roll.order.points(decision.mark, 64)
        self.step_ms_max = max(self.step_ms_max, (time.thread_time() - began) * 1_000)
        self.cpu_s += time.process_time() - before
        return decision


def night(scale: Scale) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory_:
        house, look = House(scale, Path(directory_)), 0
        reached_s: dict[str, float] = {}
        while look * LOOK_MS < scale.seconds_max * 1_000:
            house.look(look)
            look += 1
            percent = 100 * house.listening / min(house.seats, scale.people)
            reached_s |= {f"full_{x}_s": look * LOOK_MS / 1e3 for x in SHARES if x <= percent} | reached_s
    polls_s = np.array(house.crowd.polls, np.int64)[: look // 4 * 4].reshape(-1, 1_000 // LOOK_MS).sum(axis=1)
    return {
        "people": scale.people,
        "seats": house.seats,
        **reached_s,
        "listening": house.listening,
        "seats_exceeded_by": house.excess,
        "waiting": house.decision.waiting,
        "now_polls_s_max": int(polls_s.max()),
        "now_polls_s_mean": round(float(polls_s[RUSH_S:].mean())),
        "usher_cpu_s": round(house.cpu_s, 2),
        "usher_cpu_share": round(house.cpu_s / (look * LOOK_MS / 1_000), 3),
        "usher_step_cpu_ms_max": round(house.step_ms_max, 1),
        "simulated_s": scale.seconds_max,
    }


def _status_mb(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def drawn(places: int) -> dict[str, Any]:
    """A draw of so many places, in this process: what it takes, over what an idle usher has."""
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as shows:
        folder = directory(Path(shows), "night")
        folder.mkdir(parents=True)
        with (folder / "0.places").open("wb") as log:
            for first in range(1, places + 1, 4_096):
                seqs = np.arange(first, min(first + 4_096, places + 1), dtype=np.uint32)
                log.write(np.stack([seqs, np.full(len(seqs), T0_S - 60, np.uint32)], axis=1).astype(">u4").tobytes())
        idle_mb, began, step_s_max = _status_mb("VmRSS"), time.process_time(), 0.0
        roll = Roll(Path(shows), "night", SECRET, T0_S, None)
        while roll.step():
            pass
        read_s, began = time.process_time() - began, time.process_time()
        roll.begin_draw("")
        more = True
        while more:
            step_s = time.thread_time()
            more = roll.step()
            step_s_max = max(step_s_max, time.thread_time() - step_s)
        assert roll.drawn is not None and roll.drawn.places == places
        return {
            "places": places,
            "idle_mb": round(idle_mb, 1),
            "peak_mb_over_idle": round(_status_mb("VmHWM") - idle_mb, 1),
            "read_cpu_s": round(read_s, 2),
            "draw_cpu_s": round(time.process_time() - began, 2),
            "step_cpu_ms_max": round(step_s_max * 1_000, 1),
        }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a few people, one machine")
    quick = parser.parse_args().quick
    scale = Scale(240_000, 1, 120) if quick else Scale(8_000_000, 12, 300)
    with alone():
        with get_context("spawn").Pool(1) as pool:
            memory = pool.apply(drawn, (MEMORY_PLACES // 100 if quick else MEMORY_PLACES,))
        print(f"draw: {memory}", file=sys.stderr)
        print(json.dumps({"machine": machine(), "draw": memory, "night": night(scale)}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
