"""When the machine stood still: `python freezes.py CORE` tells each time that a thread which goes before all others
(SCHED_FIFO) was woken too late. Then nobody had that core: the host of a virtual machine gave it to somebody else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

NAP_S = 0.01
LATE_S = 0.03  # a shorter wait is a busy kernel
BEFORE_S = 3.0  # what a freeze does may be seen so much later
PRIORITY = 50


class Freeze(NamedTuple):
    """`at_s`: when it was over, CLOCK_MONOTONIC; for how long the core was gone."""

    at_s: float
    ms: float


@dataclass
class Freezes:
    """Of all cores, once the watch is over."""

    found: list[Freeze] = field(default_factory=list)

    def before(self, at_s: float, within_s: float = 0.0) -> bool:
        """Whether one can have caused what happened at `at_s`, or up to `within_s` before."""
        return any(at_s - within_s - BEFORE_S <= freeze.at_s <= at_s for freeze in self.found)

    def summary(self) -> dict[str, float]:
        return {"freezes": len(self.found), "worst_ms": round(max((f.ms for f in self.found), default=0.0))}


@contextlib.contextmanager
def watch() -> Iterator[Freezes]:
    """Without the right to go before others, nothing is found."""
    freezes, argv = Freezes(), (sys.executable, __file__)
    cores = sorted(os.sched_getaffinity(0))
    watchers = [subprocess.Popen([*argv, str(core)], stdout=subprocess.PIPE, text=True) for core in cores]
    try:
        yield freezes
    finally:
        for watcher in watchers:
            watcher.send_signal(signal.SIGTERM)
            lines = watcher.communicate()[0].splitlines()
            freezes.found += [Freeze(*map(float, line.split())) for line in lines]


def main(core: int) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    before_s = time.monotonic()
    while True:
        time.sleep(NAP_S)
        now_s = time.monotonic()
        if now_s - before_s - NAP_S > LATE_S:
            print(f"{now_s:.3f} {1000 * (now_s - before_s - NAP_S):.0f}", flush=True)
        before_s = now_s


if __name__ == "__main__":
    main(int(sys.argv[1]))
