"""Which chunk goes out when, where a listener starts, what lag costs: on a ring and a clock of this test's own."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.fanout import (
    BURST_CHUNKS_MAX,
    NEVER_NS,
    POLL_NS,
    Feed,
    Patience,
    burst_chunks,
    first_n,
)
from stentor.model.grid import Grid
from stentor.model.ports import Fate
from stentor.model.rendition import MP3, OPUS

MS = 1_000_000
CHUNK_NS = 500 * MS
GRACE_NS = 400 * MS
SLOTS = 16
GRID = Grid(t0_wall_ns=0, t0_mono_ns=0, chunk_samples=24_000)


class Published(NamedTuple):
    data: bytes


class HoldOf:
    def chunk(self, grid: Grid, n: int) -> bytes:
        return b"hold %d" % n


class FakeRing:
    """A ring of one rendition. `publish` goes on from the head, as writers do."""

    def __init__(self) -> None:
        self.grid = GRID
        self.slots = SLOTS
        self.holds = {OPUS.id: HoldOf()}
        self.end_n = 0
        self._chunks: dict[int, bytes] = {}
        self._head = 0

    def publish(self, *numbers: int) -> None:
        for n in numbers:
            if n > self._head:
                self._chunks[n], self._head = b"live %d" % n, n
                self._chunks.pop(n - SLOTS, None)

    def head(self, rendition_id: int) -> int:
        return self._head

    def get(self, rendition_id: int, n: int) -> Published | None:
        return Published(self._chunks[n]) if n in self._chunks else None


@pytest.fixture
def ring() -> FakeRing:
    return FakeRing()


def feed_of(ring: FakeRing, now_ns: int = 0, after_n: int | None = None) -> Feed:
    return Feed(ring, OPUS, GRACE_NS, now_ns, after_n)


def due_ns(n: int) -> int:
    return GRID.start_ns(n + 1)


def drain(feed: Feed, now_ns: int) -> list[bytes]:
    out = []
    while (data := feed.tick(now_ns)) is not None:
        out.append(data)
    return out


def test_what_is_in_the_ring_goes_out_at_once(ring: FakeRing) -> None:
    feed = feed_of(ring)
    ring.publish(1, 2)
    assert drain(feed, 0) == [b"live 1", b"live 2"]
    assert feed.n == 2


def test_nothing_is_looked_for_before_a_chunk_is_due(ring: FakeRing) -> None:
    feed = feed_of(ring)
    assert feed.tick(0) is None
    assert feed.next_deadline() == due_ns(1)
    assert feed.tick(due_ns(1)) is None
    assert feed.next_deadline() == due_ns(1) + POLL_NS
    assert feed.tick(due_ns(1) + GRACE_NS - 1) is None
    assert feed.next_deadline() == due_ns(1) + GRACE_NS


def test_a_chunk_that_does_not_come_is_replaced_by_hold_and_never_sent_late(ring: FakeRing) -> None:
    feed = feed_of(ring)
    assert feed.tick(due_ns(1) + GRACE_NS) == b"hold 1"
    assert feed.holds_made == 1
    ring.publish(1, 2)
    assert drain(feed, due_ns(2)) == [b"live 2"]
    assert feed.chunk(1) == b"hold 1"  # for whoever catches up: what went out in its turn


def test_a_writer_that_returns_later_leaves_no_gap(ring: FakeRing) -> None:
    feed = feed_of(ring)
    ring.publish(1)
    ring.publish(5)
    assert drain(feed, due_ns(1)) == [b"live 1", b"hold 2", b"hold 3", b"hold 4", b"live 5"]
    assert feed.holds_made == 3


def test_an_edge_that_starts_late_does_not_make_up_for_the_past(ring: FakeRing) -> None:
    feed = feed_of(ring, due_ns(1000) + GRACE_NS)
    assert feed.n == 1000
    assert feed.chunk(feed.oldest) == b"hold %d" % feed.oldest
    assert drain(feed, due_ns(1000) + GRACE_NS) == []


def test_after_a_long_sleep_it_leaps_to_what_is_left(ring: FakeRing) -> None:
    feed = feed_of(ring)
    ring.publish(*range(1, 3))
    drain(feed, 0)
    ring.publish(*range(3, 101))
    sent = drain(feed, due_ns(100))
    assert sent[0] == b"live %d" % (100 - SLOTS + 2)
    assert len(sent) == SLOTS - 1 and feed.n == 100


def test_the_show_ends_before_end_n(ring: FakeRing) -> None:
    feed = feed_of(ring)
    ring.publish(1, 2, 3)
    ring.end_n = 3
    assert drain(feed, 0) == [b"live 1", b"live 2"]
    assert feed.ended
    assert feed.next_deadline() == NEVER_NS
    assert feed_of(ring).n == 2  # an edge that comes after the end


def test_the_last_chunk_of_a_dead_stage_is_hold(ring: FakeRing) -> None:
    feed = feed_of(ring)
    ring.end_n = 2
    assert not feed.ended
    assert feed.tick(due_ns(1) + GRACE_NS) == b"hold 1"
    assert feed.ended


def test_another_ring_goes_on_where_the_first_stood(ring: FakeRing) -> None:
    feed = feed_of(ring, after_n=7)
    ring.publish(*range(5, 10))
    assert drain(feed, 0) == [b"live 8", b"live 9"]


def test_everybody_shares_one_buffer_a_chunk_and_not_too_many_are_kept(ring: FakeRing) -> None:
    feed = feed_of(ring)
    for n in range(1, 5 * SLOTS):
        ring.publish(n)
        feed.tick(0)
        assert all(feed.chunk(k) is feed.chunk(k) for k in range(feed.oldest, feed.n + 1))
        assert len(feed._recent) < SLOTS


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 4)), max_size=60))
def test_order_is_strict_without_gaps_whatever_the_writers_do(steps: list[tuple[int, int]]) -> None:
    """`steps`: so many ms pass, then the writer publishes the chunk so far ahead of its last."""
    ring = FakeRing()
    feed, now_ns, sent = feed_of(ring), 0, []
    for passed_ms, ahead in steps:
        now_ns += passed_ms * MS
        ring.publish(ring.head(0) + ahead)
        sent += drain(feed, now_ns)
        assert feed.next_deadline() > now_ns
    assert [int(data.split()[1]) for data in sent] == list(range(1, len(sent) + 1))


@pytest.mark.parametrize(
    ("from_n", "burst", "first"),
    [(None, 2, 99), (None, 0, 101), (90, 2, 90), (3, 2, 70), (500, 2, 101), (None, 80, 70)],
)
def test_where_a_listener_starts(from_n: int | None, burst: int, first: int) -> None:
    assert first_n(from_n, burst, newest=100, oldest=70) == first


def test_before_the_first_chunk_a_listener_waits_for_it() -> None:
    assert first_n(None, 2, newest=0, oldest=1) == 1


def test_bursts() -> None:
    assert burst_chunks(None, OPUS, GRID, 4.0) == 2
    assert burst_chunks(None, MP3, GRID, 4.0) == 8
    assert burst_chunks(0, MP3, GRID, 4.0) == 0
    assert burst_chunks(10**9, OPUS, GRID, 4.0) == burst_chunks(None, MP3, GRID, 1e6) == BURST_CHUNKS_MAX


@pytest.mark.parametrize(
    ("lag_s", "stalled_s", "backlog_s", "fate"),
    [
        (6.0, 0.0, 0.0, Fate.CATCH_UP),
        (6.5, 0.0, 0.0, Fate.SKIP),
        (30.0, 0.0, 30.0, Fate.CATCH_UP),  # it asked for the past
        (37.0, 0.0, 30.0, Fate.SKIP),
        (19.0, 19.0, 30.0, Fate.CATCH_UP),
        (30.0, 20.5, 30.0, Fate.DROP),
    ],
)
def test_lag(lag_s: float, stalled_s: float, backlog_s: float, fate: Fate) -> None:
    assert Patience(skip_s=6.0, drop_s=20.0).judge(lag_s, stalled_s, backlog_s) is fate
