"""Players of low-latency HLS by plain epoll, cheap enough that thousands fit on a core beside what they measure."""

from __future__ import annotations

import re
import select
import socket
import time

from support.processes import BenchError

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_PART = re.compile(rb'URI="(s\d+p\d+\.m4s)"')
READ_BYTES = 65_536
PLAYERS_A_SOURCE = 1_000  # local addresses, so that ports do not run out


class _Player:
    __slots__ = ("got", "rounds", "sock", "waiting", "wants")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.got = b""
        self.wants = "playlist"
        self.rounds = 0
        self.waiting = False  # for a new playlist that is known not to be there yet


class HlsCrowd:
    """`count` players of `live.m3u8` below `base`. `blocking`: a reload waits at the server; else for `release`."""

    def __init__(self, port: int, base: str, count: int, segment_parts: int, *, blocking: bool) -> None:
        self._base, self._blocking, self._segment_parts = base, blocking, segment_parts
        self._epoll = select.epoll()
        self._players: dict[int, _Player] = {}
        self._first = True
        for number in range(count):
            sock = socket.socket()
            sock.bind((f"127.0.0.{2 + number // PLAYERS_A_SOURCE}", 0))
            sock.connect(("127.0.0.1", port))
            sock.setblocking(False)
            self._players[sock.fileno()] = _Player(sock)
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def close(self) -> None:
        for player in self._players.values():
            player.sock.close()
        self._epoll.close()

    def start(self) -> None:
        for player in self._players.values():
            self._ask(player, "live.m3u8")

    def rounds(self) -> tuple[int, int]:
        """(fewest, most) parts that a player has taken."""
        counts = [player.rounds for player in self._players.values()]
        return min(counts), max(counts)

    def release(self) -> None:
        """There is a new playlist: who waits for it asks."""
        for player in self._players.values():
            if player.waiting:
                player.waiting = False
                self._ask(player, "live.m3u8")

    def run(self, until_s: float) -> None:
        while (left_s := until_s - time.monotonic()) > 0:
            for fd, _ in self._epoll.poll(left_s):
                self._read(self._players[fd])

    def _ask(self, player: _Player, name: str) -> None:
        player.sock.send(f"GET {self._base}/{name} HTTP/1.1\r\nHost: hls\r\n\r\n".encode())

    def _read(self, player: _Player) -> None:
        data = player.sock.recv(READ_BYTES)
        if not data:
            raise BenchError("a player was closed")
        player.got += data
        head, _, body = player.got.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise BenchError(head.decode(errors="replace"))
        player.got = b""
        self._next(player, body)

    def _next(self, player: _Player, body: bytes) -> None:
        if not player.wants.startswith("s"):
            parts = _PART.findall(body)
            named = parts[-2] if b"PRELOAD-HINT" in body else parts[-1]
            player.wants = named.decode()
            self._ask(player, player.wants)
            return
        player.rounds += 1
        msn, part = map(int, player.wants[1:-4].split("p"))
        player.wants = "playlist"
        if not self._blocking:
            player.waiting = True
            return
        msn, part = (msn + 1, 0) if part == self._segment_parts - 1 else (msn, part + 1)
        self._ask(player, f"live.m3u8?_HLS_msn={msn}&_HLS_part={part}")
