"""Decoders of the renditions (PyAV), for whoever wants to know what the bytes sound like."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt

from stentor.formats import chunks
from stentor.formats.fmp4 import AUDIO_SPECIFIC_CONFIG
from stentor.model.grid import SAMPLE_RATE
from stentor.model.rendition import Rendition

Samples = npt.NDArray[np.float32]

_DECODERS = {"opus": "libopus", "aac": "aac", "mp3": "mp3float"}


class Decoder:
    """One rendition's decoder: chunks in, mono float32 at 48 kHz out. The encoder's delay is left in."""

    def __init__(self, rendition: Rendition) -> None:
        self._rendition = rendition
        context: Any = av.CodecContext.create(_DECODERS[rendition.codec], "r")
        context.sample_rate, context.layout = SAMPLE_RATE, "mono"
        if rendition.codec == "aac":
            context.extradata = AUDIO_SPECIFIC_CONFIG
        self._context = context
        self._to_float = av.AudioResampler("flt", "mono", SAMPLE_RATE)

    def decode(self, data: bytes) -> Samples:
        """All samples of one chunk. Raises `ValueError` if it is not one, or does not decode."""
        frames: list[Any] = []
        try:
            for packet in chunks.frames_of(self._rendition, data):
                for frame in self._context.decode(av.Packet(packet)):
                    frame.pts = None
                    frames += self._to_float.resample(frame)
        except av.FFmpegError as error:
            raise ValueError(f"{self._rendition.name} does not decode: {error}") from None
        return np.concatenate([np.zeros(0, np.float32), *(frame.to_ndarray().reshape(-1) for frame in frames)])
