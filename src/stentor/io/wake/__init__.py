"""Wake-ups between roles: datagrams on Unix sockets that stand in one directory. Lossy by design: who is woken looks
at ring or board, and looks now and then without being woken."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

RING = b"ring"
BOARD = b"board"
TAKEN = b"taken"  # followed by a seq (u32, big-endian): it plays at another process by now


def _path(directory: Path, name: str, pid: int) -> Path:
    return directory / f"{name}-{pid}.sock"


class Ear:
    """A socket that others poke. Give `fileno()` to a poll and call `drain()` when it is readable."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = _path(directory, name, os.getpid())
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.bind(str(self.path))

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> set[bytes]:
        """What came since the last call."""
        seen: set[bytes] = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                seen.add(self._socket.recv(64))
        return seen

    def close(self) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)


class Caller:
    """Pokes every ear in a directory; a full ear is skipped, the socket of a dead process is removed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    def call(self, what: bytes) -> None:
        for name in os.listdir(self._directory):  # noqa: PTH208 - twice as fast, and it runs at every chunk
            path = f"{self._directory}/{name}"
            try:
                self._socket.sendto(what, path)
            except ConnectionRefusedError:
                Path(path).unlink(missing_ok=True)
            except (BlockingIOError, OSError):
                continue

    def tell(self, name: str, pid: int, what: bytes) -> None:
        """Poke one ear, if it is there and not full."""
        with contextlib.suppress(OSError):
            self._socket.sendto(what, str(_path(self._directory, name, pid)))

    def close(self) -> None:
        self._socket.close()
