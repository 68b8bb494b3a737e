"""A long show in which nobody is killed: does a role's memory grow, does it keep descriptors, does the show run off?

Once a minute each role is looked at by /proc, and what a listener heard in that minute is read by its time code. All
that is kept is one row a minute. What is grown is judged from the tenth part of the run on: until then tables, caches
and the ring fill up to their limits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from stentor.clients import timecode
from stentor.core.heard import Whole
from stentor.io.codec.decoder import Decoder
from stentor.model.grid import SAMPLE_RATE, Grid
from stentor.model.rendition import OPUS
from support.trend import Ends, ends, trend

WARM_UP = 0.1  # of the run; so long are also the two parts of it that are set against each other
MEMORY_KB_PER_H_MAX = 1_024  # a slope that is surely above 0 and above this is growth
# Beyond it by design, and bounded by the show: the archive keeps the index of the tape (20 MB after three hours), and
# the last 32 playlists of all of it (250 kB each by then).
BY_DESIGN_KB_PER_H = {"archive": 10 * 1_024}
DESCRIPTORS_MORE_MAX = 0
DRIFT_MS_MAX = 20.0
BURSTS_A_MINUTE_MIN = 200  # of 300: with fewer nothing is said of that minute
_TAIL_SAMPLES = 2 * timecode.BURST_SAMPLES  # a burst may begin in one chunk and end in the next
_MARGIN_SAMPLES = 480
_FLOOR_PERCENT = 10


class Look(NamedTuple):
    """One process. `private_kb` is what only it holds and what cannot be dropped: pages of its own that were written,
    and swap; pages of files that it merely maps are the page cache's. `pss_kb` has its share of everything."""

    pid: int
    private_kb: int
    pss_kb: int
    descriptors: int


def look(pid: int) -> Look:
    """Raises `OSError` if the process is gone."""
    proc = Path(f"/proc/{pid}")
    lines = (line.split() for line in (proc / "smaps_rollup").read_text().splitlines()[1:])
    kb = {words[0]: int(words[1]) for words in lines}
    private_kb = kb["Private_Dirty:"] + kb["Swap:"]
    return Look(pid, private_kb, kb["Pss:"], sum(1 for _ in (proc / "fd").iterdir()))


@dataclass(slots=True)
class Role:
    """What was seen of one role."""

    at_s: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    def add(self, at_s: float, seen: Look) -> None:
        self.at_s.append(at_s)
        self.looks.append(seen)

    def report(self, by_design_kb_per_h: float = 0.0) -> dict[str, Any]:
        first = _warm(len(self.looks))
        warm = self.looks[first:]
        memory = trend(self.at_s[first:], [seen.private_kb for seen in warm])
        descriptors = ends([seen.descriptors for seen in warm], WARM_UP, min)  # whoever visits has some
        restarts = sum(a.pid != b.pid for a, b in zip(self.looks, self.looks[1:], strict=False))
        grows = memory.low > 0 and memory.per_h > MEMORY_KB_PER_H_MAX + by_design_kb_per_h
        return {
            "fine": not (grows or restarts or descriptors.grown > DESCRIPTORS_MORE_MAX),
            "restarts": restarts,
            "private_kb": {"warm": warm[0].private_kb, "last": warm[-1].private_kb, "per_h": memory.report()},
            "pss_kb": {"warm": warm[0].pss_kb, "last": warm[-1].pss_kb},
            "descriptors": {
                "first": round(descriptors.first),
                "last": round(descriptors.last),
                "max": max(seen.descriptors for seen in self.looks),
            },
            "minutes": [[seen.private_kb, seen.descriptors] for seen in self.looks],
        }


class Minute(NamedTuple):
    """What a listener heard: the floor of each lateness, since a busy machine adds to it and never takes away.

    `grid_ms`: from when a chunk was due by CLOCK_REALTIME to when it was here. `voice_ms`: from when it was spoken to
    where it stands in the show."""

    grid_ms: float
    voice_ms: float
    bursts: int


