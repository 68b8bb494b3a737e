"""Audio files as mono float32 at 48 kHz, whatever they hold: what a speaker without a microphone sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 48_000


class AudioFileError(ValueError):
    """A file that cannot be read as audio, and why."""


def read_blocks(path: Path) -> Iterator[Samples]:
    """Decode and resample a file, block by block. Raises `AudioFileError`."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise AudioFileError(f"{path}: no audio in it")
            resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)
            for frame in container.decode(container.streams.audio[0]):
                for block in resampler.resample(frame):
                    yield _samples(block)
            for block in resampler.resample(None):
                yield _samples(block)
    except (av.FFmpegError, OSError) as error:
        raise AudioFileError(f"{path}: {error.strerror or error}") from None


def _samples(block: av.AudioFrame) -> Samples:
    """The mean of the channels: the resampler's own downmix is 3 dB louder."""
    return np.mean(block.to_ndarray(), axis=0, dtype=np.float32)
