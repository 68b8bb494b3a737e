"""Child processes that may outlive whoever started them: spawn, find again, watch, signal.

A child has a session of its own, so neither the death of its parent nor Ctrl-C on the terminal reaches it. Its pid file
holds its pid and start time (clock ticks since boot, proc(5)), so a pid that was given to another process since is not
mistaken for it. A living child is held by a pidfd (pidfd_open(2)), which never means another process.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PID_FILE_BYTES_MAX = 64


@dataclass(frozen=True, slots=True)
class Child:
    """A process under watch. `pidfd` becomes readable when it ends; `close` when done with it."""

    name: str
    pid: int
    pidfd: int
    ours: bool  # spawned by this process: its exit code can be had, and it must be waited for

    def send(self, number: signal.Signals) -> None:
        """Signal it; nothing happens if it has ended."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def reap(self) -> int | None:
        """Its exit code once `pidfd` is readable (negative: a signal, as in `subprocess`); None if it is not ours."""
        if not self.ours:
            return None
        result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        assert result is not None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def set_nice(self, nice: int) -> bool:
        """Give it this niceness; -> whether that was permitted. To be called before it has threads."""
        try:
            os.setpriority(os.PRIO_PROCESS, self.pid, nice)
        except (PermissionError, ProcessLookupError):
            return False
        return True

    def close(self) -> None:
        os.close(self.pidfd)


def start_ticks(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot; None if there is none, or only its corpse."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the second field, a name in brackets, may hold anything
    return None if fields[0] in "ZX" else int(fields[19])


def environ(pid: int) -> dict[str, str]:
    """The environment with which process `pid` was started; empty if it is gone or not ours to see."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    pairs = (entry.decode(errors="replace").partition("=") for entry in entries if entry)
    return {name: value for name, _, value in pairs}


def spawn(name: str, argv: Sequence[str], environ: Mapping[str, str]) -> Child:
    """Start a child in a session of its own, stdin empty, stdout and stderr ours. Raises `OSError`."""
    process = subprocess.Popen(argv, env=dict(environ), stdin=subprocess.DEVNULL, start_new_session=True)
    process.returncode = 0  # we wait for it by its pidfd; Popen need not warn that it still runs
    return Child(name, process.pid, os.pidfd_open(process.pid), ours=True)


class PidFiles:
    """A directory with one file a child: `<pid> <start ticks>`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def write(self, child: Child) -> None:
        scratch = self.directory / f".{child.name}.{os.getpid()}"
        scratch.write_text(f"{child.pid} {start_ticks(child.pid) or 0}\n")
        scratch.rename(self.directory / f"{child.name}.pid")

    def drop(self, name: str) -> None:
        (self.directory / f"{name}.pid").unlink(missing_ok=True)

    def pid(self, name: str) -> int | None:
        """The pid of the living child `name`; None if there is none, or its file cannot be read."""
        try:
            with (self.directory / f"{name}.pid").open() as file:
                pid, ticks = map(int, file.read(_PID_FILE_BYTES_MAX).split())
        except (OSError, ValueError):
            return None
        return pid if start_ticks(pid) == ticks else None

    def find(self) -> list[Child]:
        """The children that live. Files of the dead are removed."""
        found = []
        for name in sorted(path.stem for path in self.directory.glob("*.pid")):
            child = self._open(name)
            if child is None:
                self.drop(name)
            else:
                found.append(child)
        return found

    def _open(self, name: str) -> Child | None:
        pid = self.pid(name)
        if pid is None:
            return None
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if self.pid(name) != pid:  # it ended, and the pid was given away, between the look and the open
            os.close(pidfd)
            return None
        return Child(name, pid, pidfd, ours=False)
