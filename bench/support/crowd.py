"""The driver's side of crowd.c."""

from __future__ import annotations

import contextlib
import json
import select
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from support.processes import CROWD_CORE, BenchError, Cores, compiled, cpu_s, running

ANSWER_S = 180.0
LISTENERS_MAX = 19_500  # of one crowd, as in crowd.c
PLAIN, TLS, RESUME = "plain", "tls", "resume"  # kinds of wire; RESUME: each goes on from the last ticket seen
_HEAD = struct.Struct("=QQ")
T = TypeVar("T")


class Commanded:
    """A process that takes commands as lines on its stdin, and answers each by a line of JSON."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def cpu_s(self) -> float:
        return cpu_s([self._process.pid])

    def _say(self, command: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BenchError(f"the crowd had ended before {command!r}") from None

    def _ask(self, command: str) -> dict[str, Any]:
        self._say(command)
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            raise BenchError(f"no answer of the crowd to {command!r}")
        return dict(json.loads(line))


class Crowd(Commanded):
    """Listeners of one process. Every command waits for its answer."""

    def join(self, count: int, at_once: int) -> dict[str, Any]:
        """Until all have their first byte; -> their waits. Raises `BenchError` if one cannot join."""
        answer = self._ask(f"join {count} {at_once}")
        if answer["joined"] != count:
            raise BenchError(f"{answer['joined']} of {count} joined")
        return answer

    def arrive(self, per_s: int, count: int, leave_bytes: int = 0) -> dict[str, Any]:
        """Come `per_s` a second whatever comes back, each to leave with `leave_bytes`, 0: to stay; -> waits, once all
        have what they came for or 10 s are over. To be called once."""
        return self._ask(f"rate {per_s} {count} {leave_bytes}")

    def shake(self, seconds: float, at_once: int) -> dict[str, Any]:
        """Nothing but handshakes, `at_once` at a time; -> how many."""
        return self._ask(f"shake {round(seconds * 1000)} {at_once}")

    def mark(self) -> dict[str, Any]:
        """Bytes and worst gaps since the last mark."""
        return self._ask("mark")

    def follow(self, chunks: Path) -> None:
        """From now on everybody is to get what `write_chunks` wrote."""
        self._ask(f"follow {chunks}")

    def followed(self) -> dict[str, Any]:
        """Whether they did, and how late they had a chunk's last byte."""
        return self._ask("followed")

    def deaf(self) -> None:
        """From now on nothing is read."""
        self._ask("deaf")


def write_chunks(path: Path, chunks: Sequence[tuple[int, bytes]]) -> None:
    """Chunks to be followed, each with the CLOCK_MONOTONIC ns at which it is due."""
    path.write_bytes(b"".join(_HEAD.pack(due_ns, len(data)) + data for due_ns, data in chunks))


def together(people: Sequence[Crowd], call: Callable[[Crowd], T]) -> list[T]:
    """`call` with each crowd, all at once; -> what came of each."""
    with ThreadPoolExecutor(len(people)) as pool:
        return list(pool.map(call, people))


@contextlib.contextmanager
def crowd(
    port: int,
    paths: list[str],
    scratch: Path,
    rcvbuf: int = 0,
    wire: str = PLAIN,
    cores: Cores = CROWD_CORE,
    host: str = "127.0.0.1",
    sources: tuple[object, ...] = (),
) -> Iterator[Crowd]:
    """A crowd that asks `host`:`port` for `paths`, one a listener. `sources`: the first address that they come from,
    and how many there are."""
    with tempfile.NamedTemporaryFile("w", dir=scratch, delete=False) as list_of_paths:
        list_of_paths.write("\n".join(paths) + "\n")
    argv = [compiled("crowd.c", "-lssl", "-lcrypto"), host, port, list_of_paths.name, rcvbuf, wire, *sources]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with running(argv, cores, sys.stderr.fileno(), **pipes) as process:
        yield Crowd(process)