@dataclass(slots=True)
class Course:
    """The minutes of a show. `receive` each chunk of Opus when it is whole, `turn` the page once a minute."""

    minutes: list[Minute] = field(default_factory=list)
    _decoder: Decoder = field(default_factory=lambda: Decoder(OPUS))
    _tail: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    _grid_ms: list[float] = field(default_factory=list)
    _voice_ms: list[float] = field(default_factory=list)

    def receive(self, whole: Whole, grid: Grid, now_ns: int) -> None:
        """`now_ns`: Unix time."""
        if whole.late_ms is not None:  # not of a burst
            self._grid_ms.append((now_ns - grid.wall_ns(whole.n + 1)) / 1e6)
        samples = self._decoder.decode(whole.data)
        audio, before = np.concatenate([self._tail, samples]), len(self._tail)
        self._tail = audio[-_TAIL_SAMPLES:]
        begins_ns = grid.t0_wall_ns + (grid.presented_at(OPUS, whole.n) - before) * 1_000_000_000 // SAMPLE_RATE
        for at, k in timecode.detect(audio):
            if before < at + timecode.BURST_SAMPLES + _MARGIN_SAMPLES <= len(audio):
                self._voice_ms.append(timecode.lateness_ms(k, begins_ns + at * 1_000_000_000 // SAMPLE_RATE))

    def turn(self) -> None:
        """A minute is over."""
        if len(self._voice_ms) >= BURSTS_A_MINUTE_MIN and self._grid_ms:
            floors = [float(np.percentile(values, _FLOOR_PERCENT)) for values in (self._grid_ms, self._voice_ms)]
            self.minutes.append(Minute(*floors, len(self._voice_ms)))
        self._grid_ms, self._voice_ms = [], []

    def report(self) -> dict[str, Any]:
        """`heard`: from mouth to the listener's ear, both latenesses together."""
        if len(self.minutes) < 2:
            return {"fine": False, "problem": "no two minutes were heard"}
        rows = {
            "grid": [minute.grid_ms for minute in self.minutes],
            "voice": [minute.voice_ms for minute in self.minutes],
            "heard": [minute.grid_ms + minute.voice_ms for minute in self.minutes],
        }
        found: dict[str, Any] = {name: _drift(values) for name, values in rows.items()}
        fine = all(abs(found[name]["drift_ms"]) < DRIFT_MS_MAX for name in ("grid", "heard"))
        return {"fine": fine, **found, "minutes": [[round(value, 1) for value in minute] for minute in self.minutes]}


def _drift(values: Sequence[float]) -> dict[str, Any]:
    found: Ends = ends(values, WARM_UP)
    at_s = [60.0 * at for at in range(len(values))]
    return {
        "first_ms": round(found.first, 1),
        "last_ms": round(found.last, 1),
        "drift_ms": round(found.grown, 1),
        "middle_ms": round(median(values), 1),
        "per_h": trend(at_s, values).report(),
    }


def _warm(count: int) -> int:
    """The first of so many samples by which growth is judged; two are left at least."""
    return max(0, min(int(count * WARM_UP), count - 2))


@dataclass(slots=True)
class Watch:
    """The roles of an installation, each by its name."""

    roles: dict[str, Role] = field(default_factory=dict)
    _began_s: float = field(default_factory=time.monotonic)

    def look(self, pids: dict[str, int]) -> None:
        """A role that is not there is missing from this minute, and its next pid is another."""
        for name, pid in pids.items():
            with suppress(OSError):
                self.roles.setdefault(name, Role()).add(time.monotonic() - self._began_s, look(pid))

    def report(self) -> dict[str, Any]:
        return {name: role.report(BY_DESIGN_KB_PER_H.get(name, 0.0)) for name, role in self.roles.items() if role.looks}
