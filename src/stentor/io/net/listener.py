"""Where listeners stand: a channel is one rendition with its flocks; who is behind has a position of their own."""

from __future__ import annotations

import socket
import ssl
import time

from stentor.formats import icy
from stentor.io.net.flock import Flock
from stentor.model.ports import Outlet


class Channel:
    """One feed and its listeners who are in step, in flocks: those without titles, and those with, by phase.

    A phase is the number of bytes since the last title, modulo the ICY interval. All of a channel get the same bytes of
    audio, so phases move together and a flock keeps its key: the phase less the bytes `passed`.
    """

    __slots__ = ("_since", "_unsaid", "feed", "flocks", "passed", "said", "words")

    def __init__(self, feed: Outlet) -> None:
        self.feed = feed
        self.flocks: dict[int | None, Flock] = {}
        self.passed = 0
        self.words = b""  # what was last said between chunks
        self.said = 0  # how often
        self._unsaid = b""
        self._since: tuple[tuple[Outlet, int, int, int], tuple[bytes, int]] | None = None

    def __len__(self) -> int:
        return sum(map(len, self.flocks.values()))

    def say(self, words: bytes) -> None:
        """To go before the next chunk, in place of what did not yet; MP3 has no room for it."""
        if self.feed.rendition.framed:
            self._unsaid = words

    def with_words(self, data: bytes) -> bytes:
        """`data` for those in step: behind what is to be said, if there is anything."""
        if not self._unsaid:
            return data
        self.words, self._unsaid = self._unsaid, b""
        self.said += 1
        return self.words + data

    def phase(self, key: int | None) -> int | None:
        return None if key is None else (key + self.passed) % icy.METAINT

    def key(self, phase: int | None) -> int | None:
        return None if phase is None else (phase - self.passed) % icy.METAINT

    def add(self, sock: socket.socket, phase: int | None) -> Flock:
        """A listener comes into step; -> its flock."""
        key = self.key(phase)
        flock = self.flocks.get(key)
        if flock is None:
            flock = self.flocks[key] = Flock(tls=isinstance(sock, ssl.SSLSocket))
        flock.add(sock)
        return flock

    def since(self, n: int, bytes_max: int) -> tuple[bytes, int]:
        """Chunks from `n` on in one piece, as long as they are there and it stays small; -> (bytes, the last's number).

        Whoever joins between two chunks gets the same piece.
        """
        key = (self.feed, self.feed.n, n, bytes_max)
        if self._since is None or self._since[0] != key:
            self._since = key, self._gathered(n, bytes_max)
        return self._since[1]

    def _gathered(self, n: int, bytes_max: int) -> tuple[bytes, int]:
        parts: list[bytes] = []
        size = 0
        while n <= self.feed.n and size < bytes_max:
            parts.append(self.feed.chunk(n))
            size += len(parts[-1])
            n += 1
        return b"".join(parts), n - 1

    def drop_empty(self) -> None:
        self.flocks = {key: flock for key, flock in self.flocks.items() if flock}


class Behind:
    """A listener who is not in step: `data`, of which `offset` bytes are sent, ends with chunk `n`."""

    __slots__ = ("backlog_n", "channel", "data", "n", "offset", "phase", "said", "sock", "taken_s")

    def __init__(self, sock: socket.socket, channel: Channel, n: int, data: bytes, phase: int | None) -> None:
        self.sock = sock
        self.channel = channel
        self.n = n
        self.data = data
        self.offset = 0
        self.phase = phase  # at the end of `data`; None: without titles
        self.backlog_n = channel.feed.n - n  # chunks of the past that were asked for and not had
        self.said = channel.said  # of what was said between chunks, how much this one knows
        self.taken_s = time.monotonic()  # when the socket last took a byte

    @property
    def lag_n(self) -> int:
        return self.channel.feed.n - self.n

    @property
    def sent(self) -> bool:
        """Whether `data` has gone out whole: a place to skip, to go on, or to come into step."""
        return self.offset == len(self.data)

    def next_chunk(self, title: bytes) -> bytes:
        """The bytes of chunk n + 1 for this listener; its position moves past it."""
        self.n += 1
        data = self.channel.feed.chunk(self.n)
        if self.said != self.channel.said:
            data, self.said = self.channel.words + data, self.channel.said
        if self.phase is not None:
            data, self.phase = icy.interleave(data, self.phase, title)
        return data

    def gather(self, bytes_max: int, title: bytes) -> None:
        """Put chunks to `data` while they are there and it stays small: a join is one send."""
        if self.phase is None:
            chunks, self.n = self.channel.since(self.n + 1, bytes_max)
            self.data += chunks
            return
        parts, size = [self.data], len(self.data)
        while self.lag_n and size < bytes_max:
            parts.append(self.next_chunk(title))
            size += len(parts[-1])
        self.data = b"".join(parts)

    def send(self) -> bool:
        """Offer what is left of `data`; -> whether the socket took it all. Raises `OSError` if the peer is gone."""
        try:
            taken = self.sock.send(memoryview(self.data)[self.offset :] if self.offset else self.data)
        except BlockingIOError:
            return False
        self.offset += taken
        self.taken_s = time.monotonic()
        return self.sent
