"""wrk and ab: requests as fast as they are answered, from the core of the crowd."""

from __future__ import annotations

import os
import re
import subprocess
from typing import NamedTuple

from support.processes import BENCH, CROWD_CORE, BenchError

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_PER_S = re.compile(r"Requests/sec:\s+([\d.]+)")
_QUANTILE = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", re.M)
_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_SOCKETS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_AB_PER_S = re.compile(r"Requests per second:\s+([\d.]+)")
_AB_BAD = re.compile(r"(?:Connect|Receive|Exceptions|Non-2xx responses):\s+(\d+)")  # answers differ in length: tickets


class Asked(NamedTuple):
    """What came of it. `errors`: connections that failed, answers that say no."""

    per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


def _run(argv: list[object], seconds_max: float, nice: int = 0) -> str:
    words = ["nice", "-n", str(nice), "taskset", "-c", str(CROWD_CORE), *map(str, argv)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds_max)
    if done.returncode:
        raise BenchError(f"{argv[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout


def wrk(url: str, connections: int, seconds: int, *, fresh: bool = False, post: bool = False, nice: int = 0) -> Asked:
    """`fresh`: a connection for each request; `post`: a POST without a body. Raises `BenchError`."""
    more = ["-H", "Connection: close"] if fresh else []
    more += ["-s", BENCH / "post.lua"] if post else []
    text = _run(["wrk", "-t1", "-c", connections, "-d", f"{seconds}s", "--latency", *more, url], seconds + 30, nice)
    waits = {share: float(value) * _UNITS[unit] for share, value, unit in _QUANTILE.findall(text)}
    sockets = _SOCKETS.search(text)
    bad = sum(map(int, _BAD.findall(text)))
    # With `Connection: close` wrk counts the end of each connection as an error of reading.
    broken = sum(map(int, sockets.groups())) - (int(sockets[2]) if fresh else 0) if sockets else 0
    return Asked(float(_found(_PER_S, text)), waits.get("50", 0.0), waits.get("99", 0.0), bad + broken)


def ab(url: str, connections: int, seconds: int, *, post: bool = False) -> Asked:
    """ApacheBench: HTTP/1.0, a connection for each request. Raises `BenchError`."""
    more = ["-p", os.devnull] if post else []
    text = _run(["ab", "-q", "-c", connections, "-t", seconds, "-n", 10_000_000, *more, url], seconds + 30)
    return Asked(float(_found(_AB_PER_S, text)), 0.0, 0.0, sum(map(int, _AB_BAD.findall(text))))


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    if found is None:
        raise BenchError(f"no figures in what was said:\n{text[-500:]}")
    return found[1]
