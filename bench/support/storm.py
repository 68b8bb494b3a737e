"""Joins at a rate, whatever comes back: `python storm.py PORT PATH PER_S SECONDS CONNECTIONS` -> a line of JSON.

A program of its own, for its own core. Kept connections ask in batches, so that asking costs less than answering; a
batch for which no connection is free is `unsent`, and counts as offered all the same.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import statistics
import sys
import time

BATCH = 4
POLL_S = 0.001
READ_BYTES = 262_144
DRAIN_S = 1.0
YES, BUSY = b"HTTP/1.1 2", b"HTTP/1.1 5"
_CARRY = len(YES) - 1


class Asker:
    """One connection, and the batch that is under way on it."""

    __slots__ = ("asked_s", "carry", "missing", "sock")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.sock.setblocking(False)
        self.carry, self.missing, self.asked_s = b"", 0, 0.0


class Storm:
    def __init__(self, port: int, path: str, connections: int) -> None:
        self._port = port
        self._batch = b"POST %b HTTP/1.1\r\nHost: storm\r\nContent-Length: 0\r\n\r\n" % path.encode() * BATCH
        self._poll = select.epoll()
        self._askers: dict[int, Asker] = {}
        self._idle: list[Asker] = []
        self.told = {"offered": 0, "unsent": 0, "yes": 0, "busy": 0, "lost": 0}
        self._waits_ms: list[float] = []
        for _ in range(connections):
            self._open()

    def _open(self) -> None:
        asker = Asker(self._port)
        self._askers[asker.sock.fileno()] = asker
        self._poll.register(asker.sock.fileno(), select.EPOLLIN)
        self._idle.append(asker)

    def run(self, per_s: float, seconds: float) -> dict[str, float]:
        began_s, batches = time.monotonic(), 0
        while (passed_s := time.monotonic() - began_s) < seconds:
            due = int(passed_s * per_s / BATCH)
            for _ in range(due - batches):
                self._ask()
            batches = due
            self._hear()
        while time.monotonic() < began_s + seconds + DRAIN_S and len(self._idle) < len(self._askers):
            self._hear()
        waits = statistics.quantiles(self._waits_ms, n=100) if len(self._waits_ms) > 1 else [0.0] * 99
        return self.told | {"batch_ms_p50": round(waits[49], 1), "batch_ms_p99": round(waits[98], 1)}

    def _ask(self) -> None:
        self.told["offered"] += BATCH
        if not self._idle:
            self.told["unsent"] += BATCH
            return
        asker = self._idle.pop()
        asker.missing, asker.asked_s = BATCH, time.monotonic()
        with contextlib.suppress(OSError):  # seen when it is read
            asker.sock.send(self._batch)

    def _hear(self) -> None:
        for fd, _ in self._poll.poll(POLL_S):
            asker = self._askers[fd]
            try:
                data = asker.sock.recv(READ_BYTES)
            except OSError:
                data = b""
            if data:
                self._count(asker, asker.carry + data)
            else:
                self._lose(fd, asker)

    def _count(self, asker: Asker, data: bytes) -> None:
        yes, busy = data.count(YES), data.count(BUSY)
        self.told["yes"] += yes
        self.told["busy"] += busy
        asker.carry = data[-_CARRY:]
        asker.missing -= yes + busy
        if asker.missing == 0:
            self._waits_ms.append((time.monotonic() - asker.asked_s) * 1e3)
            self._idle.append(asker)

    def _lose(self, fd: int, asker: Asker) -> None:
        self.told["lost"] += asker.missing
        del self._askers[fd]
        if asker in self._idle:
            self._idle.remove(asker)
        asker.sock.close()
        self._open()


if __name__ == "__main__":
    port, path, per_s, seconds, connections = sys.argv[1:]
    print(json.dumps(Storm(int(port), path, int(connections)).run(float(per_s), float(seconds))))
