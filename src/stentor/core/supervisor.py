"""Which child process to start, end, replace or give up, and when. Watches life, not health: a role tells its own
troubles.

`now` is in seconds on any monotonic clock. A child that ends is started again after a wait of `BACKOFF_S_MIN`, doubled
at each further end up to `BACKOFF_S_MAX`; a life of `STEADY_S` makes the next wait short again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

BACKOFF_S_MIN = 0.2
BACKOFF_S_MAX = 5.0
STEADY_S = 10.0
TERM_GRACE_S = 3.0  # from SIGTERM to SIGKILL
CANNOT_START = 3  # exit code of a role that can never come up like this: its port is taken


class Do(StrEnum):
    """What is to be done with a child."""

    START = "start"
    TERMINATE = "terminate"
    KILL = "kill"
    REPLACE = "replace"  # start another one under its name; the old one goes on, and is called `old` from now on
    RETIRE = "retire"  # let it take nobody new, and end when the last one has left


@dataclass(frozen=True, slots=True)
class Decision:
    do: Do
    name: str
    old: str = ""


@dataclass(slots=True)
class _Child:
    running: bool = False
    since: float = 0.0
    start_at: float = 0.0
    wait_s: float = BACKOFF_S_MIN
    settled: bool = False  # it has run steadily once, or was found running


@dataclass(slots=True)
class Supervisor:
    """Keeps the children named in `wanted` running, until `receive_stop`. Starts nothing before the first `tick`."""

    wanted: Iterable[str]
    restarts: int = 0
    stopping: bool = False
    failed: str = ""  # the child that cannot start, once we stop because of it
    _children: dict[str, _Child] = field(init=False)
    _surplus: dict[str, _Child] = field(init=False, default_factory=dict)
    _stop_at: float = field(init=False, default=0.0)
    _told: set[Decision] = field(init=False, default_factory=set)
    _reload: list[str] = field(init=False, default_factory=list)
    _retiring: dict[str, bool] = field(init=False, default_factory=dict)  # by name: whether it was told to
    _replaced: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._children = {name: _Child() for name in self.wanted}

    def receive_found(self, name: str, now: float) -> None:
        """A child of an earlier supervisor lives. One that is not wanted any more will be ended."""
        if _successor(name) in self._children and name not in self._children:
            self._retiring[name] = False
            return
        home = self._children if name in self._children else self._surplus
        home[name] = _Child(running=True, since=now, settled=True)

    def receive_exit(self, name: str, code: int | None, now: float) -> None:
        """A child has ended; `code` is None where it was not ours to wait for, negative for a signal."""
        if self._surplus.pop(name, None) is not None or self._retiring.pop(name, None) is not None:
            return
        child = self._children[name]
        steady = now - child.since >= STEADY_S
        child.running, child.settled = False, child.settled or steady
        if self.stopping:
            return
        if code == CANNOT_START and not child.settled:
            self.failed = name
            self.receive_stop(now)
            return
        child.wait_s = BACKOFF_S_MIN if steady else child.wait_s
        child.start_at = now + child.wait_s
        child.wait_s = min(2 * child.wait_s, BACKOFF_S_MAX)
        self.restarts += 1

    def receive_reload(self, names: Iterable[str]) -> None:
        """Replace these children by new ones, without loss to whom they serve. Those that do not run start anyway."""
        self._reload = [name for name in names if self._children[name].running and name not in self.awaited]

    def receive_up(self, name: str) -> None:
        """The new child `name` serves: those before it may retire."""
        for old in self._retiring:
            if _successor(old) == name:
                self._retiring[old] = True

    @property
    def awaited(self) -> set[str]:
        """Names of new children whose `receive_up` is waited for."""
        return {_successor(old) for old, told in self._retiring.items() if not told}

    def receive_stop(self, now: float) -> None:
        """End everything; a second call changes nothing."""
        if not self.stopping:
            self.stopping, self._stop_at = True, now

    @property
    def running(self) -> list[str]:
        """Names of the children that live, wanted or not."""
        living = [name for name, child in (self._children | self._surplus).items() if child.running]
        return living + list(self._retiring)

    @property
    def done(self) -> bool:
        """Whether it was stopped and no child is left."""
        return self.stopping and not self.running

    def tick(self, now: float) -> list[Decision]:
        """What is due. Each decision is given once; a start counts as carried out."""
        if self.stopping:
            return self._end(self.running, self._stop_at, now)
        return self._replace(now) + self._start(now) + self._end_surplus(now) + self._retire()

    def _replace(self, now: float) -> list[Decision]:
        """A new child has all the chances of one that has proved itself: the old one serves while it fails."""
        decisions = []
        for name in self._reload:
            self._replaced += 1
            old = f"{name}.{self._replaced}"
            self._retiring[old] = False
            self._children[name] = _Child(running=True, since=now, settled=True)
            decisions.append(Decision(Do.REPLACE, name, old))
        self._reload = []
        return decisions

    def _retire(self) -> list[Decision]:
        due = [Decision(Do.RETIRE, old) for old, told in self._retiring.items() if told]
        fresh = [decision for decision in due if decision not in self._told]
        self._told.update(fresh)
        return fresh

    def _start(self, now: float) -> list[Decision]:
        due = [name for name, child in self._children.items() if not child.running and child.start_at <= now]
        for name in due:
            child = self._children[name]
            child.running, child.since = True, now
        return [Decision(Do.START, name) for name in due]

    def _end_surplus(self, now: float) -> list[Decision]:
        ends = (self._end([name], child.since, now) for name, child in self._surplus.items())
        return [decision for some in ends for decision in some]

    def _end(self, names: Iterable[str], since: float, now: float) -> list[Decision]:
        do = Do.KILL if now >= since + TERM_GRACE_S else Do.TERMINATE
        fresh = [decision for name in names if (decision := Decision(do, name)) not in self._told]
        self._told.update(fresh)
        return fresh

    def next_deadline(self) -> float | None:
        """When `tick` may have something to say though nothing is received; None: never."""
        if self.stopping:
            return self._stop_at + TERM_GRACE_S if self.running else None
        starts = [child.start_at for child in self._children.values() if not child.running]
        return min([*starts, *(child.since + TERM_GRACE_S for child in self._surplus.values())], default=None)


def _successor(name: str) -> str:
    """Under whose name the child that replaced `name` runs."""
    return name.partition(".")[0]
