"""Evidence from workers to the usher: datagrams on a Unix socket. Nobody waits; what does not go is counted."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

RECEIVED_MAX = 256  # datagrams taken at once
RCVBUF_BYTES = 4 * 1024 * 1024
BYTES_MAX = 65_536


class Sender:
    """To the socket at `path`, whether or not anybody listens there."""

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, self._path)
        except OSError:  # nobody is there, or they are behind
            self.lost += 1

    def close(self) -> None:
        self._socket.close()


class Receiver:
    """The socket at `path`, taken over from whoever had it before."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RCVBUF_BYTES)
        self._socket.bind(str(path))

    def receive(self, within_s: float) -> list[bytes]:
        """What has come, waiting for the first no longer than so long."""
        self._socket.settimeout(max(0.0, within_s))
        found: list[bytes] = []
        with contextlib.suppress(TimeoutError, BlockingIOError):
            found.append(self._socket.recv(BYTES_MAX))
            self._socket.setblocking(False)
            while len(found) < RECEIVED_MAX:
                found.append(self._socket.recv(BYTES_MAX))
        return found

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)
