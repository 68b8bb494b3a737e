"""Encoders on the chunk grid: every chunk decodes from its start, and sounds when the grid says."""

import io

import av
import numpy as np
import pytest

from stentor.core import hold
from stentor.core.chunker import Chunker
from stentor.formats import chunks
from stentor.io.codec import Encoder, make_hold
from stentor.model.grid import Grid
from stentor.model.rendition import AAC, MP3, OPUS, RENDITIONS, Rendition

GRID = Grid(0, 0, 24_000)


def decode(data: bytes) -> tuple[float, np.ndarray]:
    """-> (presentation time of the first sample in seconds, samples)."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
        return float(frames[0].time or 0.0), np.concatenate(
            [f.to_ndarray().reshape(f.samples, -1)[:, 0] if f.format.is_packed else f.to_ndarray()[0] for f in frames]
        )


def encode_chunks(rendition: Rendition, samples: np.ndarray, first_frame: int) -> list[tuple[int, bytes]]:
    encoder, chunker, out = Encoder(rendition), Chunker(rendition, GRID, first_frame), []
    for at in range(0, len(samples), 960):
        for frame in encoder.encode(samples[at : at + 960]):
            if (chunk := chunker.receive(frame)) is not None:
                out.append(chunk)
    return out


@pytest.mark.parametrize("rendition", RENDITIONS, ids=lambda r: r.name)
def test_a_click_sounds_at_its_place_in_show_time(rendition: Rendition) -> None:
    start_frame = -(-96_000 // rendition.frame_samples)  # the stage starts two seconds into the grid
    start = start_frame * rendition.frame_samples
    click_at = 96_000 + 3 * 24_000 + 7_000
    samples = np.zeros(5 * 48_000, np.float32)
    samples[click_at - start : click_at - start + 240] = np.hanning(240) * 0.9
    made = encode_chunks(rendition, samples, start_frame)
    by_n = dict(made)
    _, heard = decode(chunks.header(rendition) + by_n[6] + by_n[7])
    peak = int(np.argmax(np.abs(heard))) + GRID.presented_at(rendition, 6)
    assert abs(peak - (click_at + 120)) <= 48, "more than a millisecond off its place"


@pytest.mark.parametrize("rendition", RENDITIONS, ids=lambda r: r.name)
def test_chunks_follow_each_other_without_a_hole(rendition: Rendition) -> None:
    tone = np.sin(np.arange(3 * 48_000) * 0.05).astype(np.float32) * 0.3
    made = encode_chunks(rendition, tone, 0)
    assert [n for n, _ in made] == list(range(1, len(made) + 1)) and len(made) >= 4
    counts = [len(chunks.frames_of(rendition, data)) for _, data in made]
    assert counts == [GRID.frame_count(rendition, n) for n, _ in made]
    assert len(max((data for _, data in made), key=len)) < 16_000


@pytest.mark.parametrize("rendition", [OPUS, AAC, MP3], ids=lambda r: r.name)
def test_hold_repeats_without_a_seam(rendition: Rendition) -> None:
    made = make_hold(rendition, hold.loop())
    assert len(made.frames) * rendition.frame_samples == hold.LOOP_SAMPLES
    turns = chunks.header(rendition) + b"".join(made.chunk(GRID, n) for n in range(1, 40))
    _, heard = decode(turns)
    jump = np.abs(np.diff(heard[4_800:])).max()
    smooth = np.abs(np.diff(hold.loop())).max()
    assert jump < 3 * smooth
    assert abs(np.abs(heard[48_000:]).max() / hold.PEAK - 1) < 0.35
    assert chunks.Hold.unpack(rendition, made.pack()) == made
