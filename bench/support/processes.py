"""Processes of a bench: compiled at need, pinned to a core, measured through /proc, and gone at the end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from stentor.clients import installation

BENCH = Path(__file__).parents[1]
BUILD = BENCH / ".build"
LOCK = Path("/dev/shm/stentor-bench.lock")
SERVER_CORE, CROWD_CORE = 0, 1
NICE = -10  # of servers, crowd and feeder alike: what else runs on the machine should not starve them
READY_S = 10.0
GROUPS, SHARES = Path("/sys/fs/cgroup/cpu"), 16_384  # of the bench; other sessions have 1,024 each
Cores = int | str  # one, or several as taskset(1) has them
_CPUCLOCK_SCHED = 2  # of a process by its id, see clock_getcpuclockid(3)


class BenchError(RuntimeError):
    """No figure can come of this run."""


def compiled(source: str, *flags: str) -> Path:
    """The program (or, with -shared, library) made of `source`, a C file of this directory."""
    made = BUILD / Path(source).stem
    changed_s = max(path.stat().st_mtime for path in BENCH.glob("*.[ch]"))
    if not made.exists() or made.stat().st_mtime < changed_s:
        BUILD.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", made, BENCH / source, *flags], check=True)
    return made


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One bench at a time on this machine, on the core of the crowd, and ended by SIGTERM as by Ctrl-C."""
    installation.end_by_sigterm()
    os.sched_setaffinity(0, {CROWD_CORE})
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, NICE)  # inherited by all that is started
        prefer(os.getpid())
        yield


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """This bench and all that it starts in a control group (version 1) of its own, where that may be made: what else
    runs on the machine gets less, and the groups that `serve` makes are in it, weighed against the crowd alone."""
    home, group = GROUPS / "cgroup.procs", GROUPS / "stentor-bench"
    try:
        group.mkdir(exist_ok=True)
        (group / "cpu.shares").write_text(f"{SHARES}\n")
        (group / home.name).write_text(f"{os.getpid()}\n")
    except OSError:
        yield
        return
    try:
        yield
    finally:
        home.write_text(f"{os.getpid()}\n")
        with contextlib.suppress(OSError):
            group.rmdir()


def prefer(pid: int) -> None:
    """Give the session of `pid` a priority: where sessions are scheduled as groups, nice counts only within one."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICE))


@contextlib.contextmanager
def running(
    argv: Sequence[object], cores: Cores, log: IO[bytes] | int, environ: Mapping[str, str] | None = None, **pipes: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, in a group of its own, on its cores; killed with its children at the end."""
    words = ["taskset", "-c", str(cores), *map(str, argv)]
    env = os.environ | (environ or {})
    process = subprocess.Popen(words, env=env, stderr=log, start_new_session=True, **pipes)
    try:
        prefer(process.pid)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def family(pid: int) -> list[int]:
    """`pid` and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def descendants(pid: int) -> list[int]:
    """`pid`, its children, theirs, and so on."""
    children: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it may end meanwhile
            children += map(int, thread.read_text().split())
    return [pid, *(below for child in children for below in descendants(child))]


def cpu_s(pids: Sequence[int]) -> float:
    """utime + stime of all threads, at the clock's own resolution instead of the ticks of /proc/PID/stat."""
    return sum(time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED) for pid in pids) / 1e9


def private_bytes(pids: Sequence[int]) -> int:
    """User memory that these processes do not share."""
    lines = (line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], host: str = "127.0.0.1") -> None:
    """Until it accepts. Raises `BenchError` if it does not come, or its process ends."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.02)
    raise BenchError(f"{process.args} does not accept on port {port}")
