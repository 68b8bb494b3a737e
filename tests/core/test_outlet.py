"""Chunks in groups, and from one rendition to another: nothing is lost, doubled, or sent before its group is whole."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.fanout import Feed, burst_chunks
from stentor.core.outlet import GROUPS, Outlet
from stentor.model.grid import Grid
from stentor.model.rendition import OPUS, OPUS_LOW

SLOTS = 32
GRACE_NS = 400_000_000
GRID = Grid(t0_wall_ns=0, t0_mono_ns=10**15, chunk_samples=24_000)  # laid far ahead: nothing is overdue


class Published(NamedTuple):
    data: bytes


class HoldOf:
    def chunk(self, grid: Grid, n: int) -> bytes:
        return b"<hold %d>" % n


class FakeRing:
    """Two lanes of a ring; each chunk says what it is."""

    def __init__(self, grid: Grid = GRID) -> None:
        self.grid, self.slots, self.end_n = grid, SLOTS, 0
        self.holds = {OPUS.id: HoldOf(), OPUS_LOW.id: HoldOf()}
        self.heads = {OPUS.id: 0, OPUS_LOW.id: 0}

    def publish(self, n: int, *lanes: int) -> None:
        for lane in lanes or self.heads:
            self.heads[lane] = n

    def head(self, rendition_id: int) -> int:
        return self.heads[rendition_id]

    def get(self, rendition_id: int, n: int) -> Published | None:
        head = self.heads[rendition_id]
        return Published(b"<%d %d>" % (rendition_id, n)) if head - SLOTS < n <= head else None


@pytest.fixture
def ring() -> FakeRing:
    return FakeRing()


def feeds_of(ring: FakeRing) -> dict[int, Feed]:
    return {one.id: Feed(ring, one, GRACE_NS, 0) for one in (OPUS, OPUS_LOW)}


def groups(outlet: Outlet, now_ns: int = 0) -> list[bytes]:
    found = []
    while (data := outlet.tick(now_ns)) is not None:
        found.append(data)
    return found


def spelt(first: int, last: int, lane: int = OPUS.id) -> bytes:
    return b"".join(b"<%d %d>" % (lane, n) for n in range(first, last + 1))


def test_one_at_a_time_it_is_its_feed(ring: FakeRing) -> None:
    outlet = Outlet(feeds_of(ring)[OPUS.id])
    ring.publish(3)
    assert groups(outlet) == [spelt(n, n) for n in (1, 2, 3)]
    assert (outlet.n, outlet.step, outlet.group) == (3, 1, 1)


@pytest.mark.parametrize("group", [2, 4])
def test_a_group_goes_out_when_it_is_whole_and_ends_with_a_multiple(ring: FakeRing, group: int) -> None:
    outlet = Outlet(feeds_of(ring)[OPUS.id])
    outlet.regroup(group, 0)
    for n in range(1, group):
        ring.publish(n)
        assert groups(outlet) == [] and outlet.n == 0
    ring.publish(group)
    assert groups(outlet) == [spelt(1, group)]
    assert (outlet.n, outlet.step) == (group, group)
    ring.publish(3 * group)
    assert groups(outlet) == [spelt(group + 1, 2 * group), spelt(2 * group + 1, 3 * group)]


def test_a_switch_comes_with_its_chunk_and_what_was_before_ends_there(ring: FakeRing) -> None:
    outlet = Outlet(feeds_of(ring)[OPUS.id])
    outlet.regroup(2, 4)
    assert outlet.group == 2  # announced: a new listener is to be ready for it
    ring.publish(8)
    assert groups(outlet) == [spelt(1, 1), spelt(2, 2), spelt(3, 3), spelt(4, 4), spelt(5, 6), spelt(7, 8)]
    outlet.regroup(4, 10)
    outlet.regroup(4, 10)
    ring.publish(16)
    assert groups(outlet) == [spelt(9, 9), spelt(10, 12), spelt(13, 16)]
    outlet.regroup(1, 19)
    assert outlet.group == 4
    ring.publish(21)
    assert groups(outlet) == [spelt(17, 18), spelt(19, 19), spelt(20, 20), spelt(21, 21)]
    assert outlet.group == 1


def test_a_switch_that_is_seen_late_holds_from_the_next_chunk(ring: FakeRing) -> None:
    outlet = Outlet(feeds_of(ring)[OPUS.id])
    outlet.regroup(4, 0)
    ring.publish(6)
    assert groups(outlet) == [spelt(1, 4)]
    outlet.regroup(1, 5)
    ring.publish(7)
    assert groups(outlet) == [spelt(5, 7)]


def test_the_end_of_the_show_ends_a_group(ring: FakeRing) -> None:
    outlet = Outlet(feeds_of(ring)[OPUS.id])
    outlet.regroup(4, 0)
    ring.publish(6)
    assert groups(outlet) == [spelt(1, 4)]
    ring.end_n = 7
    assert not outlet.ended
    assert groups(outlet) == [spelt(5, 6)]
    assert outlet.ended and groups(outlet) == []


def test_hold_goes_out_in_groups_too() -> None:
    ring = FakeRing(GRID_NOW)
    outlet = Outlet(feeds_of(ring)[OPUS.id])
    outlet.regroup(2, 0)
    ring.publish(1)
    assert groups(outlet, GRID_NOW.start_ns(2)) == []
    late_ns = GRID_NOW.start_ns(3) + GRACE_NS
    assert outlet.next_deadline() <= late_ns
    assert groups(outlet, late_ns) == [spelt(1, 1) + b"<hold 2>"]


GRID_NOW = Grid(t0_wall_ns=0, t0_mono_ns=0, chunk_samples=24_000)


def test_after_a_leap_what_was_waiting_goes_out_alone(ring: FakeRing) -> None:
    outlet = Outlet(feeds_of(ring)[OPUS.id])
    outlet.regroup(4, 0)
    ring.publish(6)
    assert groups(outlet) == [spelt(1, 4)]
    ring.publish(100)
    first = 100 - SLOTS + 2
    found = groups(outlet)
    assert found[0] == spelt(5, 6)
    assert b"".join(found[1:]) == spelt(first, 100)
    assert outlet.n == 100


def test_the_splice_comes_with_its_chunk_and_goes_back(ring: FakeRing) -> None:
    feeds = feeds_of(ring)
    outlet, other = Outlet(feeds[OPUS.id]), Outlet(feeds[OPUS_LOW.id])
    outlet.turn_to(feeds[OPUS_LOW.id], 3)
    ring.publish(4)
    assert b"".join(groups(outlet)) == spelt(1, 2) + spelt(3, 4, OPUS_LOW.id)
    assert b"".join(groups(other)) == spelt(1, 4, OPUS_LOW.id)
    assert outlet.rendition == OPUS_LOW and feeds[OPUS.id].n == 4  # HLS still gets it
    outlet.turn_to(feeds[OPUS.id], 0)
    ring.publish(6)
    assert b"".join(groups(outlet)) == spelt(5, 6)
    assert [outlet.chunk(n) for n in range(1, 7)] == [
        *(spelt(n, n) for n in (1, 2)),
        *(spelt(n, n, OPUS_LOW.id) for n in (3, 4)),
        *(spelt(n, n) for n in (5, 6)),
    ]


def test_a_splice_that_is_taken_back_never_was(ring: FakeRing) -> None:
    feeds = feeds_of(ring)
    outlet = Outlet(feeds[OPUS.id])
    outlet.turn_to(feeds[OPUS_LOW.id], 5)
    outlet.turn_to(feeds[OPUS.id], 0)
    ring.publish(8)
    assert b"".join(groups(outlet)) == spelt(1, 8)


def test_a_lane_that_is_late_is_waited_for(ring: FakeRing) -> None:
    feeds = feeds_of(ring)
    outlet = Outlet(feeds[OPUS.id])
    outlet.turn_to(feeds[OPUS_LOW.id], 2)
    ring.publish(3, OPUS.id)
    assert groups(outlet) == [spelt(1, 1)]
    ring.publish(3, OPUS_LOW.id)
    assert b"".join(groups(outlet)) == spelt(2, 3, OPUS_LOW.id)


def test_another_ring_of_the_same_show_goes_on_in_the_middle_of_a_group(ring: FakeRing) -> None:
    feeds = feeds_of(ring)
    outlet = Outlet(feeds[OPUS.id])
    outlet.regroup(4, 0)
    ring.publish(6)
    assert groups(outlet) == [spelt(1, 4)]
    new = FakeRing()
    new.publish(8)
    outlet.follow({one.id: Feed(new, one, GRACE_NS, 0, feeds[one.id].n) for one in (OPUS, OPUS_LOW)})
    assert groups(outlet) == [spelt(5, 8)]


ORDERS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 6)),
        st.tuples(st.sampled_from(GROUPS), st.integers(-4, 12)),
        st.tuples(st.just("turn"), st.integers(-4, 12)),
        st.tuples(st.just("back"), st.just(0)),
    ),
    max_size=40,
)


@given(ORDERS)
def test_whatever_is_ordered_every_chunk_goes_out_once_in_order(orders: list[tuple[object, int]]) -> None:
    ring = FakeRing()
    feeds = feeds_of(ring)
    outlet, head, sent = Outlet(feeds[OPUS.id]), 0, b""
    for what, number in [*orders, (1, 0), ("publish", 1)]:
        if what == "publish":
            head += number
            ring.publish(head)
        elif what in ("turn", "back"):
            outlet.turn_to(feeds[OPUS_LOW.id if what == "turn" else OPUS.id], max(0, head + number))
        else:
            assert isinstance(what, int)
            outlet.regroup(what, max(0, head + number))
        for data in iter(lambda: outlet.tick(0), None):
            sent += data
            assert data.count(b"<") == outlet.step <= max(GROUPS)
            assert sent.endswith(outlet.chunk(outlet.n))
        assert head - outlet.n < max(GROUPS)
    numbers = [int(one.split(b" ")[1]) for one in sent.split(b">")[:-1]]
    assert numbers == list(range(1, head + 1))


def test_a_new_listener_of_groups_gets_a_group_more() -> None:
    assert burst_chunks(2, OPUS, GRID, 4.0, group=4) == 5
    assert burst_chunks(None, OPUS, GRID, 4.0, group=2) == 3
    assert burst_chunks(0, OPUS, GRID, 4.0) == 0
