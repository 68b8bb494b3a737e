"""What goes out in simulated time: studio, usher and edges over one ring, the ladder's switches, the life of a show.

The machines are those of core (life, ladder, hold, fanout, outlet); ring and crowd are simulated, and everything comes
from one seed. Faults are data (`Fault`). A step is 100 ms, two of the usher's looks at the ring.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NamedTuple

from stentor.core.fanout import Feed
from stentor.core.hold import Deadlines, HoldWatch
from stentor.core.ladder import Ladder, Rung, Wish
from stentor.core.life import Life, Times
from stentor.core.outlet import Outlet
from stentor.model.board import Phase
from stentor.model.grid import Grid
from stentor.model.rendition import OPUS, OPUS_LOW
from stentor.nodes.usher_ladder import switch_n

STEP_NS, LOOK_STEPS = 100_000_000, 10  # the ladder looks once a second
SECONDS, STARTS_S = 64, 5
SLOTS, CHUNK_S = 32, 0.5
HOLD_GRACE_NS, EDGE_GRACE_NS = 150_000_000, 400_000_000
T0_NS = 10**12
LANES = (OPUS, OPUS_LOW)
GRID = Grid(t0_wall_ns=T0_NS, t0_mono_ns=T0_NS, chunk_samples=24_000)
DEADLINES = Deadlines(GRID, HOLD_GRACE_NS, EDGE_GRACE_NS)
UNATTENDED = Deadlines(GRID, 0, EDGE_GRACE_NS)


class Fault(NamedTuple):
    """From second `at_s` for `for_s`: studio or usher (dead), edge `which` (stands still), killed (edge `which` begins
    anew), late (the studio's chunks come 100 ms late, or 400)."""

    what: str
    at_s: float
    for_s: float
    which: int


@dataclass
class Plan:
    """What a seed comes to. The crowd grows to `peak` listeners and goes away again."""

    seed: int
    peak: int
    capacity: tuple[int, ...]
    rung: int  # what the crew asks for from half time on; -1: nothing
    faults: tuple[Fault, ...]

    @classmethod
    def of(cls, seed: int) -> Plan:
        rng = random.Random(seed)
        full = rng.randint(100, 1_000)
        capacity = tuple(full * factor for factor in (1, 2, 4, 5, 6))
        whats = ("studio", "usher", "edge", "killed", "late")
        faults = [
            Fault(rng.choice(whats), rng.uniform(3, SECONDS - 35), rng.choice([0.3, 1.0, 4.0, 20.0]), rng.randint(0, 1))
            for _ in range(rng.randint(0, 4))
        ]
        return cls(seed, rng.randint(0, 12 * full), capacity, rng.choice([-1, -1, 0, 1, 3]), tuple(faults))


class Published(NamedTuple):
    data: bytes


class HoldOf:
    def __init__(self, lane: int) -> None:
        self._lane = lane

    def chunk(self, grid: Grid, n: int) -> bytes:
        return b"hold %d %d," % (self._lane, n)


class Ring:
    """The lanes of a ring. Who is first to write a chunk has written it."""

    def __init__(self) -> None:
        self.grid, self.slots, self.end_n = GRID, SLOTS, 0
        self.holds = {one.id: HoldOf(one.id) for one in LANES}
        self.chunks: dict[int, dict[int, bytes]] = {one.id: {} for one in LANES}
        self.heads = dict.fromkeys(self.chunks, 0)

    def publish(self, lane: int, n: int, data: bytes) -> None:
        if n > self.heads[lane]:
            self.chunks[lane][n], self.heads[lane] = data, n

    def head(self, rendition_id: int) -> int:
        return self.heads[rendition_id]

    def get(self, rendition_id: int, n: int) -> Published | None:
        found = self.chunks[rendition_id].get(n) if n > self.heads[rendition_id] - SLOTS else None
        return Published(found) if found else None


class Switch(NamedTuple):
    """A decision of the ladder. `newest`: the chunk that was out when it was made."""

    at_s: float
    rung: Rung
    group: int
    low_all: bool
    newest: int
    from_n: int
    listeners: int


class Sent(NamedTuple):
    """One write to every listener of a mount: chunks up to `n`."""

    n: int
    step: int
    data: bytes


@dataclass
class Edge:
    """Two mounts; what each has sent, anew for each life of the edge."""

    feeds: dict[int, Feed]
    outlets: dict[int, Outlet]
    sent: dict[int, list[Sent]] = field(default_factory=lambda: {one.id: [] for one in LANES})

    @classmethod
    def begin(cls, ring: Ring, now_ns: int) -> Edge:
        feeds = {one.id: Feed(ring, one, EDGE_GRACE_NS, now_ns) for one in LANES}
        return cls(feeds, {lane: Outlet(feed) for lane, feed in feeds.items()})

    def apply(self, switch: Switch) -> None:
        for outlet in self.outlets.values():
            outlet.regroup(switch.group, switch.from_n)
        self.outlets[OPUS.id].turn_to(self.feeds[OPUS_LOW.id if switch.low_all else OPUS.id], switch.from_n)

    def tick(self, now_ns: int) -> None:
        for lane, outlet in self.outlets.items():
            while (data := outlet.tick(now_ns)) is not None:
                self.sent[lane].append(Sent(outlet.n, outlet.step, data))


class Air:
    """Run it once, then look at what is public."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.ring = plan, Ring()
        self.edges = [Edge.begin(self.ring, T0_NS) for _ in range(2)]
        self.lives = list(self.edges)  # those that were killed, too
        self.switches: list[Switch] = []
        self.phases: list[tuple[float, Phase]] = []
        self._made_n = 0  # the studio's newest chunk
        self._ladder = Ladder()
        self._life = Life(Times(0, STARTS_S * 1000))

    def run(self) -> Air:
        for step in range(SECONDS * 1_000_000_000 // STEP_NS):
            now_ns = T0_NS + step * STEP_NS
            self._make(now_ns)
            self._fill(now_ns)
            if step % LOOK_STEPS == 0 and not self._is("usher", now_ns):
                self._look(now_ns)
            self._live((now_ns - T0_NS) / 1e9)
            self._send(now_ns)
        return self

    def _is(self, what: str, now_ns: int, which: int | None = None) -> bool:
        at_s = (now_ns - T0_NS) / 1e9
        return any(
            fault.what == what and fault.at_s <= at_s < fault.at_s + fault.for_s and which in (None, fault.which)
            for fault in self.plan.faults
        )

    def _make(self, now_ns: int) -> None:
        """The studio writes what is due; it does not make up for what it has missed, and airs hold for what is late."""
        if self._is("studio", now_ns):
            return
        late_ns = STEP_NS * (sum(1 + 3 * f.which for f in self.plan.faults if f.what == "late"))
        due = GRID.n_at(now_ns - (late_ns if self._is("late", now_ns) else 0)) - 1
        for n in range(max(self._made_n + 1, due - 2), due + 1):
            self._made_n = n
            for lane in self.ring.chunks:
                hold = DEADLINES.studio_must_hold(n, now_ns)
                self.ring.publish(
                    lane, n, self.ring.holds[lane].chunk(GRID, n) if hold else b"program %d %d," % (lane, n)
                )

    def _fill(self, now_ns: int) -> None:
        """The usher writes hold; of a studio that is dead it waits for nothing."""
        if self._is("usher", now_ns):
            return
        watch = HoldWatch(UNATTENDED if self._is("studio", now_ns) else DEADLINES, SLOTS)
        lanes = sorted(self.ring.heads)
        for index, n in watch.tick(tuple(self.ring.heads[lane] for lane in lanes), 0, now_ns):
            self.ring.publish(lanes[index], n, self.ring.holds[lanes[index]].chunk(GRID, n))

    def listeners(self, at_s: float) -> int:
        return round(self.plan.peak * max(0.0, 1 - abs(at_s - SECONDS / 2) / (SECONDS / 2)))

    def _look(self, now_ns: int) -> None:
        at_s, newest = (now_ns - T0_NS) / 1e9, max(self.ring.heads.values())
        if self.switches and newest < self.switches[-1].from_n:
            return
        wish = Wish(self.plan.rung if at_s > SECONDS / 2 else -1)
        listeners = self.listeners(at_s)
        decided = self._ladder.tick(at_s, listeners, self.plan.capacity, wish)
        if decided.rung != (self.switches[-1].rung if self.switches else Rung.FULL):
            from_n = switch_n(newest, CHUNK_S)
            self.switches.append(Switch(at_s, decided.rung, decided.group, decided.low_all, newest, from_n, listeners))

    def _live(self, at_s: float) -> None:
        self.phases += [(at_s, change.after) for change in self._life.tick(round(at_s * 1000), "")]

    def _send(self, now_ns: int) -> None:
        for which, edge in enumerate(self.edges):
            if self._is("edge", now_ns, which):
                continue
            if self._is("killed", now_ns, which):
                self.edges[which] = edge = Edge.begin(self.ring, now_ns)
                self.lives.append(edge)
            if self.switches:
                edge.apply(self.switches[-1])
            edge.tick(now_ns)
