"""How many requests reach an edge behind a cache: `python bench/hls_cache.py [--players 2000]` -> JSON.

Players of low-latency HLS (support/players.py) ask Varnish, or nginx, as docs/proxies configures them.
`requests_a_part`: of playlists and parts that the edge answered, by how many there were.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
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
from support.players import Players
from support.processes import BenchError, alone
from support.pulse import Pulse, new_grid

CHUNK_S = 0.5
WARM_UP_S = 6.0
JOIN_S_MAX = 60.0
SETTLE_S = 2.5
GOAL = 1.1


async def joined(players: Players) -> None:
    async with asyncio.timeout(JOIN_S_MAX):
        while players.slowest() < (0, 0):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def play(players: Players, board: Board, seconds: float) -> dict[str, Any]:
    """Measure between two of the edge's counters."""
    playing = asyncio.ensure_future(players.run())
    await joined(players)
    await asyncio.sleep(SETTLE_S)
    first, before = players.slowest(), counted(board)
    await asyncio.sleep(seconds)
    last, after = players.slowest(), counted(board)
    playing.cancel()
    await asyncio.wait([playing])
    parts = (after.at_ms - before.at_ms) / 1000 / CHUNK_S
    taken = (last[0] - first[0]) * players.segment_parts + last[1] - first[1]
    asked = (after.pulls - before.pulls) / (2 * parts)
    return {"requests_a_part": round(asked, 3), "parts": round(parts), "parts_of_the_slowest": taken}


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
        CACHES[name](edge.port, Path(directory)) as port,
        Pulse(grid, edge.publish),
    ):
        time.sleep(WARM_UP_S)
        base = playlists(edge)[0].rpartition("/")[0]
        players = Players(port, base, count, Layout(grid, AAC).segment_parts)
        return asyncio.run(play(players, Board(Path(directory) / "run" / "board"), seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--players", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    with alone():
        result: dict[str, Any] = {"machine": machine(), "players": arguments.players, "goal": GOAL}
        for name in CACHES:
            result[name] = measure(name, arguments.players, arguments.seconds)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
