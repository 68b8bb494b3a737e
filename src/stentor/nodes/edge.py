"""The edge: chunks from the ring to listeners. It needs nobody else alive: what is missing is hold."""

from __future__ import annotations

import os
import time
from pathlib import Path

import structlog

from stentor.core import mount
from stentor.core.fanout import Feed, Patience, burst_chunks, first_n
from stentor.formats import chunks
from stentor.io.board import Board, BoardError
from stentor.io.keys import ticket_key
from stentor.io.net.http import encode
from stentor.io.net.loop import READABLE, Loop
from stentor.io.net.mounts import Mounts, Start
from stentor.io.net.server import Answer, Handover
from stentor.io.net.sockets import raise_descriptor_limit
from stentor.io.ring import Ring, RingError
from stentor.io.wake import BOARD, Ear
from stentor.model import board
from stentor.model.http import Request, Response
from stentor.model.rendition import RENDITIONS
from stentor.nodes.intake import now_text, put, run
from stentor.settings import Settings

LOOK_S = 0.25  # between two looks at the board
PUBLISH_S = 1.0
DESCRIPTORS_SPARE = 64  # for all that is no connection: ring, board, epoll, log
log = structlog.get_logger()


def main(settings: Settings, worker: int = 0) -> int:
    """Serve until SIGTERM; -> exit code."""
    return run(
        f"edge-{worker}", settings, settings.edge_port, settings.sndbuf_bytes, lambda loop: Edge(settings, worker, loop)
    )


class Edge:
    """One worker. `loop` and `mounts` are its own; others only read ring and board."""

    def __init__(self, settings: Settings, worker: int, loop: Loop) -> None:
        self._settings = settings
        self._worker = worker
        self._board = Board(settings.board_dir)
        self._keys = {0: ticket_key(settings.keys_dir)}
        self._ring: Ring | None = None
        self._feeds: dict[int, Feed] = {}
        self._title = ""
        self._refused = 0
        self._holds_made = 0  # by feeds that are gone
        self._problem = ""
        self._listeners_max = _listeners_max(settings)
        patience = Patience(settings.lag_skip_s, settings.lag_drop_s)
        self.mounts = Mounts(loop, patience, settings.sndbuf_bytes)
        self._ear = Ear(settings.wake_dir, "edge")
        self.look()
        loop.watch(self._ear.fileno(), READABLE, self._woken)
        loop.tick_first(self.mounts.tick)
        loop.every(LOOK_S, self.look)
        loop.every(PUBLISH_S, self.publish)

    def _woken(self, fd: int, mask: int) -> None:
        """The ring is looked at in every turn anyway."""
        if BOARD in self._ear.drain():
            self.look()

    def look(self) -> None:
        """Follow the stage: its title, and its ring if that is another one."""
        try:
            stage = self._board.get("stage", board.Stage)
            if stage is None or not stage.ring:
                return
            if stage.title != self._title:
                self._title = stage.title
                self.mounts.set_title(stage.title)
            if self._ring is None or self._ring.inode != Path(stage.ring).stat().st_ino:
                self._attach(Ring(Path(stage.ring)))
            self._problem = ""
        except (BoardError, RingError, OSError) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.warning("the stage cannot be followed", reason=self._problem)

    def _attach(self, ring: Ring) -> None:
        """Of the same show on the same grid: go on where the old ring stood. Else everybody leaves."""
        old, self._ring = self._ring, ring
        same = old is not None and (old.show, old.grid) == (ring.show, ring.grid)
        stood = {key: feed.n for key, feed in self._feeds.items()} if same else {}
        self._holds_made += sum(feed.holds_made for feed in self._feeds.values())
        grace_ns, now_ns = self._settings.edge_grace_ms * 1_000_000, time.monotonic_ns()
        self._feeds = {r.id: Feed(ring, r, grace_ns, now_ns, stood.get(r.id)) for r in RENDITIONS}
        (self.mounts.go_on if same else self.mounts.begin)(self._feeds.values())
        if old is not None:
            old.close()
        log.info("ring attached", show=ring.show, n=self._feeds[0].n, goes_on=same)

    @property
    def newest(self) -> tuple[int, ...]:
        """The last chunk sent, by rendition id."""
        return tuple(self._feeds[rendition.id].n for rendition in RENDITIONS)

    def answer(self, request: Request) -> Answer:
        on_air = self._ring is not None and not self._feeds[0].ended
        show = self._ring.show if self._ring is not None and on_air else ""
        view = mount.View(
            show, len(self.mounts) >= self._listeners_max, self._keys, lambda show: now_text(self._board, show)
        )
        decided = mount.answer(request, view, int(time.time()))
        if isinstance(decided, Response):
            self._refused += decided.status in (403, 503)
            return decided
        return self._listen(decided, request.method == "HEAD")

    def _listen(self, listen: mount.Listen, head_only: bool) -> Answer:
        feed = self._feeds[listen.rendition.id]
        burst = burst_chunks(listen.burst, listen.rendition, feed.grid, self._settings.burst_s)
        n = first_n(listen.from_n, burst, feed.n, feed.oldest)
        if listen.probe:
            return mount.probe(listen, chunks.header(listen.rendition) or feed.chunk(feed.n))
        head = mount.head(listen, feed.grid, n, feed.n, time.monotonic_ns(), self._title)
        if head_only:
            return head
        start = Start(encode(head) + chunks.header(listen.rendition), n, listen.icy)
        return Handover(lambda sock, unsent: self.mounts.join(sock, listen.rendition.id, start.after(unsent)))

    def publish(self) -> None:
        """Put this worker's counters on the board."""
        counters = self.mounts.counters
        value = board.Edge(
            at_ms=time.time_ns() // 1_000_000,
            pid=os.getpid(),
            listeners=len(self.mounts),
            by_rendition=self.mounts.by_rendition(),
            joins=counters.joins,
            refused=self._refused,
            skips=counters.skips,
            drops=counters.drops,
            chunks=counters.chunks,
            holds_made=self._holds_made + sum(feed.holds_made for feed in self._feeds.values()),
            bytes_sent=counters.bytes_sent,
            worst_late_ms=counters.worst_late_ms,
        )
        put(self._board, f"edge-{self._worker}", value)

    def close(self) -> None:
        self.mounts.close()
        self._ear.close()


def _listeners_max(settings: Settings) -> int:
    """What the settings say, or less where this process may not have so many descriptors."""
    possible = raise_descriptor_limit() - settings.requests_max - DESCRIPTORS_SPARE
    if possible < settings.listeners_max:
        log.warning("fewer listeners than set: too few descriptors", listeners_max=possible)
    return min(possible, settings.listeners_max)
