"""What one mount sends: the chunks of a feed, some at a time, and from a given chunk on those of another feed.

Groups are how latency is given up: one write a listener carries `group` chunks. A group ends with a chunk whose number
is divisible by `group`, whoever joined when; the chunk before a new grouping ends a group too, and so does the last
chunk of the show. Hold goes out in groups like everything else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from stentor.model.grid import Grid
from stentor.model.ports import Feed as PortOfFeed
from stentor.model.rendition import Rendition

GROUPS = (1, 2, 4)
TURNS_MAX = 4  # from one feed to another that are remembered, for whoever is behind


class Feed(PortOfFeed, Protocol):
    """What an outlet needs of a feed (core/fanout.py). Several outlets may tick the same one."""

    @property
    def leapt_n(self) -> int: ...


class Turn(NamedTuple):
    """From chunk `from_n` on the chunks are those of `feed`."""

    from_n: int
    feed: Feed


class Outlet:
    """Begins after the last chunk that `feed` gave out. `n` is the last one given out, `step` how many went with it."""

    __slots__ = ("_at", "_before", "_from_n", "_group", "_home", "_pending", "_turns", "n", "step")

    def __init__(self, feed: Feed) -> None:
        self.n = self._at = feed.n  # `_at`: the last one taken from its feed
        self.step = 1
        self._home = feed
        self._turns = deque([Turn(0, feed)], maxlen=TURNS_MAX)
        self._pending: list[bytes] = []
        self._before = self._group = 1
        self._from_n = 0

    @property
    def rendition(self) -> Rendition:
        """The one whose chunks go out now."""
        return self._feed_of(self._at + 1).rendition

    @property
    def grid(self) -> Grid:
        return self._home.grid

    @property
    def oldest(self) -> int:
        return max(self._home.oldest, self._feed_of(self._at + 1).oldest)

    @property
    def ended(self) -> bool:
        return self._feed_of(self._at + 1).ended and not self._pending

    @property
    def group(self) -> int:
        """The largest group that is in force or announced: what a new listener has to be ready for."""
        return max(self._group_of(self._at + 1), self._group)

    def regroup(self, group: int, from_n: int) -> None:
        """From chunk `from_n` on, or the next if that one is out, `group` at a time. To say it again is nothing."""
        assert group in GROUPS, group
        if (group, from_n) != (self._group, self._from_n):
            self._before = self._group_of(self._at + 1)
            self._group, self._from_n = group, from_n

    def turn_to(self, feed: Feed, from_n: int) -> None:
        """From chunk `from_n` on, or the next if that one is out, the chunks of `feed`, which has the same header."""
        if self._turns[-1].from_n > self._at:  # not yet carried out: it is not to be any more
            if self._turns[-1] == (from_n, feed):
                return
            self._turns.pop()
        if self._turns[-1].feed is not feed:
            self._turns.append(Turn(max(from_n, self._at + 1), feed))

    def follow(self, feeds: Mapping[int, Feed]) -> None:
        """The same feeds from another ring, by rendition id, each where the one before it stood."""
        self._home = feeds[self._home.rendition.id]
        turns = [Turn(turn.from_n, feeds[turn.feed.rendition.id]) for turn in self._turns]
        self._turns = deque(turns, maxlen=TURNS_MAX)

    def tick(self, now_ns: int) -> bytes | None:
        """The next group, if it is to go out now: `n` is then its last chunk. None: look again at `next_deadline()`."""
        _has(self._home, self._at + 1, now_ns)  # HLS takes from it wherever the chunks come from
        while True:
            n = self._at + 1
            feed = self._feed_of(n)
            if not _has(feed, n, now_ns):
                return self._give() if self._pending and feed.ended else None
            if self._pending and feed.leapt_n > n:
                return self._give()
            self._at = max(n, feed.leapt_n)
            self._pending.append(feed.chunk(self._at))
            if self._closes(self._at):
                return self._give()

    def next_deadline(self) -> int:
        return min(self._feed_of(self._at + 1).next_deadline(), self._home.next_deadline())

    def chunk(self, n: int) -> bytes:
        """Chunk `n`, oldest <= n <= self.n: the bytes that went out in its turn."""
        return self._feed_of(n).chunk(n)

    def _give(self) -> bytes:
        self.n, self.step = self._at, len(self._pending)
        data = self._pending[0] if self.step == 1 else b"".join(self._pending)
        self._pending.clear()
        return data

    def _closes(self, n: int) -> bool:
        return n % self._group_of(n) == 0 or n + 1 == self._from_n

    def _group_of(self, n: int) -> int:
        return self._group if n >= self._from_n else self._before

    def _feed_of(self, n: int) -> Feed:
        newest = self._turns[-1]
        if n >= newest.from_n:  # nearly always, and asked several times a join
            return newest.feed
        return next((turn.feed for turn in reversed(self._turns) if n >= turn.from_n), self._turns[0].feed)


def _has(feed: Feed, n: int, now_ns: int) -> bool:
    """Whether `feed` has given out chunk `n`; it is made to, if it can."""
    while feed.n < n:
        if feed.tick(now_ns) is None:
            return False
    return True
