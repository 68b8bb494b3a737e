import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.core.jitter import (
    CAPACITY_SAMPLES,
    STARVED_MAX,
    Conceal,
    Fec,
    JitterBuffer,
    Merge,
    Play,
)

TICK = 0.02
TOC_20 = 31 << 3  # CELT, 20 ms
TOC_10, TOC_60 = 30 << 3, 3 << 3


def payload(sequence: int, toc: int = TOC_20) -> bytes:
    return bytes([toc]) + sequence.to_bytes(4)


def number(data: bytes) -> int:
    return int.from_bytes(data[1:5])


def feed(buffer: JitterBuffer, sequence: int, now: float, toc: int = TOC_20, samples: int = 960) -> None:
    buffer.receive(sequence & 0xFFFF, sequence * samples & 0xFFFFFFFF, payload(sequence, toc), now)


def played(decisions) -> list[int]:
    numbers = []
    for decision in decisions:
        if isinstance(decision, Play):
            numbers.append(number(decision.payload))
        elif isinstance(decision, Merge):
            numbers += [number(decision.first), number(decision.second)]
    return numbers


def run(buffer: JitterBuffer, arrivals: list[tuple[float, int]], seconds: float) -> list:
    """Arrivals by time, with a pull every 20 ms."""
    waiting = sorted(arrivals)
    decisions = []
    for tick in range(int(seconds / TICK)):
        now = tick * TICK
        while waiting and waiting[0][0] <= now:
            at, sequence = waiting.pop(0)
            feed(buffer, sequence, at)
        decisions.append(buffer.pull(now))
    return decisions


def playing(count: int) -> JitterBuffer:
    """A buffer that was given packets 0 to `count` - 1 and has played the first."""
    buffer = JitterBuffer()
    for sequence in range(count):
        feed(buffer, sequence, 0.0)
    assert buffer.pull(0.0) == Play(payload(0))
    return buffer


def steady(first: int, count: int, start: float = 0.0, phase: float = 0.005) -> list[tuple[float, int]]:
    return [(start + index * TICK + phase, first + index) for index in range(count)]


def test_playing_starts_with_three_frames():
    buffer = JitterBuffer()
    for sequence in range(2):
        feed(buffer, sequence, 0.0)
        assert buffer.pull(0.0) is None
    feed(buffer, 2, 0.0)
    assert buffer.pull(0.0) == Play(payload(0))


def test_numbers_wrap():
    decisions = run(JitterBuffer(), steady(65_500, 100), 2.2)
    assert played(decisions)[:90] == list(range(65_500, 65_590))


def test_a_lost_packet_is_made_from_its_successor():
    arrivals = [arrival for arrival in steady(0, 50) if arrival[1] != 20]
    buffer = JitterBuffer()
    decisions = run(buffer, arrivals, 1.0)
    assert Fec(payload(21), 960) in decisions
    assert decisions[decisions.index(Fec(payload(21), 960)) + 1] == Play(payload(21))
    assert (buffer.counters.lost, buffer.counters.fec, buffer.counters.plc) == (1, 1, 0)


def test_of_two_lost_packets_the_first_is_concealed():
    buffer = playing(3)
    feed(buffer, 5, 0.0)
    decisions = [buffer.pull(0.0) for _ in range(5)]
    assert decisions[2:] == [Conceal(960), Fec(payload(5), 960), Play(payload(5))]


def test_overtaken_packets_are_played_in_order():
    buffer = JitterBuffer()
    for sequence in (1, 0, 3, 2, 4):
        feed(buffer, sequence, 0.0)
    assert played(buffer.pull(0.0) for _ in range(3)) == [2, 3, 4]  # started at the newest three


def test_a_starved_buffer_conceals_and_plays_what_comes_late():
    buffer = playing(3)
    for _ in range(2):
        buffer.pull(0.0)
    assert [buffer.pull(0.1) for _ in range(2)] == [Conceal(960)] * 2
    feed(buffer, 3, 0.15)
    assert buffer.pull(0.16) == Play(payload(3))
    assert buffer.counters.lost == 0


def test_what_was_concealed_while_starved_is_not_concealed_again():
    buffer = playing(3)
    for _ in range(4):
        buffer.pull(0.0)  # two frames concealed
    feed(buffer, 5, 0.1)  # 3 and 4 were lost
    assert buffer.pull(0.1) == Play(payload(5))
    assert buffer.counters.lost == 2


def test_after_ten_frames_without_a_packet_it_falls_silent_and_gathers_anew():
    buffer = playing(3)
    decisions = [buffer.pull(0.0) for _ in range(2 + STARVED_MAX + 2)]
    assert decisions[2:] == [Conceal(960)] * STARVED_MAX + [None, None]
    feed(buffer, 3, 1.0)
    assert buffer.pull(1.0) is None
    feed(buffer, 4, 1.0)
    feed(buffer, 5, 1.0)
    assert buffer.pull(1.0) == Play(payload(3))


def test_a_clock_that_runs_fast_is_followed_by_merging():
    """40 s at +2000 ppm bring four frames too many."""
    buffer = JitterBuffer()
    arrivals = [(index * TICK * 0.998, index) for index in range(2000)]
    decisions = run(buffer, arrivals, 39.9)
    assert sum(isinstance(decision, Merge) for decision in decisions) >= 4
    assert buffer.counters.lost == buffer.counters.plc == 0
    assert buffer.depth_samples <= 4 * 960


def test_a_clock_that_runs_slow_is_followed_by_concealing():
    buffer = JitterBuffer()
    arrivals = [(index * TICK * 1.002, index) for index in range(2000)]
    run(buffer, arrivals, 39.9)
    assert buffer.counters.lost == 0
    assert 1 <= buffer.counters.plc <= 8


