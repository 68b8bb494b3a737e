"""What a listener costs an edge: `python bench/fanout.py [--quick]` -> JSON.

Server CPU a listener-second of 48 kbit/s Opus and user memory a listener: `stentor edge` against a C loop of sends
(floor.c), nginx with nchan, and Icecast, in rounds by turns. The server has one core, the crowd and the feeder the
other. A turn counts only if every listener got every byte of the chunks in the window.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from stentor.model.grid import SAMPLE_RATE, Grid
from support.contestants import CONTESTANTS, Contestant, Start
from support.crowd import Crowd, crowd
from support.figures import machine, median
from support.processes import BenchError, alone, cpu_s, private_bytes
from support.pulse import Pulse, new_grid, opus_bytes

CHUNK_S = (0.5, 1.0)
AT_ONCE = 2_000  # joins at a time, within every server's backlog
TRIES = 2  # of one turn, if it is void
SETTLE_CHUNKS = 1


class Plan(NamedTuple):
    listeners: int
    rounds: int
    window_s: float


class Turn(NamedTuple):
    """One server in one round. Microseconds of server CPU a listener-second, bytes of user memory a listener."""

    cpu_us: float
    memory_bytes: float
    crowd_load: float
    gap_ms_max: float


FULL = Plan(10_000, 9, 6.0)
QUICK = Plan(1_000, 3, 3.0)


def window(server: Contestant, people: Crowd, pulse: Pulse, plan: Plan) -> Turn:
    """Measure between two quiet moments; `memory_bytes` is left to the caller."""
    first = pulse.quiet(SETTLE_CHUNKS)
    people.mark()
    cpu, crowd_cpu = cpu_s(server.pids), people.cpu_s()
    count = round(plan.window_s / pulse.grid.chunk_s)
    last = pulse.quiet(count - 1)
    cpu, crowd_cpu = cpu_s(server.pids) - cpu, people.cpu_s() - crowd_cpu
    mark = people.mark()
    check(mark, plan.listeners, opus_bytes(pulse.grid, first + 1, last), server.slack_bytes)
    if cpu <= 0:
        raise BenchError(f"no CPU time was seen of {server.pids}")
    audio_s = (last - first) * pulse.grid.chunk_s
    return Turn(cpu / audio_s / plan.listeners * 1e6, 0.0, crowd_cpu / audio_s, mark["gap_ms_max"])


def check(mark: dict[str, Any], listeners: int, expected: int, slack: int) -> None:
    """Raise `BenchError` unless everybody is there and got `expected` bytes."""
    if mark["listeners"] != listeners or mark["closed"]:
        raise BenchError(f"{mark['listeners']} listeners of {listeners}, {mark['closed']} were closed")
    if mark["bytes_min"] < expected - slack or mark["bytes_max"] > expected + slack:
        raise BenchError(f"{mark['bytes_min']} to {mark['bytes_max']} bytes a listener where {expected} were sent")


def turn(start: Start, grid: Grid, plan: Plan) -> Turn:
    """Start the server, let the crowd in, measure, end both."""
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        scratch = Path(directory)
        with (
            start(grid, scratch, plan.listeners) as server,
            crowd(server.port, server.paths, scratch, wire=server.wire) as people,
            Pulse(grid, server.publish) as pulse,
        ):
            pulse.quiet(1)
            empty = private_bytes(server.pids)
            people.join(plan.listeners, AT_ONCE)
            taken = window(server, people, pulse, plan)
            return taken._replace(memory_bytes=(private_bytes(server.pids) - empty) / plan.listeners)


def attempt(name: str, start: Start, chunk_s: float, plan: Plan) -> tuple[Turn | None, int]:
    """-> the first turn that counts, or None, and how many were void."""
    for void in range(TRIES):
        try:
            return turn(start, new_grid(round(chunk_s * SAMPLE_RATE)), plan), void
        except BenchError as error:
            print(f"void: {name} at {chunk_s} s: {error}", file=sys.stderr)
    return None, TRIES


def rounds(chunk_s: float, servers: dict[str, Start], plan: Plan) -> dict[str, Any]:
    """All rounds at one length of chunk; who begins changes from round to round."""
    names = list(servers)
    turns: dict[str, list[Turn | None]] = {name: [] for name in names}
    void = dict.fromkeys(names, 0)
    for number in range(plan.rounds):
        at = number % len(names)
        for name in names[at:] + names[:at]:
            taken, voids = attempt(name, servers[name], chunk_s, plan)
            turns[name].append(taken)
            void[name] += voids
            print(f"{chunk_s} s, round {number + 1}: {name} {taken.cpu_us if taken else 0:.2f} us", file=sys.stderr)
    return {"servers": {name: summary(turns[name], void[name]) for name in names}, "ratios": ratios(turns)}


def summary(all_turns: list[Turn | None], void: int) -> dict[str, Any]:
    turns = [one for one in all_turns if one]
    if not turns:
        return {"void_turns": void}
    return {
        "cpu_us_listener_second": median([one.cpu_us for one in turns], 2),
        "memory_bytes_listener": median([one.memory_bytes for one in turns], 0),
        "crowd_load_max": round(max(one.crowd_load for one in turns), 2),
        "gap_ms_max": max(one.gap_ms_max for one in turns),
        "void_turns": void,
        "cpu_us_rounds": [round(one.cpu_us, 2) for one in turns],
    }


def ratios(turns: dict[str, list[Turn | None]]) -> dict[str, Any]:
    """Stentor's CPU over each other's, from the rounds in which both counted."""
    found = {}
    for name in [one for one in turns if one != "stentor"]:
        pairs = zip(turns.get("stentor", []), turns[name], strict=False)
        each = [own.cpu_us / other.cpu_us for own, other in pairs if own and other]
        if each:
            found[f"stentor/{name}"] = median(each)
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="1,000 listeners and three short rounds")
    parser.add_argument("--listeners", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--chunk-s", type=float, action="append")
    parser.add_argument("--only", action="append", choices=list(CONTESTANTS))
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    plan = plan._replace(listeners=arguments.listeners or plan.listeners, rounds=arguments.rounds or plan.rounds)
    with alone():
        result: dict[str, Any] = {"machine": machine(), **plan._asdict()}
        servers = {name: CONTESTANTS[name] for name in arguments.only or CONTESTANTS}
        for chunk_s in arguments.chunk_s or CHUNK_S:
            result[f"chunk_{chunk_s}_s"] = rounds(chunk_s, servers, plan)
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
