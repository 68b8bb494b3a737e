import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.core.steady import (
    CAPACITY_S,
    CORRECTION_MAX,
    FRAME_SAMPLES,
    FULL_S,
    SLACK_S,
    TARGET_S,
    WATCH_S,
    Steady,
)

RATE, TICK_S = 48_000, 0.02
HZ = 1000.0


def tone(first: int, count: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * HZ * (first + np.arange(count)) / RATE)).astype(np.float32)


class Encoder:
    """Sends a tone in pieces, by a clock that is `ppm` fast."""

    def __init__(self, piece: int = FRAME_SAMPLES, ppm: float = 0.0) -> None:
        self._piece, self._speed = piece, RATE * (1 + ppm * 1e-6)
        self.sent = 0

    def due(self, now: float) -> np.ndarray:
        """What it has sent by `now` and not before."""
        whole = int(now * self._speed) // self._piece * self._piece
        piece = tone(self.sent, max(0, whole - self.sent))
        self.sent = max(self.sent, whole)
        return piece


class Silent(Steady):
    """The same clockwork without the sound, so that an hour takes seconds."""

    def _take(self) -> np.ndarray:
        self._phase += self._rate * FRAME_SAMPLES
        return np.zeros(FRAME_SAMPLES, np.float32)


class Zeros(Encoder):
    def due(self, now: float) -> np.ndarray:
        whole = int(now * self._speed) // self._piece * self._piece
        count, self.sent = max(0, whole - self.sent), max(self.sent, whole)
        return np.zeros(count, np.float32)


def run(steady: Steady, encoder: Encoder, seconds: float, start: float = 0.0, *, sending=lambda now: True) -> list:
    frames = []
    for tick in range(round(start / TICK_S), round((start + seconds) / TICK_S)):
        now = tick * TICK_S
        if sending(now) and len(samples := encoder.due(now)):
            steady.receive(samples, now)
        frames.append(steady.pull(now))
    return frames


def depth_s(steady: Steady) -> float:
    return steady.depth_samples / RATE


@pytest.mark.parametrize("piece", [480, 960, 4608, RATE // 2, RATE])
def test_pieces_of_any_size_play_without_a_stop_from_the_target_on(piece):
    steady = Silent()
    frames = run(steady, Zeros(piece), 30)
    first = next(index for index, frame in enumerate(frames) if frame is not None)
    assert TARGET_S <= first * TICK_S - piece / RATE <= TARGET_S + 0.2
    assert all(frame is not None for frame in frames[first:])
    assert steady.counters.stops == steady.counters.skipped == 0


@pytest.mark.parametrize("ppm", [-200, 200])
def test_an_hour_of_another_clock_neither_starves_nor_grows(ppm):
    steady, encoder, depths = Silent(), Zeros(2400, ppm), []
    for minute in range(60):
        run(steady, encoder, 60, minute * 60)
        depths.append(depth_s(steady))
    assert steady.counters.stops == steady.counters.skipped == 0
    assert max(depths) < TARGET_S + 0.15 and min(depths) > TARGET_S - 0.15
    assert abs(steady.rate - 1 - ppm * 1e-6) < 50e-6


def test_a_corrected_tone_stays_a_pure_tone():
    steady = Steady()
    heard = np.concatenate([frame for frame in run(steady, Encoder(960, 200), 60) if frame is not None])[-RATE:]
    assert steady.rate != 1.0
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    near = slice(int(HZ) - 8, int(HZ) + 9)
    assert spectrum[near].sum() / (spectrum.sum() - spectrum[near].sum()) > 1e6  # 60 dB
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.01)


def test_after_a_stall_it_comes_back_at_the_target():
    steady, encoder = Steady(), Encoder()
    run(steady, encoder, 5)
    stalled = run(steady, encoder, 4, 5, sending=lambda now: False)
    assert steady.counters.stops == 1 and stalled[-1] is None
    after = run(steady, encoder, 5, 9)  # all of the stall comes at once
    assert after[-1] is not None and steady.counters.stops == 1
    assert steady.counters.skipped > 3 * RATE
    assert depth_s(steady) < TARGET_S + SLACK_S


def test_its_end_fades_out_and_a_start_fades_in():
    steady, encoder = Steady(), Encoder()
    frames = run(steady, encoder, 1) + run(steady, encoder, 1, 1, sending=lambda now: False)
    heard = [frame for frame in frames if frame is not None]
    assert abs(heard[0][0]) == 0 and np.abs(heard[0][:20]).max() < 0.05
    assert np.abs(heard[-1][-20:]).max() < 0.05


def test_who_sends_faster_than_time_is_held_back_and_not_skipped_for_ever():
    steady, sent = Steady(), 0
    skipped = []
    for tick in range(3000):
        while not steady.full:
            steady.receive(tone(sent, 1152), tick * TICK_S)
            sent += 1152
        steady.pull(tick * TICK_S)
        skipped.append(steady.counters.skipped)
    assert skipped[-1] == skipped[1000] and steady.counters.stops == 0
    assert depth_s(steady) < FULL_S + 0.1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8 * RATE), st.integers(0, 100)), max_size=8),
    st.floats(0, 1e6),
)
def test_whatever_comes_is_bounded_and_every_frame_is_whole(arrivals, start):
    steady, now = Steady(), start
    for count, ticks in arrivals:
        steady.receive(np.ones(count, np.float32), now)
        for _ in range(ticks):
            now += TICK_S
            frame = steady.pull(now)
            assert frame is None or (frame.shape == (FRAME_SAMPLES,) and frame.dtype == np.float32)
            assert frame is None or np.abs(frame).max() <= 1.01
            assert abs(steady.rate - 1) <= CORRECTION_MAX + 1e-9
        assert depth_s(steady) <= CAPACITY_S
    counters = steady.counters
    assert counters.received == sum(count for count, _ in arrivals) and counters.skipped <= counters.received


def test_limits_stand_in_relation():
    assert TARGET_S + SLACK_S < FULL_S < CAPACITY_S and WATCH_S > 1.0


def drained(steady: Steady, now: float) -> list:
    """Frames until there is none."""
    frames = []
    while (frame := steady.pull(now)) is not None:
        frames.append(frame)
    return frames


@pytest.mark.parametrize("seconds", [0.01, 0.1, 2.0])
def test_a_stream_that_has_ended_is_played_to_its_last_sample(seconds):
    steady, count = Steady(), round(seconds * RATE)
    steady.receive(tone(0, count), 0.0)
    assert steady.pull(0.0) is None  # gathering: more may come
    steady.end()
    frames = drained(steady, 0.0)
    assert len(frames) == pytest.approx(count / FRAME_SAMPLES, abs=1)
    assert np.abs(np.concatenate(frames)).max() > 0.2
    assert steady.pull(60.0) is None


def test_a_stream_that_ends_without_audio_is_over():
    steady = Steady()
    steady.end()
    assert steady.pull(0.0) is None
