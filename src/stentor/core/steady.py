"""Audio that comes in bursts and by another clock, made into frames of 20 ms by ours.

An encoder sends its stream over TCP: in pieces of its own size (a page of Ogg may hold a second), late after a stall of
the network and then all at once, and some parts in a million faster or slower than our clock.

* Playing starts once `TARGET_S` has passed since the first sample and as much is there. So the *low water*, what is
  left before each burst, is near `TARGET_S` whatever the size of the bursts.
* Each `WATCH_S` the low water of that while is judged. Its distance from the target sets how fast samples are taken, at
  most `CORRECTION_MAX` off: nobody hears a thousandth, and clocks differ by a fifth of that at most.
* Far above the target within `SETTLE_S` of a start, as after a stall, is skipped at once. Later it is left to the
  correction: then somebody sends faster than time passes, and is held back (`full`).
* Starved, it fades out, is silent, and starts anew.
* After `end` nothing more comes, so nothing is waited for: what is there is played to its last sample.

Samples between samples are found by a windowed sinc of 16 taps (J. O. Smith, "Digital Audio Resampling"). `now` is in
seconds, of any monotonic clock; audio is mono float32 at 48 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 960
TARGET_S = 0.3
WATCH_S = 1.5  # longer than the burst of any encoder
SETTLE_S = 10.0
SLACK_S = 0.5  # so far above the target, samples are skipped
FULL_S = 2.5  # from here on, whoever sends is to wait
CAPACITY_S = 5.0
CORRECTION_MAX = 0.001
CORRECTION_PER_S = 0.01  # for each second that the low water is off
FADE_SAMPLES = 480  # at a start, and across a skip
TAPS = 16
PHASES = 512
_TARGET, _CAPACITY = int(TARGET_S * SAMPLE_RATE), int(CAPACITY_S * SAMPLE_RATE)
_FADE_IN: Samples = np.linspace(0.0, 1.0, FADE_SAMPLES, endpoint=False, dtype=np.float32)
_STEPS = np.arange(FRAME_SAMPLES)


def _sinc_table() -> Samples:
    """(PHASES, TAPS): the sample at `phase / PHASES` after the eighth of sixteen."""
    offsets = np.arange(TAPS) - (TAPS // 2 - 1) - np.arange(PHASES)[:, None] / PHASES
    window = np.i0(8.0 * np.sqrt(np.clip(1 - (offsets / (TAPS / 2)) ** 2, 0, 1))) / np.i0(8.0)
    table: Samples = (np.sinc(offsets) * window).astype(np.float32)
    table /= table.sum(axis=1, keepdims=True)
    return table


_SINC = _sinc_table()


@dataclass(slots=True)
class Counters:
    """Since the machine was made. `stops`: times it was starved; `silent`: frames of silence from a stop to a start."""

    received: int = 0  # samples
    skipped: int = 0  # samples
    stops: int = 0
    silent: int = 0


class Steady:
    """See the module."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._samples: Samples = np.zeros(0, np.float32)
        self._phase = 0.0  # where in `_samples` the next sample lies
        self._rate = 1.0
        self._playing = False
        self._first_at: float | None = None  # when what is gathered began to come
        self._started_at = self._judged_at = 0.0
        self._low = float("inf")
        self._fading_in = False
        self._ended = False

    @property
    def depth_samples(self) -> int:
        """What is there to be played."""
        return max(0, len(self._samples) - int(self._phase))

    @property
    def full(self) -> bool:
        """Whether whoever sends is to wait."""
        return self.depth_samples > FULL_S * SAMPLE_RATE

    @property
    def rate(self) -> float:
        """Samples taken for each one played."""
        return self._rate

    def receive(self, samples: Samples, now: float) -> None:
        """Audio as it comes; of more than `CAPACITY_S`, the oldest is dropped."""
        if self._first_at is None:
            self._first_at = now
        self.counters.received += len(samples)
        self._samples = np.concatenate((self._samples[int(self._phase) :], samples))
        self._phase %= 1.0
        if self.depth_samples > _CAPACITY:
            self._skip(self.depth_samples - _CAPACITY)

    def end(self) -> None:
        """No more comes: from here on, `pull` gives None only once all has been played."""
        self._ended = True

    def pull(self, now: float) -> Samples | None:
        """The next frame; None: silence."""
        if not self._playing and not self._start(now):
            self.counters.silent += bool(self.counters.stops)
            return None
        if self.depth_samples < FRAME_SAMPLES * self._rate + TAPS:
            return self._stop()
        self._judge(now)
        return self._faded(self._take())

    def _start(self, now: float) -> bool:
        if self._first_at is None or not (self._ended or self._gathered(now)):
            return False
        self._playing = self._fading_in = True
        self._started_at = self._judged_at = now
        self._low = float("inf")
        return True

    def _gathered(self, now: float) -> bool:
        assert self._first_at is not None
        return now - self._first_at >= TARGET_S and self.depth_samples >= _TARGET

    def _stop(self) -> Samples:
        """What is left, fading out."""
        rest = self._samples[int(self._phase) :][:FRAME_SAMPLES]
        frame = np.zeros(FRAME_SAMPLES, np.float32)
        frame[: len(rest)] = rest * np.linspace(1.0, 0.0, len(rest), dtype=np.float32)
        self._samples, self._phase = self._samples[:0], 0.0
        self._playing, self._first_at, self._rate = False, None, 1.0
        self.counters.stops += 1
        return frame

    def _judge(self, now: float) -> None:
        self._low = min(self._low, self.depth_samples)
        if now - self._judged_at < WATCH_S:
            return
        above = int(self._low) - _TARGET
        if above > SLACK_S * SAMPLE_RATE and now - self._started_at < SETTLE_S:
            self._skip(above)
            above = 0
        wanted = CORRECTION_PER_S * above / SAMPLE_RATE
        self._rate = 1.0 + min(CORRECTION_MAX, max(-CORRECTION_MAX, wanted))
        self._low, self._judged_at = float("inf"), now

    def _skip(self, count: int) -> None:
        """Leave out `count` samples; what was to come turns into what comes instead."""
        self.counters.skipped += count
        at = int(self._phase)
        before, after = self._samples[at : at + FADE_SAMPLES], self._samples[at + count :].copy()
        if self._playing and min(len(before), len(after)) >= FADE_SAMPLES:
            after[:FADE_SAMPLES] = before + (after[:FADE_SAMPLES] - before) * _FADE_IN
        self._samples = after
        self._phase %= 1.0

    def _take(self) -> Samples:
        """960 samples, each `_rate` after the one before."""
        at = self._phase + self._rate * _STEPS
        whole = at.astype(np.int64)
        phase = ((at - whole) * PHASES).astype(np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(self._samples, TAPS)
        frame: Samples = np.einsum("ij,ij->i", windows[whole], _SINC[phase])
        self._phase += self._rate * FRAME_SAMPLES
        return frame

    def _faded(self, frame: Samples) -> Samples:
        if self._fading_in:
            self._fading_in = False
            frame[:FADE_SAMPLES] *= _FADE_IN
        return frame
