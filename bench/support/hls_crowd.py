"""The driver's side of hls_crowd.c."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from stentor.core.playlist import Layout
from stentor.model.grid import SAMPLE_RATE
from support.crowd import Commanded
from support.processes import CROWD_CORE, BenchError, compiled, running

AT_ONCE = 200  # connections begun together, within every server's backlog


class HlsCrowd(Commanded):
    """Players of one process."""

    def join(self, count: int) -> None:
        """Until all have their first part. Raises `BenchError`."""
        answer = self._ask(f"join {count} {AT_ONCE}")
        if answer["joined"] != count:
            raise BenchError(f"{answer['joined']} of {count} joined")

    def mark(self) -> dict[str, Any]:
        """What all got since the last mark: `parts_min` and `parts_max` of a player, `late_ms_p50` and so on."""
        return self._ask("mark")

    def release(self) -> None:
        """There is a new playlist. Not answered, so any thread may say it."""
        self._say("release")


@contextlib.contextmanager
def hls_crowd(port: int, base: str, layout: Layout, *, blocking: bool) -> Iterator[HlsCrowd]:
    """Players of `base`/live.m3u8 at 127.0.0.1:`port`. `blocking`: a reload waits at the server; else for `release`."""
    due_ns = layout.grid.start_ns(layout.chunks(0, 0).stop)
    part_ns = layout.part_chunks * layout.grid.chunk_samples * 1_000_000_000 // SAMPLE_RATE
    argv = [compiled("hls_crowd.c"), "127.0.0.1", port, base, layout.segment_parts, int(blocking), due_ns, part_ns]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with running(argv, CROWD_CORE, sys.stderr.fileno(), **pipes) as process:
        yield HlsCrowd(process)
