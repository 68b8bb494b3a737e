"""fMP4: a chunk is a function of its frames, and gives them back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.formats import chunks, fmp4
from stentor.model.grid import Grid
from stentor.model.rendition import AAC, AAC_LOW, MP3, OPUS, OPUS_LOW, RENDITIONS

GRID = Grid(0, 0, 24_000)
FRAMES = st.lists(st.binary(min_size=1, max_size=1275), min_size=1, max_size=26)


@given(FRAMES, st.integers(1, 2**31))
def test_a_chunk_gives_its_frames_back(frames: list[bytes], n: int) -> None:
    data = fmp4.chunk(OPUS, GRID, n, frames)
    assert fmp4.parse_chunk(data) == (n, GRID.presented_at(OPUS, n), frames)


@given(st.binary(max_size=300))
def test_anything_else_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(fmp4.NotAChunk, match=r"."):
        fmp4.parse_chunk(data)


@given(FRAMES, st.data())
def test_a_cut_chunk_is_refused(frames: list[bytes], data: st.DataObject) -> None:
    whole = fmp4.chunk(AAC, GRID, 3, frames)
    with pytest.raises(fmp4.NotAChunk):
        fmp4.parse_chunk(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_high_and_low_share_a_header_so_that_they_splice() -> None:
    assert fmp4.header(OPUS) == fmp4.header(OPUS_LOW)
    assert fmp4.header(AAC) == fmp4.header(AAC_LOW)
    assert chunks.header(MP3) == b""


@given(st.lists(st.binary(min_size=1, max_size=600), min_size=1, max_size=50))
def test_hold_packs_and_unpacks(frames: list[bytes]) -> None:
    hold = chunks.Hold(AAC, tuple(frames))
    assert chunks.Hold.unpack(AAC, hold.pack()) == hold


@given(st.binary(max_size=80))
def test_what_is_no_hold_is_refused(data: bytes) -> None:
    try:
        assert chunks.Hold.unpack(AAC, data).pack() == data
    except ValueError as error:
        assert "hold of aac" in str(error)


@given(st.binary(max_size=400))
def test_mp3_is_split_or_refused(data: bytes) -> None:
    try:
        assert b"".join(chunks.mp3_frames(data)) == data
    except chunks.BadMp3 as error:
        assert "byte" in str(error)


def test_a_hold_chunk_depends_on_n_alone() -> None:
    for rendition in RENDITIONS:
        frames = tuple(b"\xff\xfb\x54\xc4" + bytes([i]) * 188 for i in range(40))
        one, other = (
            chunks.Hold(rendition, frames),
            chunks.Hold.unpack(rendition, chunks.Hold(rendition, frames).pack()),
        )
        assert all(one.chunk(GRID, n) == other.chunk(GRID, n) for n in (1, 7, 1000))
        first = GRID.first_frame(rendition, 9) % 40
        assert chunks.frames_of(rendition, one.chunk(GRID, 9))[0] == frames[first]