def test_without_jitter_the_delay_shrinks_below_forty_milliseconds():
    buffer = JitterBuffer()
    run(buffer, steady(0, 500), 10.0)
    assert buffer.depth_samples <= 2 * 960
    assert buffer.counters.plc == buffer.counters.lost == 0


def test_jitter_makes_the_buffer_deeper_and_the_gaps_rare():
    rng = random.Random(1)
    buffer = JitterBuffer()
    arrivals = [(index * TICK + rng.uniform(0, 0.08), index) for index in range(3000)]
    decisions = run(buffer, arrivals, 60.0)
    later = decisions[1500:]
    made_up = sum(isinstance(decision, Conceal | Fec) for decision in later)
    assert made_up <= len(later) * 0.02
    assert buffer.jitter_s > 0.01


def test_a_late_packet_stretches_the_delay_once():
    buffer = playing(3)
    for sequence in (4, 5, 6):
        feed(buffer, sequence, 0.0)
    for _ in range(3):
        buffer.pull(5.0)
    feed(buffer, 3, 5.0)
    assert [buffer.pull(5.0), buffer.pull(5.0)] == [Conceal(960), Play(payload(4))]
    assert buffer.counters.late == 1


def test_a_jump_is_believed_when_it_is_confirmed():
    buffer = playing(3)
    feed(buffer, 30_000, 0.0)
    assert buffer.counters.garbage == 1
    assert buffer.pull(0.0) == Play(payload(1))
    for sequence in range(30_001, 30_004):
        feed(buffer, sequence, 0.0)
    assert buffer.pull(0.0) == Play(payload(30_001))
    assert buffer.counters.restarts == 1


def test_a_source_that_starts_anew_is_heard():
    buffer = JitterBuffer()
    run(buffer, steady(100, 50), 1.0)
    decisions = run(buffer, [(at, sequence) for at, sequence in steady(40_000, 50)], 1.0)
    assert buffer.counters.restarts == 1
    assert played(decisions)[-1] >= 40_040


def test_duplicates_are_counted_and_dropped():
    buffer = JitterBuffer()
    for _ in range(3):
        for sequence in range(5):
            feed(buffer, sequence, 0.0)
    assert played(buffer.pull(0.0) for _ in range(3)) == [2, 3, 4]
    feed(buffer, 2, 0.0)
    assert (buffer.counters.duplicates, buffer.counters.late) == (11, 0)


@pytest.mark.parametrize(("toc", "samples", "to_start"), [(TOC_10, 480, 6), (TOC_60, 2880, 2)])
def test_packets_of_other_lengths(toc, samples, to_start):
    buffer = JitterBuffer()
    for sequence in range(to_start):
        assert buffer.pull(0.0) is None
        feed(buffer, sequence, 0.0, toc, samples)
    assert buffer.pull(0.0) == Play(payload(0, toc))
    buffer.receive(to_start + 1, 0, payload(to_start + 1, toc), 0.0)
    assert [buffer.pull(0.0) for _ in range(to_start)][-1] == Fec(payload(to_start + 1, toc), samples)


def test_receiver_report_counts_from_the_last_one():
    buffer = JitterBuffer()
    for sequence in range(100):
        if sequence % 4:
            feed(buffer, sequence, 0.0)
    first = buffer.reception()
    assert (first.fraction_lost, first.lost) == ((24 << 8) // 99, 24)
    for sequence in range(100, 150):
        feed(buffer, sequence, 0.0)
    assert buffer.reception()[:2] == (0, 24)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("packet"), st.integers(-30, 30), st.sampled_from([TOC_10, TOC_20, TOC_60])),
        st.tuples(st.just("jump"), st.integers(0, 0xFFFF), st.just(TOC_20)),
        st.tuples(st.just("garbage"), st.integers(0, 0xFFFF), st.just(0)),
        st.tuples(st.just("pull"), st.integers(0, 60), st.just(0)),
    ),
    max_size=300,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.integers(0, 0xFFFF))
def test_any_input_is_survived_and_played_once_and_in_order(events, start):
    """Payloads carry the extended number as sent; a confirmed jump begins a new epoch."""
    buffer = JitterBuffer()
    position, now = start + (1 << 20), 0.0
    restarts, last = 0, -1
    for kind, value, toc in events:
        if kind == "pull":
            now += value / 1000
            for sent in played([buffer.pull(now)]):
                if buffer.counters.restarts == restarts:
                    assert sent > last
                restarts, last = buffer.counters.restarts, sent
        elif kind == "garbage":
            buffer.receive(value, value, b"", now)
        else:
            position = position + value if kind == "packet" else (position & ~0xFFFF) + value
            feed(buffer, position, now, toc)
        assert len(buffer._queue) <= CAPACITY_SAMPLES // 120
    fraction, lost, highest, jitter = buffer.reception()
    assert 0 <= fraction <= 255 and highest >= 0 and jitter >= 0 and isinstance(lost, int)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.3), st.floats(0, 0.06))
def test_loss_and_jitter_never_lengthen_the_delay_without_end(seed, loss, jitter):
    rng = random.Random(seed)
    buffer = JitterBuffer()
    arrivals = [(i * TICK + rng.uniform(0, jitter), i) for i in range(1500) if rng.random() >= loss]
    decisions = run(buffer, arrivals, 30.0)
    assert buffer.depth_samples <= 15 * 960
    numbers = played(decisions)
    assert all(a < b for a, b in itertools.pairwise(numbers))
    assert len(numbers) >= 0.9 * len(arrivals)
