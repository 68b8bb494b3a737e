"""Ports: what one layer needs of another, so that neither has to import it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

from stentor.model.grid import Grid
from stentor.model.rendition import Rendition


class HasData(Protocol):
    """A published chunk."""

    @property
    def data(self) -> bytes: ...


class MakesHold(Protocol):
    """The hold of one rendition."""

    def chunk(self, grid: Grid, n: int) -> bytes: ...


class ChunkSource(Protocol):
    """The reading side of the ring (io/ring)."""

    @property
    def grid(self) -> Grid: ...

    @property
    def slots(self) -> int: ...

    @property
    def holds(self) -> Mapping[int, MakesHold]: ...

    @property
    def end_n(self) -> int: ...

    def head(self, rendition_id: int) -> int: ...

    def get(self, rendition_id: int, n: int) -> HasData | None: ...


class Feed(Protocol):
    """The chunks of one rendition in their order (core/fanout.py), as the mounts of an edge take them."""

    @property
    def rendition(self) -> Rendition: ...

    @property
    def grid(self) -> Grid: ...

    @property
    def n(self) -> int:
        """The last chunk that `tick` gave out."""
        ...

    @property
    def ended(self) -> bool: ...

    @property
    def oldest(self) -> int:
        """The lowest n that `chunk` can still give."""
        ...

    def tick(self, now_ns: int) -> bytes | None: ...

    def next_deadline(self) -> int: ...

    def chunk(self, n: int) -> bytes: ...


class Outlet(Feed, Protocol):
    """A feed that may give out several chunks at a time (core/outlet.py), as mounts send it."""

    @property
    def step(self) -> int:
        """How many chunks were in what `tick` last gave out; the last of them is `n`."""
        ...


class Fate(Enum):
    """What becomes of a listener who is behind."""

    CATCH_UP = "catch-up"
    SKIP = "skip"
    DROP = "drop"


class NotesListeners(Protocol):
    """Who hears of listeners by their descriptors (core/attendance.py)."""

    def join(self, fd: int, key: bytes, now_s: float) -> None: ...

    def part(self, fd: int) -> None: ...

    def drop(self, fd: int) -> None: ...


class JudgesLag(Protocol):
    """The lag policy (core/fanout.py)."""

    def judge(self, lag_s: float, stalled_s: float, backlog_s: float) -> Fate: ...
