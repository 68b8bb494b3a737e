"""What a page's <audio> plays, and what the edge sends it, both read by the time code of clients/timecode.py.

`captureStream` copies each block of samples as the element hands it to its output, and stamps it `handed over - delay`,
where `delay` is how long the browser says that its output takes (Chromium; the sign is its own). The copy is read after
it was handed over, so the least of `read - stamp` is that delay, and a block is heard at `stamp + 2 * delay`.
"""

from __future__ import annotations

import base64
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from stentor.clients import timecode
from stentor.core.heard import Whole
from stentor.io.codec.decoder import Decoder
from stentor.model.grid import SAMPLE_RATE, Grid
from stentor.model.rendition import OPUS

# `bench()` takes what was played since the last call; the first begins it. Times are in ms since `origin`.
TAP = """
() => {
  const audio = document.getElementById("audio");
  const [track] = audio.captureStream().getAudioTracks();
  const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1000 }).readable.getReader();
  const blocks = [];
  let keeping = false;
  const touches = [];
  for (const event of ["seeking", "ratechange"]) audio.addEventListener(event, () => touches.push(performance.now()));
  (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const samples = new Float32Array(value.numberOfFrames);
      value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      const at = [value.timestamp / 1e3, performance.now(), value.numberOfFrames, value.sampleRate,
                  window.stentor.behind_ms];
      if (keeping) blocks.push({ at, samples });
      value.close();
    }
  })();
  window.bench = () => {
    keeping = true;
    const taken = blocks.splice(0);
    const bytes = taken.flatMap(({ samples }) => Array.from({ length: Math.ceil(samples.length / 2048) }, (_, k) =>
      String.fromCharCode(...new Uint8Array(samples.buffer, k * 8192, Math.min(8192, samples.byteLength - k * 8192)))));
    return { blocks: taken.map(({ at }) => at), samples: btoa(bytes.join("")), figures: window.stentor,
             touches: touches.splice(0), origin: performance.timeOrigin };
  };
}
"""
WINDOW_SAMPLES = 2 * SAMPLE_RATE  # decoded at a time, so that nothing waits long for it
EDGE_SAMPLES = 4 * timecode.BURST_SAMPLES  # a burst that begins so near to the end waits for the next window
BEHIND_STEP_MS = 200.0


class Heard(NamedTuple):
    """A burst: its code, and when it began, in milliseconds of the hearer's clock."""

    k: int
    at_ms: float


@dataclass(slots=True)
class Track:
    """Samples that come in blocks, each with its time; -> the bursts in them, in order."""

    _audio: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    _starts: list[int] = field(default_factory=list)  # of blocks, in `_audio`
    _times_ms: list[float] = field(default_factory=list)
    _done: int = 0  # bursts that begin before were given out

    def receive(self, at_ms: float, samples: np.ndarray) -> None:
        self._starts.append(len(self._audio))
        self._times_ms.append(at_ms)
        self._audio = np.concatenate((self._audio, samples))

    def bursts(self, *, final: bool = False) -> list[Heard]:
        """Those that are new, once a window is full."""
        if len(self._audio) < (EDGE_SAMPLES if final else WINDOW_SAMPLES):
            return []
        end = len(self._audio) - EDGE_SAMPLES
        found = [burst for burst in timecode.detect(self._audio) if self._done <= burst.at < end]
        heard = [Heard(burst.k, self._time_ms(burst.at)) for burst in found]
        self._forget(end - EDGE_SAMPLES, end)
        return heard

    def _time_ms(self, at: int) -> float:
        block = max(0, int(np.searchsorted(self._starts, at, "right")) - 1)
        return self._times_ms[block] + (at - self._starts[block]) * 1000 / SAMPLE_RATE

    def _forget(self, keep_from: int, done: int) -> None:
        first = max(0, int(np.searchsorted(self._starts, keep_from, "right")) - 1)
        cut = self._starts[first]
        self._audio, self._done = self._audio[cut:], done - cut
        self._starts = [start - cut for start in self._starts[first:]]
        self._times_ms = self._times_ms[first:]


@dataclass(slots=True)
class PageEar:
    """What `bench()` of the page gave; times in Unix milliseconds of the page's clock."""

    touches_ms: list[float] = field(default_factory=list)
    delay_ms: float = float("inf")
    bursts: list[Heard] = field(default_factory=list)  # at their stamps
    _behind: list[tuple[float, float]] = field(default_factory=list)  # from when on how far, in ms
    _track: Track = field(default_factory=Track)

    def receive(self, drained: dict[str, Any]) -> None:
        samples = np.frombuffer(base64.b64decode(drained["samples"]), np.float32)
        self.touches_ms += [drained["origin"] + touch_ms for touch_ms in drained["touches"]]
        at = 0
        for stamp_ms, read_ms, count, rate, behind_ms in drained["blocks"]:
            assert rate == SAMPLE_RATE, f"the page plays at {rate} Hz"
            self._note_behind(drained["origin"] + stamp_ms, behind_ms)
            self.delay_ms = min(self.delay_ms, read_ms - stamp_ms)
            self._track.receive(drained["origin"] + stamp_ms, samples[at : at + count])
            at += count
        self.bursts += self._track.bursts()

    def _note_behind(self, stamp_ms: float, behind_ms: float | None) -> None:
        if behind_ms is not None and (not self._behind or abs(behind_ms - self._behind[-1][1]) > BEHIND_STEP_MS):
            self._behind.append((stamp_ms, behind_ms))

    def behind_ms(self, at_ms: float) -> float:
        """About how far behind the show the page said that it was, when it played what was heard then."""
        index = bisect_right(self._behind, (at_ms - 2 * self.delay_ms, float("inf"))) - 1
        return self._behind[max(0, index)][1] if self._behind else 0.0

    def heard(self) -> list[Heard]:
        """Everything, as it left the output."""
        self.bursts += self._track.bursts(final=True)
        return [Heard(k, at_ms + 2 * self.delay_ms) for k, at_ms in self.bursts]


@dataclass(slots=True)
class WireEar:
    """What the edge sends: bursts at their place in the show, and how long after it was due each chunk was whole.

    Times are the stage's Unix time."""

    bursts: list[Heard] = field(default_factory=list)
    chunks: list[tuple[float, float]] = field(default_factory=list)  # (when it was whole in ms, how late)
    _decoder: Decoder = field(default_factory=lambda: Decoder(OPUS))
    _track: Track = field(default_factory=Track)

    def receive(self, whole: Whole, grid: Grid, now_ns: int) -> None:
        at_ms = grid.t0_wall_ns / 1e6 + grid.presented_at(OPUS, whole.n) * 1000 / SAMPLE_RATE
        self._track.receive(at_ms, self._decoder.decode(whole.data))
        self.bursts += self._track.bursts()
        if whole.late_ms is not None:  # not part of the burst
            self.chunks.append((now_ns / 1e6, (now_ns - grid.wall_ns(whole.n + 1)) / 1e6))

    def placed(self) -> list[Heard]:
        self.bursts += self._track.bursts(final=True)
        return self.bursts
