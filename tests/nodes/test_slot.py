"""Whatever is said, and however suddenly, the chunks made of it fit the slots of the ring."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from stentor.core.chunker import Chunker
from stentor.core.desk import CHUNKS_MS
from stentor.formats import chunks
from stentor.io import ring as rings
from stentor.io.codec import Encoder
from stentor.model.grid import Grid
from stentor.model.rendition import AAC, RENDITIONS, Rendition
from support.tapes import holds

AAC_FRAME_BYTES_MAX = 6144 // 8  # of one channel (ISO/IEC 14496-3, 4.5.3.1)


def ring_at(path: Path, chunk_ms: int) -> rings.Ring:
    return rings.create(path / "show.ring", "show", Grid(time.time_ns(), time.monotonic_ns(), chunk_ms * 48), holds())


@pytest.mark.parametrize("rendition", RENDITIONS, ids=lambda rendition: rendition.name)
@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
def test_applause_after_silence(tmp_path: Path, rendition: Rendition, chunk_ms: int) -> None:
    """Encoders save bits in silence and spend them at once."""
    ring = ring_at(tmp_path, chunk_ms)
    sound = np.random.default_rng(1).uniform(-1, 1, 6 * 48_000).astype(np.float32)
    sound[: 3 * 48_000] = 0
    chunker = Chunker(rendition, ring.grid, 0)
    made = [chunker.receive(frame) for frame in Encoder(rendition).encode(sound)]
    published = [ring.publish(rendition.id, chunk.n, chunk.data) for chunk in made if chunk is not None]
    assert len(published) >= 5_000 // chunk_ms and all(published)


@pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
def test_the_largest_frames_that_aac_knows(tmp_path: Path, chunk_ms: int) -> None:
    ring = ring_at(tmp_path, chunk_ms)
    for n in range(1, 50):
        frames = [bytes(AAC_FRAME_BYTES_MAX)] * ring.grid.frame_count(AAC, n)
        assert ring.publish(AAC.id, n, chunks.build(AAC, ring.grid, n, frames))
