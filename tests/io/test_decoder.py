"""Decoders: what went into the encoder comes out, chunk by chunk."""

import numpy as np
import pytest

from stentor.core.chunker import Chunker
from stentor.io.codec import Encoder
from stentor.io.codec.decoder import Decoder
from stentor.model.grid import Grid
from stentor.model.rendition import OPUS, RENDITIONS, Rendition

GRID = Grid(0, 0, 24_000)


@pytest.mark.parametrize("rendition", RENDITIONS, ids=lambda r: r.name)
def test_a_tone_keeps_its_level_and_its_length(rendition: Rendition) -> None:
    encoder, chunker, decoder = Encoder(rendition), Chunker(rendition, GRID, 0), Decoder(rendition)
    tone = (0.25 * np.sin(np.arange(4 * 48_000) * 2 * np.pi * 440 / 48_000)).astype(np.float32)
    made = [chunk for frame in encoder.encode(tone) if (chunk := chunker.receive(frame)) is not None]
    heard = np.concatenate([decoder.decode(data) for _, data in made])
    frames = sum(GRID.frame_count(rendition, n) for n, _ in made)
    assert abs(len(heard) - frames * rendition.frame_samples) <= 2 * rendition.frame_samples
    assert np.sqrt(np.mean(heard[48_000:] ** 2)) == pytest.approx(0.25 / np.sqrt(2), rel=0.1)


def test_what_is_no_chunk_is_refused() -> None:
    with pytest.raises(ValueError):
        Decoder(OPUS).decode(b"nonsense")
