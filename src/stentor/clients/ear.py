"""What a stream sounds like: its level, second by second, and how late a time-coded voice comes out of it."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from stentor.clients import timecode
from stentor.core.heard import Whole
from stentor.io.codec.decoder import Decoder, Samples
from stentor.model.grid import SAMPLE_RATE
from stentor.model.rendition import Rendition

SILENCE_DBFS = -120.0
SECONDS_KEPT = 3_600
BURSTS_KEPT = 5 * SECONDS_KEPT
_TAIL_SAMPLES = 2 * timecode.BURST_SAMPLES  # a burst may begin in one chunk and end in the next
_MARGIN_SAMPLES = 480


def dbfs(samples: Samples) -> float:
    """RMS level; `SILENCE_DBFS` at least."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(SILENCE_DBFS, 10 * math.log10(power)) if power else SILENCE_DBFS


class Ear:
    """Decodes chunks in their order. `level_dbfs` is that of the last whole second."""

    def __init__(self, rendition: Rendition, *, timecoded: bool = False) -> None:
        self._decoder = Decoder(rendition)
        self._timecoded = timecoded
        self._second: Samples = np.zeros(0, np.float32)
        self._tail: Samples = np.zeros(0, np.float32)
        self._dbfs: deque[float] = deque(maxlen=SECONDS_KEPT)
        self._late_ms: deque[float] = deque(maxlen=BURSTS_KEPT)
        self.undecodable = 0

    def receive(self, whole: Whole) -> None:
        try:
            samples = self._decoder.decode(whole.data)
        except ValueError:
            self.undecodable += 1
            return
        self._measure(samples)
        if self._timecoded:
            self._find_bursts(samples, whole)

    def _measure(self, samples: Samples) -> None:
        self._second = np.concatenate([self._second, samples])
        while len(self._second) >= SAMPLE_RATE:
            self._dbfs.append(dbfs(self._second[:SAMPLE_RATE]))
            self._second = self._second[SAMPLE_RATE:]

    def _find_bursts(self, samples: Samples, whole: Whole) -> None:
        """A player without any buffer would sound sample p of a chunk p samples after the chunk was whole."""
        audio, before = np.concatenate([self._tail, samples]), len(self._tail)
        self._tail = audio[-_TAIL_SAMPLES:]
        for at, k in timecode.detect(audio):
            end = at + timecode.BURST_SAMPLES + _MARGIN_SAMPLES
            if whole.late_ms is not None and before < end <= len(audio):
                sounds_s = whole.came_s + (at - before) / SAMPLE_RATE
                self._late_ms.append(timecode.lateness_ms(k, round(sounds_s * 1e9)))

    @property
    def level_dbfs(self) -> float | None:
        return self._dbfs[-1] if self._dbfs else None

    def report(self) -> dict[str, Any]:
        """`dbfs`: each second of what was heard, at most the last hour. `voice_late_ms`: from spoken to sounding in a
        player without a buffer, p50 and max over `bursts`."""
        found: dict[str, Any] = {"dbfs": [round(level, 1) for level in self._dbfs], "undecodable": self.undecodable}
        if self._timecoded:
            late = sorted(self._late_ms)
            found["bursts"] = len(late)
            found["voice_late_ms"] = {"p50": round(late[len(late) // 2]), "max": round(late[-1])} if late else None
        return found
