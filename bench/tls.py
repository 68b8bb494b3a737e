"""What TLS costs an edge: `python bench/tls.py [--quick]` -> JSON.

The fan-out of fanout.py over TLS 1.3, and handshakes: `stentor edge` beside nginx (nchan; for handshakes with a file),
by turns, each with one worker on one core, the same certificate kind (ECDSA on P-256), the same suite, the same
clients. A handshake is connect, handshake, close_notify and end of one connection; the crowd makes AT_ONCE at a time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import fanout
from stentor.model.grid import SAMPLE_RATE
from support.contestants import Start, nchan, static, stentor
from support.crowd import RESUME, TLS, crowd
from support.figures import machine, median
from support.processes import BenchError, alone, cpu_s
from support.pulse import Pulse, new_grid

AT_ONCE = 64
SHAKE_S, SHAKE_S_QUICK = 5.0, 1.0
SHAKE_ROUNDS, SHAKE_ROUNDS_QUICK = 7, 2
FILE_BYTES = 1_000
STREAMS: dict[str, Start] = {"stentor": partial(stentor, secure=True), "nchan": partial(nchan, secure=True)}
SHAKERS: dict[str, Start] = {"stentor": STREAMS["stentor"], "nginx": partial(static, size=FILE_BYTES, secure=True)}
KINDS = {"full": TLS, "resumed": RESUME}


def handshakes(start: Start, wire: str, seconds: float) -> dict[str, Any]:
    """-> what one core of the server does, and how busy server and crowd were."""
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        scratch, grid = Path(directory), new_grid(SAMPLE_RATE)
        with (
            start(grid, scratch, 1) as server,
            crowd(server.port, server.paths, scratch, wire=wire) as people,
            Pulse(grid, server.publish) as pulse,
        ):
            pulse.quiet(1)
            before, crowd_before = cpu_s(server.pids), people.cpu_s()
            shaken = people.shake(seconds, AT_ONCE)
            cpu, crowd_cpu = cpu_s(server.pids) - before, people.cpu_s() - crowd_before
    if shaken["failed"] or (wire == TLS and shaken["resumed"]):
        raise BenchError(f"not the handshakes that were asked for: {shaken}")
    lasted_s = shaken["all_ms"] / 1e3
    return shaken | {
        "cpu_us": cpu / shaken["shaken"] * 1e6,
        "per_cpu_s": shaken["shaken"] / cpu,
        "per_s": shaken["shaken"] / lasted_s,
        "server_load": cpu / lasted_s,
        "crowd_load": crowd_cpu / lasted_s,
    }


def compare(wire: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Rounds of all servers by turns."""
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in SHAKERS}
    for number in range(rounds):
        for name in list(SHAKERS)[:: 1 if number % 2 else -1]:
            turns[name].append(handshakes(SHAKERS[name], wire, seconds))
            print(f"{wire}, round {number + 1}: {name} {turns[name][-1]}", file=sys.stderr)
    pairs = zip(turns["stentor"], turns["nginx"], strict=True)
    return {name: summary(taken) for name, taken in turns.items()} | {
        "per_cpu_s stentor/nginx": median([own["per_cpu_s"] / other["per_cpu_s"] for own, other in pairs])
    }


def summary(turns: list[dict[str, Any]]) -> dict[str, Any]:
    figures = {name: median([one[name] for one in turns], 1) for name in ("cpu_us", "per_cpu_s", "per_s")}
    loads = {name: median([one[name] for one in turns], 2) for name in ("server_load", "crowd_load")}
    share = sum(one["resumed"] for one in turns) / sum(one["shaken"] for one in turns)
    return figures | loads | {"suite": turns[0]["suite"], "resumed_share": round(share, 4)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="1,000 listeners, short rounds")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--chunk-s", type=float, action="append", help="only the fan-out at this length of chunk")
    parser.add_argument("--handshakes", action="store_true", help="only handshakes")
    parser.add_argument("--full", action="store_true", help="of handshakes only full ones")
    arguments = parser.parse_args()
    plan = fanout.QUICK if arguments.quick else fanout.FULL
    plan = plan._replace(rounds=arguments.rounds or plan.rounds)
    shakes = arguments.rounds or (SHAKE_ROUNDS_QUICK if arguments.quick else SHAKE_ROUNDS)
    seconds = SHAKE_S_QUICK if arguments.quick else SHAKE_S
    lengths = arguments.chunk_s or ([] if arguments.handshakes else fanout.CHUNK_S)
    with alone():
        result: dict[str, Any] = {"machine": machine(), **plan._asdict()}
        for chunk_s in lengths:
            result[f"chunk_{chunk_s}_s"] = fanout.rounds(chunk_s, STREAMS, plan)
        for kind in () if arguments.chunk_s else ["full"] if arguments.full else KINDS:
            result[f"handshakes_{kind}"] = compare(KINDS[kind], shakes, seconds)
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
