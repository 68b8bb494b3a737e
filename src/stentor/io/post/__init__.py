"""Evidence from workers to the usher: datagrams on a Unix socket. Nobody waits; what does not go is counted."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from pathlib import Path

RECEIVED_MAX = 32  # datagrams taken at once: to take in more takes longer than the usher may go without a look
BACKLOG_MAX = 64  # datagrams of a sender that wait: more than one telling of as many sources as a worker counts
RCVBUF_BYTES = 4 * 1024 * 1024
BYTES_MAX = 65_536


class Sender:
    """To the socket at `path`, whether or not anybody listens there. The kernel queues few datagrams (unix(7),
    max_dgram_qlen): what it does not take yet waits for `push`; of too much that waits, the oldest is lost."""

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self._path = str(path)
        self._waiting: deque[bytes] = deque()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    def send(self, data: bytes) -> None:
        if len(self._waiting) == BACKLOG_MAX:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(data)
        self.push()

    def push(self) -> None:
        """As much of what waits as goes."""
        while self._waiting:
            try:
                self._socket.sendto(self._waiting[0], self._path)
            except BlockingIOError:  # they are behind
                return
            except OSError:  # nobody is there
                self.lost += 1
            self._waiting.popleft()

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
        self._inode = path.stat().st_ino

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
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # else it is another's by now
                self._path.unlink()
