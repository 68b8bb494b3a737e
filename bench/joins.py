"""A burst of joins: `python bench/joins.py [--quick]` -> JSON.

All listeners connect at once to a fresh edge, just after a chunk went out; each has a ticket of its own and gets the
header and two chunks. First byte from a listener's own connect(); CPU of the edge for each join. `beside`: the same by
turns with an nginx worker that has a file as large; everybody leaves with that much, and `all_ms` is when the last has.
What the kernel lets wait for a server (net.core.somaxconn) stands beside it: whose SYN finds no room knocks again after
one second, and after three.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from stentor.formats import chunks
from stentor.model.grid import SAMPLE_RATE
from stentor.model.rendition import OPUS
from support.contestants import Start, static, stentor
from support.crowd import crowd
from support.figures import machine, median
from support.processes import alone, cpu_s
from support.pulse import Pulse, new_grid, opus_bytes

CHUNK_S = 1.0  # room for a burst between two chunks
SHARE_AFTER = 0.05  # of a chunk, from the chunk to the burst
REPEATS, REPEATS_QUICK = 3, 1
BURSTS = (2_000, 10_000)
AT_ONCE = 10_000_000  # a second: all are due within a millisecond or two
SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
FIGURES = ("first_byte_ms_p50", "first_byte_ms_p99", "first_byte_ms_max", "all_ms")


def burst(count: int) -> dict[str, Any]:
    """One burst on an edge of its own."""
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        scratch, grid = Path(directory), new_grid(round(CHUNK_S * SAMPLE_RATE))
        with (
            stentor(grid, scratch, count) as server,
            crowd(server.port, server.paths, scratch) as people,
            Pulse(grid, server.publish) as pulse,
        ):
            pulse.just_after(SHARE_AFTER)
            before = cpu_s(server.pids)
            joined = people.join(count, count)
            return joined | {"cpu_us_join": (cpu_s(server.pids) - before) / count * 1e6}


def leave(start: Start, count: int, size: int) -> dict[str, Any]:
    """A burst of those who leave with `size` bytes."""
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        scratch, grid = Path(directory), new_grid(round(CHUNK_S * SAMPLE_RATE))
        with (
            start(grid, scratch, count) as server,
            crowd(server.port, server.paths, scratch) as people,
            Pulse(grid, server.publish) as pulse,
        ):
            pulse.quiet(2)
            return people.arrive(AT_ONCE, count, size)


def beside(count: int, repeats: int) -> dict[str, Any]:
    size = len(chunks.header(OPUS)) + opus_bytes(new_grid(round(CHUNK_S * SAMPLE_RATE)), 1, 2)
    servers: dict[str, Start] = {"stentor": stentor, "nginx": partial(static, size=size)}
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in servers}
    for _ in range(repeats):
        for name, start in servers.items():
            taken[name].append(leave(start, count, size))
            print(f"{name}, {count}: {taken[name][-1]}", file=sys.stderr)
    names = ("first_byte_ms_p50", "first_byte_ms_p99", "all_ms")
    found: dict[str, Any] = {
        name: {one: median([t[one] for t in all_]) for one in names} for name, all_ in taken.items()
    }
    pairs = zip(taken["stentor"], taken["nginx"], strict=True)
    return found | {"all_ms stentor/nginx": median([own["all_ms"] / other["all_ms"] for own, other in pairs])}


def figures(count: int, repeats: int) -> dict[str, Any]:
    taken = []
    for _ in range(repeats):
        taken.append(burst(count))
        print(f"{count}: {taken[-1]}", file=sys.stderr)
    return {name: median([one[name] for one in taken], 1) for name in (*FIGURES, "cpu_us_join")}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="each burst once")
    repeats = REPEATS_QUICK if parser.parse_args().quick else REPEATS
    with alone():
        result = {"machine": machine(), "somaxconn": int(SOMAXCONN.read_text())}
        result |= {f"joins_{count}": figures(count, repeats) for count in BURSTS}
        result |= {f"beside_{count}": beside(count, repeats) for count in BURSTS}
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
