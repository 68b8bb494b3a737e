"""A house in simulated time: people, doors, edges and the usher's machines, everything from one seed.

The machines are those of the usher (core/admission, tally, order, draw, eta); doors and edges are as their contracts on
the board have them. A second is a step: an edge and a door publish, the usher looks once. Faults are data (`Fault`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from stentor.core import draw, eta
from stentor.core.admission import REPORT_LOOKS, Admission, Decision, Facts
from stentor.core.order import Order
from stentor.core.tally import STALE_MS, Said, Tally
from stentor.model.board import Gate

STEP_MS = 2_000
CALLS_PER_S = 40
UNKNOWN = -1
FAR_MS = 2**62


class Fault(NamedTuple):
    """At second `at_s`, for `for_s`: usher (dead), door `which` (dead), edge `which` (killed), stale (edge `which` says
    nothing), cap (set to `which`), exit (`which` percent of the listeners leave)."""

    at_s: int
    what: str
    which: int = 0
    for_s: int = 0


@dataclass
class Plan:
    """What a seed comes to. Times in seconds."""

    seed: int
    people: int
    cap: int
    seconds: int
    stay_s: float
    shows_up: float
    draw_s: int  # 0: no draw
    rush_s: int  # most come within so many seconds of the start, or of the draw
    asleep: float  # share of people who poll ten times too seldom
    clock_spread_s: int  # of doors
    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, seed: int, *, calm: bool = False) -> Plan:
        rng = random.Random(seed)
        seconds = 900
        plan = cls(
            seed,
            people=rng.randint(40, 200),
            cap=rng.randint(10, 80),
            seconds=seconds,
            stay_s=rng.uniform(200, 900),
            shows_up=rng.choice([1.0, 0.9, 0.6]),
            draw_s=rng.choice([0, 60, 120]),
            rush_s=rng.choice([5, 60, 600]),
            asleep=rng.choice([0.0, 0.0, 0.1]),
            clock_spread_s=0 if calm else rng.choice([0, 30]),
        )
        if not calm:
            plan.faults = tuple(sorted(_fault(rng, plan) for _ in range(rng.randint(0, 5))))
        return plan


def _fault(rng: random.Random, plan: Plan) -> Fault:
    what = rng.choice(["usher", "door", "edge", "stale", "cap", "exit"])
    which = {"cap": rng.randint(0, 100), "exit": rng.randint(10, 100)}.get(what, rng.randint(0, 1))
    return Fault(2 * rng.randint(3, plan.seconds // 2 - 30), what, which, 2 * rng.randint(1, 12))


COMING, WAITING, CONNECTING, LISTENING, GONE = range(5)  # what a person does


@dataclass
class Edge:
    pid: int = 1
    listeners: int = 0
    arrivals: int = 0
    said: Said = Said(0, 1, 0, 0)


@dataclass
class Door:
    clock_s: int
    tickets: int = 0
    left: int = 0  # of `at_once`
    said: Said = Said(0, 1, 0)


@dataclass
class Outcome:
    """What has come about. `told` are (person, at ms, low s, high s)."""

    told: list[tuple[int, int, int, int]] = field(default_factory=list)
    admitted: list[int] = field(default_factory=list)  # seqs, each time one was let in anew
    marks: list[int] = field(default_factory=list)
    excess_max: int = 0
    cut: int = 0
    full_share: float = 0.0  # how full the house was while anybody waited


class Usher:
    """The machines of nodes/line.py, on what a usher before left."""

    def __init__(self, world: World, now_ms: int, mark: int = 0, called: int = 0, listening: int = 0) -> None:
        self.edges, self.doors, self.order, self.read = Tally(), Tally(), Order(), 0
        self.admission = Admission(CALLS_PER_S, now_ms, mark, called, listening)
        self._world = world

    def look(self, now_ms: int) -> Decision:
        world = self._world
        arrivals = self.edges.receive({f"edge-{i}": edge.said for i, edge in enumerate(world.edges)}, now_ms)
        tickets = self.doors.receive({f"door-{i}": door.said for i, door in enumerate(world.doors)}, now_ms)
        self._read()
        facts = Facts(
            cap=world.cap,
            listening=self.edges.level,
            arrivals=arrivals,
            tickets=tickets,
            doors=self.doors.workers,
            gathering=not world.drawn,
            gathered=len(world.log),
            draw_in_ms=max(0, world.plan.draw_s * 1000 - now_ms),
            settled=draw.settled(1_000_000 + now_ms // 1000, world.base_s),
        )
        return self.admission.tick(now_ms, facts, self.order)

    def _read(self) -> None:
        """New places, once their ranks can be known."""
        new = self._world.log[self.read :] if self._world.drawn else []
        if new:
            self.read += len(new)
            seqs, issued = (np.array(column, np.uint32) for column in zip(*new, strict=True))
            self.order.add(draw.ranks(self._world.key, seqs, issued, self._world.base_s).astype(np.uint64))


class World:
    """Run it once; raises `AssertionError` where an invariant does not hold."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.rng, self.out = plan, random.Random(plan.seed), Outcome()
        rng = self.rng
        self.cap, self.drawn, self.base_s = plan.cap, not plan.draw_s, 1_000_000 + plan.draw_s
        self.key = draw.draw_key(plan.seed.to_bytes(32, "big"))
        self.log: list[tuple[int, int]] = []
        self.edges = [Edge() for _ in range(2)]
        self.doors = [Door(rng.randint(-plan.clock_spread_s, plan.clock_spread_s)) for _ in range(2)]
        self.dead_until = {("usher", 0): 0, **{("door", i): 0 for i in range(2)}, **{("stale", i): 0 for i in range(2)}}
        count = plan.people
        self.state = np.zeros(count, np.int8)
        self.at_ms = np.array([rng.randint(0, 1000 * rng.choice([plan.rush_s, plan.seconds])) for _ in range(count)])
        self.rank = np.full(count, UNKNOWN, np.int64)
        self.turn_ms = np.full(count, FAR_MS, np.int64)
        self.places: dict[int, tuple[int, int]] = {}
        self.edge_of = [0] * count
        self.leaves_ms = [0] * count
        self.comes = [rng.random() < plan.shows_up for _ in range(count)]
        self.asleep = [rng.random() < plan.asleep for _ in range(count)]
        self.late = 0  # how many may listen beyond the seats, by the lags that core/admission names
        self.usher = Usher(self, 0)
        self.line = self.now = self.usher.look(0)
        self.line_ms = 0
        self._table: eta.Table | None = None  # of `now`, made when somebody asks
        self._full, self._crowded = 0.0, 0

    def run(self) -> Outcome:
        for now_ms in range(STEP_MS, self.plan.seconds * 1000, STEP_MS):
            self._suffer(now_ms)
            for person in np.flatnonzero(self.at_ms <= now_ms).tolist():
                _STEPS[int(self.state[person])](self, person, now_ms)
            self._publish(now_ms)
            self._look(now_ms)
            self._check(now_ms)
        self.out.full_share = self._full / self._crowded if self._crowded else 1.0
        return self.out

    # -- people

    def _join(self, person: int, now_ms: int) -> None:
        which = self.rng.randrange(2)
        door, fresh = self.doors[which], now_ms - self.line_ms < STALE_MS
        if self.dead_until["door", which] > now_ms:
            self.at_ms[person] = now_ms + 3_000
        elif self.line.gate is Gate.FREE and fresh and door.left > 0:
            door.left -= 1
            door.tickets += 1
            self.out.admitted.append(-person)
            self._connect(person, now_ms)
        else:
            issued = 1_000_000 + now_ms // 1000 + door.clock_s
            issued = (
                max(issued, draw.earliest(self.line.mark, self.base_s)) if self.drawn else min(issued, self.base_s - 1)
            )
            self.places[person] = (len(self.log) + 1, issued)
            self.log.append(self.places[person])
            self._wait(person, now_ms)

    def _wait(self, person: int, now_ms: int) -> None:
        self.state[person] = WAITING
        slow = 10 if self.asleep[person] else 1
        self.at_ms[person] = now_ms + slow * round(self.now.next_poll_ms * self.rng.uniform(0.8, 1.2))

    def _poll(self, person: int, now_ms: int) -> None:
        if self.drawn and self.rank[person] == UNKNOWN:
            self.rank[person] = draw.rank(self.key, *self.places[person], self.base_s)
        rank = int(self.rank[person])
        if rank == UNKNOWN or rank > self.now.mark:
            if rank != UNKNOWN:
                self._tell(person, rank, now_ms)
            self._wait(person, now_ms)
        elif self.comes[person]:
            self.out.admitted.append(self.places[person][0])
            self.late += now_ms - self.turn_ms[person] > 25_000 + 1.2 * self.now.next_poll_ms
            self._connect(person, now_ms)
        else:
            self._leave(person)

    def _tell(self, person: int, rank: int, now_ms: int) -> None:
        line, before = self.now, len(self.out.told)
        if before and self.rng.random() > 0.1:
            return
        if self._table is None:
            self._table = self.usher.order.points(line.mark, 64)
        pace = eta.Pace(line.rate_mps, line.seen, line.free, line.soon, CALLS_PER_S * 1000, line.next_poll_ms)
        told = eta.range_s(eta.ahead(self._table, line.mark, rank), pace)
        if told is not None:
            self.out.told.append((person, now_ms, *told))

    def _connect(self, person: int, now_ms: int) -> None:
        self.state[person] = CONNECTING
        self.at_ms[person] = now_ms + self.rng.randint(100, 2_000)
        self.leaves_ms[person] = 0

    def _arrive(self, person: int, now_ms: int) -> None:
        edge = self.edges[which := self.rng.randrange(2)]
        self.state[person], self.edge_of[person] = LISTENING, which
        edge.listeners += 1
        if not self.leaves_ms[person]:
            edge.arrivals += 1
            self.late += self._some_come_back()  # into a seat that is kept for one of them
            self.leaves_ms[person] = now_ms + round(self.rng.expovariate(1 / (self.plan.stay_s * 1000))) + 1
        self.at_ms[person] = max(now_ms + 1, self.leaves_ms[person])

    def _some_come_back(self) -> bool:
        return any(self.leaves_ms[other] for other in np.flatnonzero(self.state == CONNECTING).tolist())

    def _end(self, person: int, now_ms: int) -> None:
        self.edges[self.edge_of[person]].listeners -= 1
        self._leave(person)

    def _leave(self, person: int) -> None:
        self.state[person], self.at_ms[person] = GONE, FAR_MS

    # -- faults

    def _suffer(self, now_ms: int) -> None:
        for fault in self.plan.faults:
            if fault.at_s * 1000 == now_ms:
                _FAULTS[fault.what](self, fault, now_ms)

    def _die(self, fault: Fault, now_ms: int) -> None:
        which = 0 if fault.what == "usher" else fault.which
        self.dead_until[fault.what, which] = now_ms + fault.for_s * 1000
        if fault.what == "door":
            self.doors[which] = Door(self.doors[which].clock_s, said=Said(now_ms, fault.at_s, 0))

    def _kill_edge(self, fault: Fault, now_ms: int) -> None:
        """Its listeners come back within ten seconds, with their tickets."""
        self.edges[fault.which] = Edge(pid=fault.at_s + 1)
        for person in np.flatnonzero(self.state == LISTENING).tolist():
            if self.edge_of[person] == fault.which:
                self.state[person] = CONNECTING
                self.at_ms[person] = now_ms + self.rng.randint(100, 10_000)

    def _set_cap(self, fault: Fault, now_ms: int) -> None:
        self.cap = fault.which

    def _mass_exit(self, fault: Fault, now_ms: int) -> None:
        for person in np.flatnonzero(self.state == LISTENING).tolist():
            if self.rng.randrange(100) < fault.which:
                self._end(person, now_ms)

    # -- machines

    def _publish(self, now_ms: int) -> None:
        for which, edge in enumerate(self.edges):
            if self.dead_until["stale", which] <= now_ms:
                edge.said = Said(now_ms + which * 30_000, edge.pid, edge.arrivals, edge.listeners)
        for which, door in enumerate(self.doors):
            if self.dead_until["door", which] <= now_ms:
                door.said = Said(now_ms - which * 30_000, door.said.pid, door.tickets)

    def _look(self, now_ms: int) -> None:
        self.now = self.line  # as a cache has it
        if self.dead_until["usher", 0] > now_ms:
            return
        if self.dead_until["usher", 0] > now_ms - STEP_MS:
            line = self.line
            called = line.called + line.at_once * REPORT_LOOKS * len(self.doors)
            self.usher = Usher(self, now_ms, line.mark, called, int(self.edges_said()))
        if now_ms >= self.plan.draw_s * 1000:
            self.drawn = True
        self.line, self.line_ms = self.usher.look(now_ms), now_ms
        self._table = None
        for door in self.doors:
            door.left = self.line.at_once
        self._note_turns(now_ms)

    def edges_said(self) -> int:
        return sum(edge.said.level for edge in self.edges)

    def _note_turns(self, now_ms: int) -> None:
        if self.out.marks and self.out.marks[-1] == self.line.mark:
            return
        if self.drawn:
            for person in [p for p in self.places if self.rank[p] == UNKNOWN]:
                self.rank[person] = draw.rank(self.key, *self.places[person], self.base_s)
        self.turn_ms[(self.rank != UNKNOWN) & (self.rank <= self.line.mark) & (self.turn_ms == FAR_MS)] = now_ms

    def _check(self, now_ms: int) -> None:
        marks, listening = self.out.marks, sum(edge.listeners for edge in self.edges)
        assert not marks or self.line.mark >= marks[-1], f"the mark fell at {now_ms} ms"
        marks.append(self.line.mark)
        caps = [self.plan.cap, *(f.which for f in self.plan.faults if f.what == "cap" and f.at_s * 1000 <= now_ms)]
        self.out.excess_max = max(self.out.excess_max, listening - max(caps))
        assert listening <= max(caps) + self.late, f"{listening} listen at {now_ms} ms where {max(caps)} seats were"
        if self.line.waiting > 0 and self.drawn and self.cap:
            self._crowded += 1
            self._full += min(1.0, listening / self.cap)


_STEPS = {
    COMING: World._join,
    WAITING: World._poll,
    CONNECTING: World._arrive,
    LISTENING: World._end,
}
_FAULTS = {
    "usher": World._die,
    "door": World._die,
    "stale": World._die,
    "edge": World._kill_edge,
    "cap": World._set_cap,
    "exit": World._mass_exit,
}
