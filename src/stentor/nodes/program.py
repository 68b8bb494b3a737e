"""What is on, as an edge follows it: the ring of the show on stage, its feeds, its title."""

from __future__ import annotations

import time
from pathlib import Path

import structlog

from stentor.core.fanout import Feed
from stentor.core.outlet import Outlet
from stentor.core.usher import voices
from stentor.formats import icy, ticket
from stentor.io.board import Board, BoardError
from stentor.io.net.mounts import Mounts
from stentor.io.ring import Ring, RingError
from stentor.model import board
from stentor.model.rendition import RENDITIONS

log = structlog.get_logger()


class Program:
    """Keeps `mounts` on the ring that the board names; a stage that is gone changes nothing."""

    def __init__(self, values: Board, mounts: Mounts, grace_ms: int) -> None:
        self.feeds: dict[int, Feed] = {}  # by rendition id
        self.outlets: dict[int, Outlet] = {}  # what the mounts send, by the id of the rendition that was asked for
        self.title = ""
        self._stream_title = ""
        self._board = values
        self._mounts = mounts
        self._grace_ns = grace_ms * 1_000_000
        self._ring: Ring | None = None
        self._tag = b""
        self._show = ""
        self._holds_made = 0  # by feeds that are gone
        self._problem = ""

    @property
    def show_tag(self) -> bytes | None:
        """By which tickets name the show that is on; None if there is none."""
        return None if self._ring is None or self.feeds[0].ended else self._tag

    @property
    def show(self) -> str:
        """The show whose chunks these are, on or over; empty if there was none yet."""
        return self._show

    @property
    def holds_made(self) -> int:
        """Since the start, over all renditions."""
        return self._holds_made + sum(feed.holds_made for feed in self.feeds.values())

    @property
    def newest(self) -> tuple[int, ...]:
        """The last chunk that came, by rendition id."""
        return tuple(self.feeds[rendition.id].n for rendition in RENDITIONS)

    def look(self) -> None:
        """Follow the stage: its title, who speaks, and its ring if that is another one."""
        try:
            stage = self._board.get("stage", board.Stage)
            if stage is not None and stage.ring:
                self._follow(stage)
            self._problem = ""
        except (BoardError, RingError, OSError) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.warning("the stage cannot be followed", reason=self._problem)

    def _follow(self, stage: board.Stage) -> None:
        self.title = stage.title
        self._name_voices(stage)
        path = Path(stage.ring)
        if self._ring is None or self._ring.inode != path.stat().st_ino:
            self._attach(Ring(path))

    def _name_voices(self, stage: board.Stage) -> None:
        stream_title = icy.stream_title(stage.title, voices(stage, time.time_ns() // 1_000_000))
        if stream_title != self._stream_title:
            self._stream_title = stream_title
            self._mounts.set_title(stream_title)

    def _attach(self, ring: Ring) -> None:
        """Of the same show on the same grid: go on where the old ring stood. Else everybody leaves."""
        old, self._ring, self._tag = self._ring, ring, ticket.show_tag(ring.show)
        self._show = ring.show
        same = old is not None and (old.show, old.grid) == (ring.show, ring.grid)
        stood = {key: feed.n for key, feed in self.feeds.items()} if same else {}
        self._holds_made, now_ns = self.holds_made, time.monotonic_ns()
        self.feeds = {r.id: Feed(ring, r, self._grace_ns, now_ns, stood.get(r.id)) for r in RENDITIONS}
        if same:
            for outlet in self.outlets.values():
                outlet.follow(self.feeds)
        else:
            self.outlets = {key: Outlet(feed) for key, feed in self.feeds.items()}
            self._mounts.begin(self.outlets)
        if old is not None:
            old.close()
        log.info("ring attached", show=ring.show, n=self.feeds[0].n, goes_on=same)
