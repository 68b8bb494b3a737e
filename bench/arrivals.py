"""Listeners who come at a steady rate, whatever comes back: `python bench/arrivals.py [--quick]` -> JSON.

For ten seconds so many connections a second, each with a ticket of its own, to one edge worker on a core of its own
(`--workers 2`: to so many, which share all cores with the crowd); beside it, by turns, to one nginx worker with a file
as large as what a listener gets at once (header and two chunks). Each leaves when it has that much. First byte from a
listener's own connect(). A rate counts as served if everybody was answered, 99 of 100 within P99_MS_MAX, while the
crowd itself kept up: it has the other core, and where it opens more than one of 100 connections later than planned by
10 ms, the rate is above what this machine can ask for.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from stentor.formats import chunks
from stentor.model.grid import SAMPLE_RATE, Grid
from stentor.model.rendition import OPUS
from support.contestants import LISTENERS_MAX, Start, static, stentor
from support.crowd import crowd
from support.figures import machine, median
from support.processes import SERVER_CORE, BenchError, Cores, alone, cpu_s
from support.pulse import Pulse, new_grid, opus_bytes

CHUNK_S = 1.0
SECONDS, SECONDS_QUICK = 10, 2
ROUNDS = 3
PLAIN_PER_S = (1_000, 2_000, 4_000, 6_000)
TLS_PER_S = (500, 750, 1_000, 1_500)
P99_MS_MAX = 100.0  # of a rate that counts as served
LATE_DIALS_MAX = 0.01
FIGURES = (
    "first_byte_ms_p50",
    "first_byte_ms_p99",
    "first_byte_ms_max",
    "server_load",
    "crowd_load",
    "dial_late_ms_max",
)


def grid() -> Grid:
    return new_grid(round(CHUNK_S * SAMPLE_RATE))


def cores(workers: int) -> Cores:
    return SERVER_CORE if workers == 1 else f"0-{(os.cpu_count() or 1) - 1}"


def answer_bytes() -> int:
    """Of what a new listener gets at once, without the HTTP head."""
    return len(chunks.header(OPUS)) + opus_bytes(grid(), 1, 2)


def turn(start: Start, per_s: int, seconds: int) -> dict[str, Any]:
    """One server, one rate. Loads are shares of a core. Raises `BenchError` if the figures mean nothing."""
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        scratch, show = Path(directory), grid()
        with (
            start(show, scratch, min(per_s * seconds, LISTENERS_MAX)) as server,
            crowd(server.port, server.paths, scratch, wire=server.wire) as people,
            Pulse(show, server.publish) as pulse,
        ):
            pulse.quiet(2)
            cpu, crowd_cpu = cpu_s(server.pids), people.cpu_s()
            came = people.arrive(per_s, per_s * seconds, answer_bytes())
            lasted_s = came["all_ms"] / 1e3
            came["server_load"] = (cpu_s(server.pids) - cpu) / lasted_s
            came["crowd_load"] = (people.cpu_s() - crowd_cpu) / lasted_s
            return came


def attempt(name: str, start: Start, per_s: int, seconds: int) -> dict[str, Any]:
    """-> the figures of a turn, or why there are none. A server that cannot keep up is a result, not a failure."""
    try:
        came = turn(start, per_s, seconds)
    except BenchError as error:
        came = {"void": str(error)}
    print(f"{name}, {per_s}/s: {came}", file=sys.stderr)
    return came


def rates(servers: dict[str, Start], all_per_s: list[int], rounds: int, seconds: int) -> dict[str, Any]:
    """Every server at every rate, by turns."""
    found: dict[str, Any] = {name: {} for name in servers}
    for per_s in all_per_s:
        turns: dict[str, list[dict[str, Any]]] = {name: [] for name in servers}
        for _ in range(rounds):
            for name, start in servers.items():
                turns[name].append(attempt(name, start, per_s, seconds))
        for name in servers:
            found[name][f"{per_s}_per_s"] = summary(turns[name], per_s * seconds)
    return found


def summary(turns: list[dict[str, Any]], count: int) -> dict[str, Any]:
    good = [one for one in turns if "void" not in one]
    kept_up = [one["late_dials"] <= LATE_DIALS_MAX * count for one in good]
    whole = [one["answered"] == count and not one["closed"] for one in good]
    within = [one["first_byte_ms_p99"] <= P99_MS_MAX for one in good]
    return {name: median([one[name] for one in good]) for name in FIGURES if good} | {
        "served": bool(good) and all(kept_up) and all(whole) and all(within),
        "crowd_kept_up": all(kept_up),
        "unanswered": sum(count - one["answered"] for one in good),
        "resumed": sum(one["resumed"] for one in good),
        "suite": good[0]["suite"] if good else "",
        "void": [one["void"] for one in turns if "void" in one],
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one rate, plain and over TLS, for two seconds, once")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--plain", type=int, action="append", metavar="PER_S")
    parser.add_argument("--tls", type=int, action="append", metavar="PER_S")
    arguments = parser.parse_args()
    rounds, seconds = (1, SECONDS_QUICK) if arguments.quick else (arguments.rounds, SECONDS)
    chosen = arguments.plain or arguments.tls
    plain = (arguments.plain or []) if chosen else list(PLAIN_PER_S[:1] if arguments.quick else PLAIN_PER_S)
    tls = (arguments.tls or []) if chosen else list(TLS_PER_S[:1] if arguments.quick else TLS_PER_S)
    with alone():
        size = answer_bytes()
        result: dict[str, Any] = {"machine": machine(), "seconds": seconds, "rounds": rounds, "answer_bytes": size}
        result["workers"] = arguments.workers
        for wire, all_per_s, secure in (("plain", plain, False), ("tls", tls, True)):
            servers: dict[str, Start] = {
                "stentor": partial(stentor, secure=secure, workers=arguments.workers, cores=cores(arguments.workers)),
                "nginx": partial(static, size=size, secure=secure),
            }
            result[wire] = rates(servers, all_per_s, rounds, seconds)
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
