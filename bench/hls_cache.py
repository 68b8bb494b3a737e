"""How many requests reach an edge behind a cache: `python bench/hls_cache.py [--players 2000]` -> JSON.

Players of low-latency HLS (hls_crowd.c) ask Varnish, or nginx, as docs/proxies configures them. The edge has a core
with the cache, the players have the other. `requests_a_part`: of playlists and parts that the edge answered, by how
many there were.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stentor.core.playlist import Layout
from stentor.io.board import Board
from stentor.model.board import Edge
from stentor.model.grid import SAMPLE_RATE
from stentor.model.rendition import AAC
from support.caches import CACHES
from support.contestants import playlists, stentor
from support.figures import machine
from support.hls_crowd import HlsCrowd, hls_crowd
from support.processes import CROWD_CORE, SERVER_CORE, BenchError, alone
from support.pulse import Pulse, new_grid

CHUNK_S = 0.5
WARM_UP_S = 6.0
SETTLE_S = 5.0
BEHIND_MAX = 2  # parts that the slowest player may have fewer than there were; else no figure is of the cache
GOAL = 1.1


@contextlib.contextmanager
def cache(name: str, origin_port: int, scratch: Path) -> Iterator[int]:
    """-> its port. It is started on the core of servers, which what is started after it is not."""
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        with CACHES[name](origin_port, scratch) as port:
            os.sched_setaffinity(0, {CROWD_CORE})
            yield port
    finally:
        os.sched_setaffinity(0, {CROWD_CORE})


def play(crowd: HlsCrowd, board: Board, seconds: float) -> dict[str, Any]:
    """Measure between two of the edge's counters."""
    crowd.mark()
    before = counted(board)
    time.sleep(seconds)
    after, got = counted(board), crowd.mark()
    if got["parts_min"] < seconds / CHUNK_S - BEHIND_MAX:
        raise BenchError(f"of {seconds / CHUNK_S:.0f} parts players took {got['parts_min']} to {got['parts_max']}")
    parts = (after.at_ms - before.at_ms) / 1000 / CHUNK_S
    asked = (after.pulls - before.pulls) / (2 * parts)
    return {"requests_a_part": round(asked, 3), "met": asked <= GOAL, "parts": round(parts), **got}


def counted(board: Board) -> Edge:
    """The edge's counters with the time that they are of."""
    found = board.get("edge-0", Edge)
    if found is None:
        raise BenchError("the edge tells no counters")
    return found


def measure(name: str, count: int, seconds: float) -> dict[str, Any]:
    grid = new_grid(round(CHUNK_S * SAMPLE_RATE))
    with (
        tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory,
        stentor(grid, Path(directory), 1) as edge,
        cache(name, edge.port, Path(directory)) as port,
        Pulse(grid, edge.publish),
    ):
        time.sleep(WARM_UP_S)
        base = playlists(edge)[0].rpartition("/")[0]
        with hls_crowd(port, base, Layout(grid, AAC), blocking=True) as crowd:
            crowd.join(count)
            time.sleep(SETTLE_S)
            return play(crowd, Board(Path(directory) / "run" / "board"), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--players", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    with alone():
        result: dict[str, Any] = {"machine": machine(), "players": arguments.players, "goal": GOAL}
        for name in CACHES:
            result[name] = measure(name, arguments.players, arguments.seconds)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
