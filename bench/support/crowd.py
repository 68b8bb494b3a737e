"""The driver's side of crowd.c."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.processes import CROWD_CORE, BenchError, compiled, cpu_s, running

ANSWER_S = 60.0


class Crowd:
    """Listeners of one process. Every command waits for its answer."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def join(self, count: int, at_once: int) -> dict[str, Any]:
        """Until all have their first byte; -> their waits. Raises `BenchError` if one cannot join."""
        answer = self._ask(f"join {count} {at_once}")
        if answer["joined"] != count:
            raise BenchError(f"{answer['joined']} of {count} joined")
        return answer

    def mark(self) -> dict[str, Any]:
        """Bytes and worst gaps since the last mark."""
        return self._ask("mark")

    def deaf(self) -> None:
        """From now on nothing is read."""
        self._ask("deaf")

    def cpu_s(self) -> float:
        return cpu_s([self._process.pid])

    def _ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
        readable, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            raise BenchError(f"no answer of the crowd to {command!r}")
        return dict(json.loads(line))


@contextlib.contextmanager
def crowd(port: int, paths: list[str], scratch: Path, rcvbuf: int = 0) -> Iterator[Crowd]:
    """A crowd that asks 127.0.0.1:`port` for `paths`, one a listener."""
    list_of_paths = scratch / "paths"
    list_of_paths.write_text("\n".join(paths) + "\n")
    argv = [compiled("crowd.c"), "127.0.0.1", port, list_of_paths, rcvbuf]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with running(argv, CROWD_CORE, sys.stderr.fileno(), **pipes) as process:
        yield Crowd(process)
