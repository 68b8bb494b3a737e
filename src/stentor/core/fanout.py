"""Fan-out without sockets: which chunk an edge sends next and when, where a listener starts, what lag costs.

`Feed` is the order of one rendition's chunks: strictly increasing, without gaps. What stands in the ring goes out as
soon as it is there; what does not come in time is replaced by hold, and the ring's version of it never goes out.
"""

from __future__ import annotations

from dataclasses import dataclass

from stentor.model.grid import FIRST_N, Grid
from stentor.model.ports import ChunkSource, Fate
from stentor.model.rendition import Rendition

POLL_NS = 25_000_000  # between two looks at the ring while a chunk is due and no datagram has come
NEVER_NS = 2**63 - 1
BURST_CHUNKS = 2  # of the past, to a new listener of a framed rendition
BURST_CHUNKS_MAX = 32


class Feed:
    """One rendition's chunks in order. Begins after the newest there is, or after chunk `after_n`, where another feed
    stood. Times are CLOCK_MONOTONIC in ns."""

    __slots__ = (
        "_grace_ns",
        "_hold",
        "_look_ns",
        "_recent",
        "_ring",
        "grid",
        "holds_made",
        "leapt_n",
        "n",
        "rendition",
    )

    def __init__(
        self, ring: ChunkSource, rendition: Rendition, grace_ns: int, now_ns: int, after_n: int | None = None
    ) -> None:
        self.rendition = rendition
        self.grid: Grid = ring.grid
        self.holds_made = 0
        self.leapt_n = 0  # the chunk that it last leapt to; those before it never went out
        self._ring = ring
        self._hold = ring.holds[rendition.id]
        self._grace_ns = grace_ns
        self._recent: dict[int, bytes] = {}
        self._look_ns = now_ns
        self.n = self._start(now_ns) if after_n is None else after_n

    def _start(self, now_ns: int) -> int:
        newest = self._newest(now_ns)
        return min(newest, self._ring.end_n - 1) if self._ring.end_n else newest

    @property
    def ended(self) -> bool:
        """Whether the last chunk of the show has been given out."""
        end_n = self._ring.end_n
        return bool(end_n) and self.n >= end_n - 1

    @property
    def end_n(self) -> int:
        """One past the last chunk of the show; 0: not known yet."""
        return self._ring.end_n

    @property
    def oldest(self) -> int:
        """The lowest n that can still be had: from the ring, or as the hold that went out in its place."""
        return max(FIRST_N, self.n - self._ring.slots + 2)

    def tick(self, now_ns: int) -> bytes | None:
        """The next chunk, if it is to go out now; `n` is then its number. None: look again at `next_deadline()`.

        After a sleep longer than the ring, `n` leaps to the oldest chunk that is left.
        """
        if now_ns < self._look_ns and self._ring.head(self.rendition.id) <= self.n:
            return None  # most calls end here: some other rendition, or a request, woke the edge
        if self.ended:
            self._look_ns = NEVER_NS
            return None
        n = max(self.n + 1, self._newest(now_ns) - self._ring.slots + 2)
        if n > self._ring.head(self.rendition.id) and now_ns < self._overdue_ns(n):
            self._look_ns = self._next_look_ns(n, now_ns)
            return None
        data = self._read(n)
        self._keep(n, data)
        self._look_ns = now_ns
        return data

    def next_deadline(self) -> int:
        return self._look_ns

    def chunk(self, n: int) -> bytes:
        """Chunk `n`, oldest <= n <= self.n: the same bytes that went out in its turn, if this feed gave it out."""
        assert self.oldest <= n <= self.n, (self.oldest, n, self.n)
        data = self._recent.get(n)
        if data is None:
            found = self._ring.get(self.rendition.id, n)
            data = self._recent[n] = found.data if found else self._hold.chunk(self.grid, n)
        return data

    def _read(self, n: int) -> bytes:
        found = self._ring.get(self.rendition.id, n)
        if found:
            return found.data
        self.holds_made += 1
        return self._hold.chunk(self.grid, n)

    def _keep(self, n: int, data: bytes) -> None:
        """One buffer a chunk for everybody, those behind included; no more of them than the ring has."""
        if n != self.n + 1:
            self._recent.clear()
            self.leapt_n = n
        self._recent[n] = data
        self._recent.pop(n - self._ring.slots + 1, None)
        self.n = n

    def _overdue_ns(self, n: int) -> int:
        """From then on hold takes the place of chunk `n`."""
        return self.grid.start_ns(n + 1) + self._grace_ns

    def _newest(self, now_ns: int) -> int:
        """The newest chunk that is in the ring or overdue."""
        overdue_n = self.grid.n_at(now_ns - self._grace_ns) - 1
        return max(FIRST_N - 1, self._ring.head(self.rendition.id), overdue_n)

    def _next_look_ns(self, n: int, now_ns: int) -> int:
        """Nothing to look for before chunk `n` is due; then now and then, for wake-ups may be lost."""
        due_ns = self.grid.start_ns(n + 1)
        return due_ns if now_ns < due_ns else min(now_ns + POLL_NS, due_ns + self._grace_ns)


def burst_chunks(asked: int | None, rendition: Rendition, grid: Grid, burst_s: float, group: int = 1) -> int:
    """How many chunks of the past a new listener gets at once. `burst_s` goes for MP3: its players fill a buffer.

    Where chunks go out in groups, the next may be a whole group away: so much more is needed to play until then.
    """
    usual = BURST_CHUNKS if rendition.framed else round(burst_s / grid.chunk_s)
    return max(0, min((usual if asked is None else asked) + group - 1, BURST_CHUNKS_MAX))


def first_n(from_n: int | None, burst: int, newest: int, oldest: int) -> int:
    """The first chunk of a new listener: the one resumed at, or the burst's first; never one gone or far ahead."""
    wanted = newest + 1 - burst if from_n is None else from_n
    return max(oldest, min(wanted, newest + 1))


@dataclass(frozen=True, slots=True)
class Patience:
    """The lag policy: who is too far behind skips to the newest chunk, whose socket takes nothing is dropped."""

    skip_s: float
    drop_s: float

    def judge(self, lag_s: float, stalled_s: float, backlog_s: float) -> Fate:
        """`lag_s` behind the newest chunk; `stalled_s` since the socket last took a byte; `backlog_s` of the past that
        the listener asked for and has not had, which is not held against it."""
        if stalled_s > self.drop_s:
            return Fate.DROP
        return Fate.SKIP if lag_s > self.skip_s + backlog_s else Fate.CATCH_UP
