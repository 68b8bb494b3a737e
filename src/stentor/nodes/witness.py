"""What a worker of door or edge tells the usher of those who ask."""

from __future__ import annotations

import fcntl
import struct
import termios
import time

from stentor.core.attendance import Attendance
from stentor.core.proxies import networks, source
from stentor.core.witness import Witness
from stentor.io.net.loop import Loop
from stentor.io.post import Sender
from stentor.model.http import Request
from stentor.settings import Settings

TELL_S = 0.25
PUSH_S = 0.025  # what the usher had no room for yet
_INT = struct.Struct("i")


class Telling:
    """Counts, and tells four times a second. `source` is who asks, by the proxies that are listed."""

    def __init__(self, settings: Settings, role: int, worker: int, loop: Loop) -> None:
        self.attendance = Attendance()
        self._witness = Witness(role, worker)
        self._sender = Sender(settings.shield_socket)
        self._trusted = networks(settings.trusted_proxies)
        self.count = self._witness.count
        self.count_all = self._witness.count_all
        self.count_key = self._witness.count_key
        loop.every(TELL_S, self.tell)
        loop.every(PUSH_S, self._sender.push)

    @property
    def lost(self) -> int:
        """Datagrams that nobody took."""
        return self._sender.lost

    def source(self, request: Request) -> str:
        return source(request, self._trusted)

    def tell(self) -> None:
        for key, field in self.attendance.look(time.monotonic(), _left_bytes):
            self.count_key(key, field)
        for key in self.attendance.some():
            self.count_key(key, "live")
        for data in self._witness.flush(time.time_ns() // 1_000_000):
            self._sender.send(data)

    def close(self) -> None:
        self._sender.close()


def _left_bytes(fd: int) -> int:
    """What the kernel still holds for the peer: SIOCOUTQ, tcp(7)."""
    try:
        return int(_INT.unpack(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(_INT.size)))[0])
    except OSError:
        return 0
