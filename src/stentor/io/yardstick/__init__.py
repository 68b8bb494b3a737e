"""What a write to a listener's socket costs on this machine: CPU time of many small writes over loopback TCP.

The kernel's part of a send, down to the receiver's queue, is counted, what the receiver does is not: as on an edge.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from itertools import repeat

PAIRS = 192  # connections that are written to in turn, so that not everything is in the caches
SIZES = (3_000, 12_000)  # bytes in a write: half a second, two seconds of Opus
ROUNDS = 6  # of all pairs, of which a third may be better than what counts: others may want the machine
SNDBUF_BYTES = 16_384


def write_ns() -> tuple[int, int]:
    """-> (CPU time of a write, of each KiB in it), ns. Takes some tens of milliseconds. Raises `OSError`."""
    with _pairs() as pairs:
        small, large = (_best_ns(pairs, bytes(size)) for size in SIZES)
    kib_ns = max(0.0, (large - small) * 1024 / (SIZES[1] - SIZES[0]))
    return round(max(1.0, small - kib_ns * SIZES[0] / 1024)), round(kib_ns)


@contextlib.contextmanager
def _pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Connected pairs, (writer, reader)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=PAIRS))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SNDBUF_BYTES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pairs = []
        for _ in range(PAIRS):
            reader = stack.enter_context(socket.create_connection(listener.getsockname()))
            writer = stack.enter_context(listener.accept()[0])
            writer.setblocking(False)
            pairs.append((writer, reader))
        yield pairs


def _best_ns(pairs: list[tuple[socket.socket, socket.socket]], data: bytes) -> float:
    """CPU time of one write of `data`, by the better rounds."""
    times = sorted(_round_ns(pairs, data) for _ in range(ROUNDS))
    return times[ROUNDS // 3] / len(pairs)


def _round_ns(pairs: list[tuple[socket.socket, socket.socket]], data: bytes) -> int:
    """One write to everybody, timed; then everybody reads."""
    fds = [writer.fileno() for writer, _ in pairs]
    began_ns = time.thread_time_ns()
    for taken in map(os.write, fds, repeat(data)):
        assert taken == len(data)
    spent_ns = time.thread_time_ns() - began_ns
    for _, reader in pairs:
        reader.recv(len(data), socket.MSG_WAITALL)
    return spent_ns
