"""One worker of the door, pinned: `python bench/door.py [--quick]` -> JSON.

The `now` object and joins with a ticket each, over connections that are kept and over a fresh one for each request;
beside it, by turns, one nginx worker with a file of the same bytes, plain and behind `limit_req`. wrk asks over 32
connections from the other core as fast as it is answered; ab does as well for fresh ones (HTTP/1.0). CPU is that of the
server for each request; `errors` are of all rounds, among them whoever was put off.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from support import doors
from support.asking import Asked, ab, wrk
from support.figures import machine, median
from support.processes import alone, cpu_s

CONNECTIONS = 32  # so that who asks in a closed loop makes no queue that stands: 64 joins take 5 ms
SECONDS, SECONDS_QUICK = 5, 1
ROUNDS = 5
TOOLS = {
    "kept": lambda url, seconds, post: wrk(url, CONNECTIONS, seconds, post=post),
    "fresh": lambda url, seconds, post: wrk(url, CONNECTIONS, seconds, fresh=True, post=post),
    "fresh_ab": lambda url, seconds, post: ab(url, CONNECTIONS, seconds, post=post),
}


class Case(NamedTuple):
    start: doors.Start
    path: str
    post: bool = False


CASES = {
    "now": Case(doors.door, doors.NOW),
    "join": Case(doors.door, doors.JOIN, post=True),
    "nginx_static": Case(doors.static, "/now"),
    "nginx_limit_req": Case(doors.static, "/limited"),
}


def turn(case: Case, tool: str, seconds: int) -> dict[str, float]:
    """One server, asked in one way."""
    with (
        tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory,
        case.start(Path(directory)) as host,
    ):
        url = f"http://127.0.0.1:{host.port}{case.path}"
        TOOLS[tool](url, 1, case.post)  # until everything is warm
        before = cpu_s(host.pids)
        asked: Asked = TOOLS[tool](url, seconds, case.post)
        us_each = (cpu_s(host.pids) - before) / (asked.per_s * seconds) * 1e6
    return asked._asdict() | {"cpu_us": us_each}


def figures(rounds: int, seconds: int) -> dict[str, Any]:
    taken: dict[str, dict[str, list[dict[str, float]]]] = {tool: {name: [] for name in CASES} for tool in TOOLS}
    for _ in range(rounds):
        for tool in TOOLS:
            for name, case in CASES.items():
                taken[tool][name].append(turn(case, tool, seconds))
                print(f"{tool}, {name}: {taken[tool][name][-1]}", file=sys.stderr)
    return {tool: compared(by_case) for tool, by_case in taken.items()}


def compared(by_case: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians, and how many times as many requests a second nginx answers, round by round."""
    found: dict[str, Any] = {
        name: {field: median([one[field] for one in turns]) for field in ("per_s", "p50_ms", "p99_ms", "cpu_us")}
        | {"errors": sum(one["errors"] for one in turns)}
        for name, turns in by_case.items()
    }
    for name in ("now", "join"):
        pairs = zip(by_case["nginx_static"], by_case[name], strict=True)
        found[name]["nginx_static_over_it"] = median([static["per_s"] / own["per_s"] for static, own in pairs])
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="each for a second, once")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    rounds, seconds = (1, SECONDS_QUICK) if arguments.quick else (arguments.rounds, SECONDS)
    with alone():
        size = len(doors.now_text())
        result: dict[str, Any] = {"machine": machine(), "now_bytes": size, "seconds": seconds, "rounds": rounds}
        print(json.dumps(result | figures(rounds, seconds), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
