"""A flock: listeners who are in step, so that one buffer serves them all.

This is where the time of an edge goes: one `send` a listener a chunk. So a member is an entry in each of two parallel
lists and one in a table of places, and whatever is rare is left to the caller.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

GONE = -1


class Flock:
    """Listeners whose next byte is the same."""

    __slots__ = ("_places", "_sends", "_socks")

    def __init__(self) -> None:
        self._sends: list[Callable[[bytes], int]] = []
        self._socks: list[socket.socket] = []
        self._places: dict[int, int] = {}  # descriptor -> index

    def __len__(self) -> int:
        return len(self._socks)

    def add(self, sock: socket.socket) -> None:
        self._places[sock.fileno()] = len(self._socks)
        self._socks.append(sock)
        self._sends.append(sock.send)

    def remove(self, fd: int) -> socket.socket:
        """Take a member out; the last one gets its place."""
        index = self._places.pop(fd)
        sock, last = self._socks[index], self._socks.pop()
        send = self._sends.pop()
        if last is not sock:
            self._socks[index] = last
            self._sends[index] = send
            self._places[last.fileno()] = index
        return sock

    def get(self, fd: int) -> socket.socket:
        return self._socks[self._places[fd]]

    def members(self) -> list[socket.socket]:
        return list(self._socks)

    def send(self, data: bytes) -> list[tuple[socket.socket, int]]:
        """Offer `data` to every member; -> those that did not take all of it, with the bytes they took, or GONE."""
        size = len(data)
        short: list[tuple[socket.socket, int]] = []
        for index, send in enumerate(self._sends):
            try:
                taken = send(data)
            except BlockingIOError:
                taken = 0
            except OSError:
                taken = GONE
            if taken != size:
                short.append((self._socks[index], taken))
        return short
