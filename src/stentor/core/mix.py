"""The mixer: every speaker's frame in; out come the program, the program without each speaker, and peak levels.

A tick is 20 ms, 960 samples of mono float32 at 48 kHz. The program is the sum of those on air. A speaker on air hears
the program without themselves, one backstage the whole program; backstage voices are in neither. A voice that comes on
air or leaves it is faded over one tick. Program and feeds pass a limiter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]  # (960,) unless said otherwise

FRAME_SAMPLES = 960
SILENCE_DBFS = -120.0
CEILING = 0.89  # -1 dBFS: what the limiter lets through
SPANS = 20  # the limiter looks at so many parts of a frame, 1 ms each
RELEASE_S = 0.2
_SPAN = FRAME_SAMPLES // SPANS
_RELEASE = 1.0 - math.exp(-FRAME_SAMPLES / 48_000 / SPANS / RELEASE_S)
_RAMP: Samples = np.linspace(0.0, 1.0, FRAME_SAMPLES, endpoint=False, dtype=np.float32)
_SPAN_RAMP: Samples = np.linspace(0.0, 1.0, _SPAN, endpoint=False, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Mix:
    """One tick. `feeds` is what each speaker hears."""

    program: Samples
    feeds: dict[str, Samples]


def dbfs(peak: float) -> float:
    """A peak amplitude as dBFS, at least -120."""
    return max(SILENCE_DBFS, 20 * math.log10(peak)) if peak > 0 else SILENCE_DBFS


class Limiter:
    """Keeps rows of audio below `CEILING` with a gain that falls within a millisecond and recovers over `RELEASE_S`.

    It has no delay: the gain runs straight from one end of a span to the other and is never above what both
    neighbouring spans need, so only the first span of a frame can be caught late; that millisecond is clipped softly.
    """

    def __init__(self) -> None:
        self.gain: Samples = np.ones(0, np.float32)  # (rows,) at the end of the last frame

    def apply(self, rows: Samples) -> Samples:
        """(rows, 960) -> the same shape, in place. Rows keep their gains while their number stays the same."""
        if len(self.gain) != len(rows):
            self.gain = np.ones(len(rows), np.float32)
        if self.gain.min(initial=1.0) >= 1.0 and np.abs(rows).max(initial=0.0) <= CEILING:
            return rows
        curve, self.gain = self._curve(rows)
        rows *= curve
        over = np.abs(rows) > CEILING
        if over.any():
            rows[over] = _soft_clip(rows[over])
        return rows

    def _curve(self, rows: Samples) -> tuple[Samples, Samples]:
        """Gain of every sample, and the gain at the frame's end."""
        peaks = np.abs(rows.reshape(len(rows), SPANS, _SPAN)).max(axis=2)
        needed = np.minimum(1.0, CEILING / np.maximum(peaks, CEILING)).astype(np.float32)
        ahead = np.minimum(needed, np.concatenate((needed[:, 1:], needed[:, -1:]), axis=1))
        knots = np.empty((len(rows), SPANS + 1), np.float32)
        knots[:, 0] = gain = self.gain
        for span in range(SPANS):
            gain = np.minimum(ahead[:, span], gain + (1.0 - gain) * _RELEASE)
            gain[gain > 0.9999] = 1.0
            knots[:, span + 1] = gain
        curve = knots[:, :-1, None] + np.diff(knots, axis=1)[:, :, None] * _SPAN_RAMP
        return curve.reshape(rows.shape), gain


def _soft_clip(samples: Samples) -> Samples:
    room = 1.0 - CEILING
    clipped = np.sign(samples) * (CEILING + room * np.tanh((np.abs(samples) - CEILING) / room))
    return clipped.astype(np.float32)


class Mixer:
    """Mixes the speakers that were added, in the order of their keys' arrival."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._wanted: Samples = np.zeros(0, np.float32)
        self._gains: Samples = np.zeros(0, np.float32)
        self._peaks: Samples = np.zeros(0, np.float32)
        self._voices: Samples = np.zeros((0, FRAME_SAMPLES), np.float32)
        self._program_peak = 0.0
        self._limiter = Limiter()

    def add(self, key: str) -> None:
        """A speaker joins, backstage. Raises `ValueError` if the key is taken."""
        if key in self._keys:
            raise ValueError(f"{key} is in the mix already")
        self._keys.append(key)
        self._wanted, self._gains, self._peaks = (np.append(a, np.float32(0)) for a in self._columns())
        self._voices = np.zeros((len(self._keys), FRAME_SAMPLES), np.float32)

    def remove(self, key: str) -> None:
        """A speaker leaves. Raises `ValueError` for a key that is not in the mix."""
        index = self._keys.index(key)
        del self._keys[index]
        self._wanted, self._gains, self._peaks = (np.delete(a, index) for a in self._columns())
        self._voices = np.zeros((len(self._keys), FRAME_SAMPLES), np.float32)

    def _columns(self) -> tuple[Samples, Samples, Samples]:
        return self._wanted, self._gains, self._peaks

    def set_on_air(self, key: str, on_air: bool) -> None:
        """Whether the voice is in the program, from the next tick on, faded over it."""
        self._wanted[self._keys.index(key)] = on_air

    def silent(self, key: str) -> bool:
        """Whether the voice has left the program and its fade is over."""
        return not self._gains[self._keys.index(key)]

    def mix(self, frames: Mapping[str, Samples | None]) -> Mix:
        """Mix one tick; a speaker without a frame is silent. Frames of keys that are not in the mix are ignored."""
        voices = self._gather(frames)
        np.maximum(self._peaks, np.abs(voices).max(axis=1, initial=0.0), out=self._peaks)
        self._fade(voices)
        outputs = np.empty((len(self._keys) + 1, FRAME_SAMPLES), np.float32)
        np.sum(voices, axis=0, out=outputs[0])
        np.subtract(outputs[0], voices, out=outputs[1:])
        self._limiter.apply(outputs)
        self._program_peak = max(self._program_peak, float(np.abs(outputs[0]).max()))
        return Mix(outputs[0], dict(zip(self._keys, outputs[1:], strict=True)))

    def _gather(self, frames: Mapping[str, Samples | None]) -> Samples:
        for row, key in zip(self._voices, self._keys, strict=True):
            frame = frames.get(key)
            row[:] = 0.0 if frame is None else frame
        return self._voices

    def _fade(self, voices: Samples) -> None:
        changing = np.flatnonzero(self._gains != self._wanted)
        if changing.size:
            steps = (self._wanted - self._gains)[changing, None]
            voices[changing] *= self._gains[changing, None] + steps * _RAMP
        steady = (self._gains == 0) & (self._wanted == 0)
        voices[steady] = 0.0
        self._gains = self._wanted.copy()

    def take_levels(self) -> dict[str, float]:
        """Peaks since the last call in dBFS, by key, before any fade, and `program`'s after the limiter."""
        levels = {key: dbfs(float(peak)) for key, peak in zip(self._keys, self._peaks, strict=True)}
        levels["program"] = dbfs(self._program_peak)
        self._peaks[:] = 0.0
        self._program_peak = 0.0
        return levels
