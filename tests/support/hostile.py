"""A client that does not keep to HTTP: it sends what it is told to, and keeps count of what was taken and answered."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_S = 40.0  # longer than any wait of the product's


@dataclass
class Outcome:
    """`taken`: bytes that the peer's kernel took. `closed`: the peer ended the connection, by FIN or RST."""

    answer: bytes = b""
    taken: int = 0
    closed: bool = False

    @property
    def status(self) -> int:
        return int(self.answer.split(None, 2)[1]) if self.answer.startswith(b"HTTP/1.1 ") else 0

    def problem(self) -> dict[str, Any]:
        """The problem+json of the answer; fails if it is anything else."""
        head, _, body = self.answer.partition(b"\r\n\r\n")
        assert b"application/problem+json" in head, self.answer[:300]
        fields = json.loads(body)
        assert fields["status"] == self.status and fields["code"] and fields["title"], fields
        return dict(fields)


def send(port: int, pieces: Iterable[bytes], pause_s: float = 0.0, *, hang_up: bool = False) -> Outcome:
    """Send `pieces`, reading meanwhile, until the peer ends the connection; with `hang_up` we end it."""
    outcome = Outcome()
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
        sock.settimeout(PATIENCE_S)
        reading = threading.Thread(target=_read, args=(sock, outcome))
        reading.start()
        with suppress(OSError):  # the peer has ended it
            for piece in pieces:
                if outcome.closed:
                    break
                sock.sendall(piece)
                outcome.taken += len(piece)
                time.sleep(pause_s)
        if hang_up:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        reading.join()
    return outcome


def _read(sock: socket.socket, outcome: Outcome) -> None:
    try:
        while data := sock.recv(65_536):
            outcome.answer += data
        outcome.closed = True
    except OSError as error:
        outcome.closed = not isinstance(error, TimeoutError)


def resident_bytes(pid: int) -> int:
    """Memory of a process that is its own (anonymous and resident)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
