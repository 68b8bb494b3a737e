"""Encoders of the renditions (PyAV: libopus, FFmpeg's AAC, LAME), and the hold made with them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from stentor.formats.chunks import Hold
from stentor.model.grid import SAMPLE_RATE
from stentor.model.rendition import RENDITIONS, Rendition

Samples = npt.NDArray[np.float32]

_ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "opus": ("libopus", "flt", {"application": "audio", "frame_duration": "20", "vbr": "constrained"}),
    "aac": ("aac", "fltp", {}),
    "mp3": ("libmp3lame", "fltp", {"reservoir": "0"}),  # frames that stand alone: a stream may begin at any of them
}


class Encoder:
    """One rendition's encoder. Input must begin at a sample of show time that is a multiple of `frame_samples`."""

    def __init__(self, rendition: Rendition) -> None:
        name, self._format, options = _ENCODERS[rendition.codec]
        context: Any = av.CodecContext.create(name, "w")
        context.sample_rate, context.layout, context.format = SAMPLE_RATE, "mono", self._format
        context.bit_rate, context.time_base = rendition.bitrate_bps, Fraction(1, SAMPLE_RATE)
        context.options = options
        context.open()
        self._context = context
        self._position = 0

    def encode(self, samples: Samples) -> Iterator[bytes]:
        """Feed mono float32 in [-1, 1], any number of samples; -> the frames that are ready."""
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format=self._format, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, self._position, Fraction(1, SAMPLE_RATE)
        self._position += len(samples)
        for packet in self._context.encode(frame):
            yield bytes(packet)


def make_hold(rendition: Rendition, tone: Samples) -> Hold:
    """Encode the loop `tone` (whole frames of `rendition`) so that it repeats: the frames of its second turn."""
    count, rest = divmod(len(tone), rendition.frame_samples)
    assert not rest
    encoder = Encoder(rendition)
    frames: list[bytes] = []
    while len(frames) < 2 * count:
        frames.extend(encoder.encode(tone))
    return Hold(rendition, tuple(frames[count : 2 * count]))


def make_holds(tone: Samples) -> dict[int, Hold]:
    """The hold of every rendition, by id."""
    return {rendition.id: make_hold(rendition, tone) for rendition in RENDITIONS}
