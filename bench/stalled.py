"""Listeners who stop reading, beside those who read: `python bench/stalled.py [--quick]` -> JSON.

Kernel memory that a stalled listener holds on the server's side, and the worst gap between chunks of the others, with
the stalled and, in the same session by turns, without. A window lasts beyond the drop of the stalled.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from stentor.model.grid import SAMPLE_RATE
from stentor.settings import Settings
from support.contestants import Contestant, stentor
from support.crowd import Crowd, crowd
from support.figures import machine, median
from support.processes import BenchError, alone
from support.pulse import Pulse, new_grid, opus_bytes

CHUNK_S = 0.5
AT_ONCE = 2_000
DEAF_RCVBUF = 4_096  # a small window, so that what is not read stays with the server
FULL_AFTER_S = 12.0  # by then the queue of a stalled listener is full
WINDOW_S = Settings().lag_drop_s + 10.0
_SKMEM = re.compile(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+),o(\d+)")
_PAGE_BYTES = 4_096


class Plan(NamedTuple):
    reading: int
    stalled: int
    pairs: int


FULL = Plan(5_000, 1_000, 2)
QUICK = Plan(500, 100, 1)


def socket_memory(port: int) -> list[int]:
    """Bytes of kernel memory (received, queued, reserved, options) of each server socket whose queue is not empty."""
    argv = ["ss", "-tnmHO", "state", "established", "sport", "=", f":{port}"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [(int(line.split()[1]), _SKMEM.search(line)) for line in lines]
    return [sum(map(int, match.groups())) for queued, match in found if queued and match]


def tcp_bytes() -> int:
    """Kernel memory of all TCP sockets of the machine, both ends of each connection."""
    text = Path("/proc/net/sockstat").read_text()
    match = re.search(r"^TCP: .* mem (\d+)", text, re.MULTILINE)
    assert match
    return int(match[1]) * _PAGE_BYTES


def gaps(people: Crowd, pulse: Pulse, reading: int, first: int) -> dict[str, float]:
    """Worst gap of each listener since the mark after chunk `first`; everybody must have got everything."""
    last = pulse.quiet()
    mark = people.mark()
    expected = opus_bytes(pulse.grid, first + 1, last)
    if (mark["listeners"], mark["bytes_min"], mark["bytes_max"]) != (reading, expected, expected):
        raise BenchError(f"{expected} bytes were sent to {reading} listeners: {mark}")
    return {name: mark[name] for name in ("gap_ms_p50", "gap_ms_p99", "gap_ms_max")}


def control(people: Crowd, pulse: Pulse, plan: Plan) -> dict[str, float]:
    first = pulse.quiet(1)
    people.mark()
    pulse.quiet(round(WINDOW_S / CHUNK_S))
    return gaps(people, pulse, plan.reading, first)


def stalled(server: Contestant, people: Crowd, pulse: Pulse, plan: Plan, scratch: Path) -> tuple[Any, dict[str, float]]:
    """-> (memory of the stalled, gaps of the others)."""
    with crowd(server.port, server.paths, scratch, DEAF_RCVBUF) as others:
        others.join(plan.stalled, AT_ONCE)
        first = pulse.quiet(2)
        before = tcp_bytes()
        people.mark()
        others.deaf()
        pulse.quiet(round(FULL_AFTER_S / CHUNK_S))
        memory = memory_figures(socket_memory(server.port), tcp_bytes() - before, plan.stalled)
        pulse.quiet(round((WINDOW_S - FULL_AFTER_S) / CHUNK_S))
        left = len(socket_memory(server.port))
        return memory | {"left_after_window": left}, gaps(people, pulse, plan.reading, first)


def memory_figures(each: list[int], grown: int, count: int) -> dict[str, Any]:
    if len(each) != count:
        raise BenchError(f"{len(each)} sockets with a queue where {count} listeners stopped reading")
    each.sort()
    return {"p50": each[count // 2], "max": each[-1], "both_ends_mean": round(grown / count)}


def session(plan: Plan) -> dict[str, Any]:
    """Pairs of windows on one edge: control, stalled."""
    pairs = []
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        scratch, grid = Path(directory), new_grid(round(CHUNK_S * SAMPLE_RATE))
        with (
            stentor(grid, scratch, plan.reading) as server,
            crowd(server.port, server.paths, scratch) as people,
            Pulse(grid, server.publish) as pulse,
        ):
            pulse.quiet(1)
            people.join(plan.reading, AT_ONCE)
            for number in range(plan.pairs):
                alone = control(people, pulse, plan)
                memory, beside = stalled(server, people, pulse, plan, scratch)
                pairs.append({"memory_bytes": memory, "gaps_alone": alone, "gaps_beside": beside})
                print(f"pair {number + 1}: {pairs[-1]}", file=sys.stderr)
    return {"pairs": pairs, **summary(pairs)}


def summary(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    differences = {
        f"{name}_more": median([pair["gaps_beside"][name] - pair["gaps_alone"][name] for pair in pairs])
        for name in ("gap_ms_p50", "gap_ms_p99", "gap_ms_max")
    }
    return {"memory_bytes_max": max(pair["memory_bytes"]["max"] for pair in pairs), **differences}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="500 and 100 listeners, once")
    plan = QUICK if parser.parse_args().quick else FULL
    with alone():
        print(json.dumps({"machine": machine(), **plan._asdict(), "chunk_s": CHUNK_S, **session(plan)}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
