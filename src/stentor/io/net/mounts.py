"""Mounts: endless streams of chunks to very many listeners.

A listener is *in step*, in a flock that gets each chunk in one pass; or *behind*, with a position of its own, sent to
when its socket has room; or *leaving*: all was sent, and the peer has a moment to close.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from stentor.formats import icy
from stentor.formats.ticket import Token
from stentor.io.net.flock import GONE, Flock
from stentor.io.net.listener import Behind, Channel
from stentor.io.net.loop import ENDED, Loop
from stentor.io.net.roster import Roster
from stentor.io.net.sockets import abort
from stentor.model.ports import Fate, JudgesLag, NotesListeners, Outlet

CHUNKS_A_TURN = 4  # of one feed, before anything else gets its turn
SENDS_A_TURN = 8  # to one listener who is catching up
LEAVE_S = 5.0  # after the end of a stream: how long the peer may take to close
STRAY_BYTES_MAX = 16_384  # what a listener may send while it listens; it is thrown away
SWEEP_S = 0.5
_READ_BYTES = 4_096
_QUIET = select.EPOLLIN | select.EPOLLRDHUP
_EAGER = _QUIET | select.EPOLLOUT


@dataclass(slots=True)
class Counters:
    """Since the start. `skips`: listeners skipped forward; `drops`: those whose socket took nothing for too long;
    `replaced`: those whose ticket began to play somewhere else."""

    joins: int = 0
    replaced: int = 0
    skips: int = 0
    drops: int = 0
    chunks: int = 0
    bytes_sent: int = 0
    worst_late_ms: int = 0


class Start(NamedTuple):
    """Where a new listener begins: `prelude`, then chunk `n`; with titles between the bytes if `icy`."""

    prelude: bytes
    n: int
    icy: bool = False

    def after(self, unsent: bytes) -> Start:
        """The same, behind bytes that have to go out before it."""
        return self._replace(prelude=unsent + self.prelude) if unsent else self


class Mounts:
    """All listeners of one worker. `join_bytes`: what a fresh socket takes at once; `attendance` hears who comes from
    where, goes, and is dropped because their socket takes nothing."""

    def __init__(
        self, loop: Loop, patience: JudgesLag, join_bytes: int, attendance: NotesListeners | None = None
    ) -> None:
        self.counters = Counters()
        self.roster = Roster()
        self._attendance = attendance
        self._loop = loop
        self._patience = patience
        self._join_bytes = join_bytes
        self._title = icy.block("")
        self._channels: dict[int, Channel] = {}  # by rendition id
        self._in_step: dict[int, Flock] = {}  # by descriptor, like the next three
        self._behind: dict[int, Behind] = {}
        self._leaving: dict[int, tuple[socket.socket, float]] = {}
        self._stray: dict[int, int] = {}
        self._handler = self._on_event  # one bound method for all, not one a listener
        loop.every(SWEEP_S, self._sweep)

    def __len__(self) -> int:
        return len(self._in_step) + len(self._behind)

    @property
    def leaving(self) -> bool:
        """Whether somebody has had all and has not closed yet."""
        return bool(self._leaving)

    def by_rendition(self) -> dict[str, int]:
        """Listeners by name of rendition."""
        counts = Counter({channel.feed.rendition.name: 0 for channel in self._channels.values()})
        for channel in self._channels.values():
            counts[channel.feed.rendition.name] += len(channel)
        counts.update(one.channel.feed.rendition.name for one in self._behind.values())
        return dict(counts)

    def set_title(self, title: str) -> None:
        """What players that asked for titles show from now on."""
        self._title = icy.block(title)

    def say(self, words: bytes) -> None:
        """A box that every framed stream carries once, before its next chunk."""
        for channel in self._channels.values():
            channel.say(words)

    def begin(self, feeds: Mapping[int, Outlet]) -> None:
        """Another show: everybody leaves, the feeds, by rendition id, are new."""
        for fd in [*self._in_step, *self._behind]:
            self._leave(fd)
        self._channels = {rendition_id: Channel(feed) for rendition_id, feed in feeds.items()}

    def join(
        self, sock: socket.socket, rendition_id: int, start: Start, token: Token | None = None, source: bytes = b""
    ) -> None:
        """A new listener; its socket is non-blocking and from now on belongs here. Whoever listened by the same ticket
        leaves. `source`: the key of where it comes from."""
        channel = self._channels[rendition_id]
        one = Behind(sock, channel, start.n - 1, start.prelude, 0 if start.icy else None)
        one.gather(self._join_bytes, self._title)
        fd = sock.fileno()
        self._behind[fd] = one
        self.counters.joins += 1
        if self._attendance is not None:
            self._attendance.join(fd, source, one.taken_s)
        if token is not None:
            self._enter(fd, token)
        self._pump(fd, one)
        if fd in self._behind:
            self._loop.watch(fd, _EAGER, self._handler)

    def _enter(self, fd: int, token: Token) -> None:
        older = self.roster.put(fd, token)
        if older is not None:
            self.counters.replaced += 1
            self._leave(older)

    def replace(self, seq: int) -> None:
        """The ticket with that seq plays somewhere else by now: its listener leaves, if there is one."""
        if self.end(seq):
            self.counters.replaced += 1

    def end(self, seq: int) -> bool:
        """Whoever listens by the ticket with that seq leaves; -> whether there was anybody."""
        fd = self.roster.get(seq)
        if fd is None:
            return False
        self._leave(fd)
        return True

    def tick(self) -> float:
        """Send every chunk that is to go out now; -> when to look again (monotonic, s)."""
        return min(map(self._advance, self._channels.values()), default=math.inf)

    def _advance(self, channel: Channel) -> float:
        feed = channel.feed
        for _ in range(CHUNKS_A_TURN):
            last_n, data = feed.n, feed.tick(time.monotonic_ns())
            if data is None:
                break
            if feed.n != last_n + feed.step:
                self.counters.skips += len(channel)
            self._send(channel, data)
        if feed.ended:
            self._finish(channel)
        return feed.next_deadline() / 1e9

    def _send(self, channel: Channel, data: bytes) -> None:
        """One chunk, or a group of them, to everyone who is in step."""
        data = channel.with_words(data)
        for key, flock in list(channel.flocks.items()):
            phase, buffer = channel.phase(key), data
            if phase is not None:
                buffer, phase = icy.interleave(data, phase, self._title)
            size, short = len(flock), flock.send(buffer)
            self.counters.bytes_sent += len(buffer) * (size - len(short))
            for fd, taken in short:
                self._fall_behind(channel, fd, buffer, taken, phase)
        channel.passed += len(data)
        channel.drop_empty()
        late_ns = time.monotonic_ns() - channel.feed.grid.start_ns(channel.feed.n + 1)
        self.counters.worst_late_ms = max(self.counters.worst_late_ms, late_ns // 1_000_000)
        self.counters.chunks += channel.feed.step

    def _fall_behind(self, channel: Channel, fd: int, data: bytes, taken: int, phase: int | None) -> None:
        if taken == GONE:
            self._part(fd)
            return
        sock = self._in_step.pop(fd).remove(fd)
        one = self._behind[fd] = Behind(sock, channel, channel.feed.n, data, phase)
        one.offset = taken
        self.counters.bytes_sent += taken
        self._loop.watch(fd, _EAGER, self._handler)

    def _on_event(self, fd: int, mask: int) -> None:
        if mask & ENDED:
            self._part(fd)
            return
        if mask & select.EPOLLOUT and fd in self._behind:
            self._pump(fd, self._behind[fd])
        if mask & select.EPOLLIN:
            self._drain(fd)

    def _pump(self, fd: int, one: Behind) -> None:
        """Send to a listener who is behind until the socket is full, a turn's share is spent, or it is in step."""
        for _ in range(SENDS_A_TURN):
            if one.sent and not one.lag_n:
                break
            if one.sent:
                self._move_on(one)
            if not self._offer(fd, one):
                return
        if one.sent and not one.lag_n:
            self._come_in_step(fd, one)

    def _move_on(self, one: Behind) -> None:
        """The next chunk for a listener behind: the one after the last, or if the lag is too long, the first of the
        newest that went out together."""
        lag_n = one.lag_n
        one.backlog_n = min(one.backlog_n, lag_n)
        if self._judge(one, one.taken_s) is Fate.SKIP or one.n + 1 < one.channel.feed.oldest:
            one.n = one.channel.feed.n - one.channel.feed.step
            self.counters.skips += 1
        one.data = one.next_chunk(self._title)
        one.offset = 0

    def _judge(self, one: Behind, now: float) -> Fate:
        chunk_s = one.channel.feed.grid.chunk_s
        return self._patience.judge(one.lag_n * chunk_s, now - one.taken_s, one.backlog_n * chunk_s)

    def _offer(self, fd: int, one: Behind) -> bool:
        """Send what is left of the chunk in hand; -> whether it is all sent."""
        before = one.offset
        try:
            return one.send()
        except OSError:
            self._part(fd)
            return False
        finally:
            self.counters.bytes_sent += one.offset - before

    def _come_in_step(self, fd: int, one: Behind) -> None:
        if one.channel.feed.ended:
            self._leave(fd)
            return
        del self._behind[fd]
        self._in_step[fd] = one.channel.add(one.sock, one.phase)
        self._loop.watch(fd, _QUIET, self._handler)

    def _drain(self, fd: int) -> None:
        """Throw away what a listener sends; who sends much is no listener."""
        sock = self._socket(fd)
        if sock is None:
            return
        try:
            size = len(sock.recv(_READ_BYTES))
        except BlockingIOError:
            return
        except OSError:
            size = 0
        self._stray[fd] = self._stray.get(fd, 0) + size
        if not size or self._stray[fd] > STRAY_BYTES_MAX:
            self._part(fd)

    def _socket(self, fd: int) -> socket.socket | None:
        if fd in self._in_step:
            return self._in_step[fd].get(fd)
        if fd in self._behind:
            return self._behind[fd].sock
        return self._leaving[fd][0] if fd in self._leaving else None

    def _release(self, fd: int) -> socket.socket:
        """Take a listener out of whatever holds it."""
        self._stray.pop(fd, None)
        self.roster.drop(fd)
        if self._attendance is not None:
            self._attendance.part(fd)
        if fd in self._in_step:
            return self._in_step.pop(fd).remove(fd)
        if fd in self._behind:
            return self._behind.pop(fd).sock
        return self._leaving.pop(fd)[0]

    def _part(self, fd: int, end: Callable[[socket.socket], None] = socket.socket.close) -> None:
        sock = self._release(fd)
        self._loop.forget(fd)
        end(sock)

    def _leave(self, fd: int) -> None:
        """The stream is over for this listener: what the kernel has still goes out, then the end."""
        sock = self._release(fd)
        self._leaving[fd] = (sock, time.monotonic() + LEAVE_S)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        self._loop.watch(fd, _QUIET, self._handler)

    def _finish(self, channel: Channel) -> None:
        """Whoever is behind leaves when it has caught up."""
        for flock in channel.flocks.values():
            for fd in flock.members():
                self._leave(fd)
        channel.drop_empty()

    def _sweep(self) -> None:
        self._loop.spread(self._behind, self._look_at)
        self._loop.spread(self._leaving, self._let_go)

    def _look_at(self, fd: int, one: Behind) -> None:
        if self._judge(one, time.monotonic()) is Fate.DROP:
            self.counters.drops += 1
            if self._attendance is not None:
                self._attendance.drop(fd)
            self._part(fd, abort)

    def _let_go(self, fd: int, leaving: tuple[socket.socket, float]) -> None:
        if time.monotonic() >= leaving[1]:
            self._part(fd)

    def close(self) -> None:
        """Close every socket at once."""
        for fd in [*self._in_step, *self._behind, *self._leaving]:
            self._part(fd)
