"""What a player of low-latency HLS costs an edge: `python bench/hls_cpu.py [--quick]` -> JSON.

Server CPU a player-second, parts of 0.5 s: `stentor edge`, where a reload waits for its part, against nginx with the
same playlists and parts as files, of which the players are told when there is a new one. In rounds by turns; the server
has one core, the players (hls_crowd.c) the other. A turn counts only if every player took every part of its window.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stentor.core.playlist import Layout, Live
from stentor.formats import chunks, m3u8
from stentor.model.grid import FIRST_N, SAMPLE_RATE, Grid
from stentor.model.rendition import AAC
from support import contestants
from support.figures import machine, median
from support.hls_crowd import HlsCrowd, hls_crowd
from support.processes import SERVER_CORE, BenchError, alone, cpu_s, family, free_port, running, wait_for_port
from support.pulse import Chunks, Pulse, new_grid

CHUNK_S = 0.5
WARM_UP_S = 6.0  # to a whole segment, and past joining
SETTLE_S = 3.0
TRIES = 2
KEPT_CHUNKS = 128  # as in a ring


class Plan(NamedTuple):
    players: int
    rounds: int
    window_parts: int


FULL, QUICK = Plan(2_000, 7, 20), Plan(200, 3, 6)


class Served(NamedTuple):
    """A running server. `blocking`: a reload waits for its part there; else players have to be told of it."""

    port: int
    pids: list[int]
    base: str
    publish: Callable[[int, Chunks], None]
    blocking: bool = False


@contextlib.contextmanager
def edge(grid: Grid, scratch: Path) -> Iterator[Served]:
    with contestants.stentor(grid, scratch, 1) as server:
        uris = contestants.playlists(server)
        yield Served(server.port, server.pids, uris[0].rpartition("/")[0], server.publish, blocking=True)


_NGINX = """daemon off; worker_processes 1; worker_rlimit_nofile 19000; pid {scratch}/nginx.pid; user root;
events {{ worker_connections 18000; }}
http {{
  access_log off; tcp_nodelay on; sendfile on; keepalive_requests 1000000; client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/t; fastcgi_temp_path {scratch}/t; uwsgi_temp_path {scratch}/t; scgi_temp_path {scratch}/t;
  server {{
    listen 127.0.0.1:{port} backlog=4096; root {scratch}/www;
    add_header Cache-Control "public, max-age=1"; add_header Access-Control-Allow-Origin "*";
  }}
}}
"""


@contextlib.contextmanager
def nginx(grid: Grid, scratch: Path) -> Iterator[Served]:
    port, config, folder = free_port(), scratch / "nginx.conf", scratch / "www" / "aac"
    folder.mkdir(parents=True)
    config.write_text(_NGINX.format(port=port, scratch=scratch))
    (folder / "init.mp4").write_bytes(chunks.header(AAC))
    layout = Layout(grid, AAC)

    def publish(n: int, made: Chunks) -> None:
        msn, part = layout.part_of(n)
        (folder / f"s{msn}p{part}.m4s").write_bytes(made[AAC.id])
        live = Live(layout, max(FIRST_N, n - KEPT_CHUNKS), n)
        reports = tuple(m3u8.Report(f"../{name}/live.m3u8", msn, part) for name in ("aac-low", "opus"))
        fresh = folder / "fresh"
        fresh.write_text(m3u8.media(live.render(reports=reports)))
        fresh.rename(folder / "live.m3u8")

    with (scratch / "log").open("wb") as log:
        argv = ["nginx", "-e", scratch / "error.log", "-c", config]
        with running(argv, SERVER_CORE, log) as process:
            wait_for_port(port, process)
            yield Served(port, family(process.pid), "/aac", publish)


SERVERS = {"stentor": edge, "nginx": nginx}


def telling(server: Served, crowd: HlsCrowd) -> Callable[[int, Chunks], None]:
    """Publish, and let the players know where nothing else does."""

    def publish(n: int, made: Chunks) -> None:
        server.publish(n, made)
        if not server.blocking:
            crowd.release()

    return publish


def turn(name: str, plan: Plan) -> float:
    """-> microseconds of server CPU a player-second."""
    grid = new_grid(round(CHUNK_S * SAMPLE_RATE))
    with (
        tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory,
        SERVERS[name](grid, Path(directory)) as server,
        hls_crowd(server.port, server.base, Layout(grid, AAC), blocking=server.blocking) as crowd,
        Pulse(grid, telling(server, crowd)) as pulse,
    ):
        time.sleep(WARM_UP_S)
        crowd.join(plan.players)
        time.sleep(SETTLE_S)
        pulse.quiet()
        crowd.mark()
        cpu = cpu_s(server.pids)
        pulse.quiet(plan.window_parts)
        cpu, got = cpu_s(server.pids) - cpu, crowd.mark()
    if (got["parts_min"], got["parts_max"]) != (plan.window_parts, plan.window_parts):
        raise BenchError(f"of {plan.window_parts} parts players took {got['parts_min']} to {got['parts_max']}")
    return cpu / (plan.window_parts * CHUNK_S) / plan.players * 1e6


def attempt(name: str, plan: Plan) -> float | None:
    for _ in range(TRIES):
        try:
            return turn(name, plan)
        except BenchError as error:
            print(f"void: {name}: {error}", file=sys.stderr)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shows in a minute that everything runs")
    parser.add_argument("--players", type=int)
    parser.add_argument("--rounds", type=int)
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    plan = plan._replace(players=arguments.players or plan.players, rounds=arguments.rounds or plan.rounds)
    turns: dict[str, list[float | None]] = {name: [] for name in SERVERS}
    with alone():
        result: dict[str, Any] = {"machine": machine(), **plan._asdict()}
        for number in range(plan.rounds):
            for name in list(SERVERS)[:: 1 if number % 2 else -1]:
                turns[name].append(attempt(name, plan))
                print(f"round {number + 1}: {name} {turns[name][-1]} us", file=sys.stderr)
    for name, found in turns.items():
        taken = [one for one in found if one]
        result[name] = {"cpu_us_player_second": median(taken, 1) if taken else None, "rounds": found}
    ratios = [own / other for own, other in zip(turns["stentor"], turns["nginx"], strict=True) if own and other]
    result["stentor/nginx"] = median(ratios) if ratios else None
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
