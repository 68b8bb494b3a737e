"""Frames are cut where the grid says, wherever the encoder began."""

from hypothesis import given
from hypothesis import strategies as st

from stentor.core.chunker import Chunker
from stentor.formats import chunks
from stentor.model.grid import FIRST_N, Grid
from stentor.model.rendition import RENDITIONS, Rendition


def frame(rendition: Rendition, index: int) -> bytes:
    body = index.to_bytes(4, "big")
    return b"\xff\xfb\x54\xc4" + body + bytes(184) if rendition.codec == "mp3" else body


@given(st.sampled_from(RENDITIONS), st.integers(0, 5_000), st.sampled_from([12_000, 24_000]))
def test_every_frame_from_the_first_whole_chunk_on_is_in_its_chunk(
    rendition: Rendition, first_frame: int, chunk_samples: int
) -> None:
    grid = Grid(0, 0, chunk_samples)
    chunker = Chunker(rendition, grid, first_frame)
    made = [c for k in range(first_frame, first_frame + 200) if (c := chunker.receive(frame(rendition, k)))]
    assert [c.n for c in made] == list(range(made[0].n, made[0].n + len(made)))
    assert made[0].n >= FIRST_N
    assert grid.first_frame(rendition, made[0].n) >= first_frame
    assert made[0].n == FIRST_N or grid.first_frame(rendition, made[0].n - 1) < first_frame
    for chunk in made:
        want = range(grid.first_frame(rendition, chunk.n), grid.first_frame(rendition, chunk.n + 1))
        assert chunks.frames_of(rendition, chunk.data) == [frame(rendition, k) for k in want]
