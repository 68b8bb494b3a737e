"""Time-coded audio: a signal from which a listener reads when it was spoken.

Every 200 ms of Unix time a tone burst of 30 ms begins; the k-th such instant sounds at 800 + 150 * (k mod 32) Hz. Who
hears a burst knows when it began to within 6.4 s, so lateness = time heard - time spoken, for any codec and player.
All audio is mono float32 at 48 kHz; times are Unix nanoseconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 48_000
PERIOD_NS = 200_000_000
PERIOD_SAMPLES = SAMPLE_RATE // 5
BURST_SAMPLES = 1440
CODES = 32
AMPLITUDE = 0.5
_BASE_HZ, _STEP_HZ = 800, 150
_EDGE_SAMPLES = 96  # raised cosine, so that a burst does not spread over the spectrum
_ENVELOPE_SAMPLES = 48
_FFT_SAMPLES = 8192
_THRESHOLD = 0.3  # of the usual burst's envelope
_FLOOR = 0.01


class Burst(NamedTuple):
    """A burst heard: where it begins, and its code k."""

    at: int
    k: int


def code_hz(k: int) -> int:
    return _BASE_HZ + _STEP_HZ * (k % CODES)


def signal(start_ns: int, count: int) -> Samples:
    """`count` samples of the signal as spoken from `start_ns` on."""
    out = np.zeros(count, np.float32)
    first = start_ns // PERIOD_NS
    last = (start_ns + count * 1_000_000_000 // SAMPLE_RATE) // PERIOD_NS
    for k in range(first, last + 1):
        at = round((k * PERIOD_NS - start_ns) * SAMPLE_RATE / 1_000_000_000)
        begin, end = max(0, at), min(count, at + BURST_SAMPLES)
        if begin < end:
            out[begin:end] = _burst(k)[begin - at : end - at]
    return out


def _burst(k: int) -> Samples:
    index = np.arange(BURST_SAMPLES)
    edge = np.minimum(1.0, np.minimum(index, BURST_SAMPLES - 1 - index) / _EDGE_SAMPLES)
    tone = np.sin(2 * np.pi * code_hz(k) * index / SAMPLE_RATE) * (0.5 - 0.5 * np.cos(np.pi * edge))
    return (AMPLITUDE * tone).astype(np.float32)


def detect(audio: Samples) -> list[Burst]:
    """The whole bursts in `audio`, in order; anything that is not 20 to 45 ms long is passed over."""
    envelope = _envelope(audio)
    usual = _usual_peak(envelope)
    if usual < _FLOOR:
        return []
    loud = np.concatenate(([False], envelope > _THRESHOLD * usual, [False]))
    edges = np.flatnonzero(np.diff(loud.astype(np.int8)))
    bursts = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if 960 <= end - begin <= 2160:
            middle = int(begin + end) // 2
            bursts.append(Burst(middle - BURST_SAMPLES // 2, _code(audio[middle - 480 : middle + 480])))
    return bursts


def _envelope(audio: Samples) -> Samples:
    """RMS over 1 ms, centred."""
    power = np.convolve(audio.astype(np.float64) ** 2, np.full(_ENVELOPE_SAMPLES, 1 / _ENVELOPE_SAMPLES), "same")
    return np.sqrt(np.maximum(power, 0.0)).astype(np.float32)


def _usual_peak(envelope: Samples) -> float:
    """The median of the loud periods' peaks: now and then a codec makes one burst twice as loud as the others."""
    peaks = np.array([envelope[at : at + PERIOD_SAMPLES].max() for at in range(0, len(envelope), PERIOD_SAMPLES)])
    return float(np.median(peaks[peaks > 0.2 * peaks.max()])) if peaks.any() else 0.0


def _code(tone: Samples) -> int:
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), _FFT_SAMPLES))
    hz = int(np.argmax(spectrum)) * SAMPLE_RATE / _FFT_SAMPLES
    return round((hz - _BASE_HZ) / _STEP_HZ) % CODES


def spoken_ns(k: int, heard_ns: int) -> int:
    """When the burst with code `k` that was heard at `heard_ns` began to be spoken: within the 6.4 s before."""
    newest = heard_ns // PERIOD_NS
    return (newest - (newest - k) % CODES) * PERIOD_NS


def spoken_near_ns(k: int, about_ns: int) -> int:
    """When the burst with code `k` began to be spoken, if that is known to be within 3.2 s of `about_ns`."""
    nearest = (about_ns + PERIOD_NS // 2) // PERIOD_NS
    return (nearest + (k - nearest + CODES // 2) % CODES - CODES // 2) * PERIOD_NS


def lateness_ms(k: int, heard_ns: int) -> float:
    """From spoken to heard."""
    return (heard_ns - spoken_ns(k, heard_ns)) / 1_000_000
