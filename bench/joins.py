"""A burst of joins: `python bench/joins.py [--quick]` -> JSON.

All listeners connect at once to a fresh edge, just after a chunk went out; each has a ticket of its own and gets the
header and two chunks. First byte from a listener's own connect(); CPU of the edge for each join.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from stentor.model.grid import SAMPLE_RATE
from support.contestants import stentor
from support.crowd import crowd
from support.figures import machine, median
from support.processes import alone, cpu_s
from support.pulse import Pulse, new_grid

CHUNK_S = 1.0  # room for a burst between two chunks
SHARE_AFTER = 0.05  # of a chunk, from the chunk to the burst
REPEATS, REPEATS_QUICK = 3, 1
BURSTS = (2_000, 10_000)
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
        result = {"machine": machine()} | {f"joins_{count}": figures(count, repeats) for count in BURSTS}
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
