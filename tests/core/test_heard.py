"""A listener's account: chunks are found whatever the pieces they come in; gaps, doubles and lateness are counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.heard import BOX_BYTES_MAX, Heard, NotAStream
from stentor.formats import chunks
from stentor.model.grid import Grid
from stentor.model.rendition import AAC, MP3, OPUS, Rendition

GRID = Grid(1_700_000_000_000_000_000, 0, 24_000)


def chunk(n: int, rendition: Rendition = OPUS) -> bytes:
    frame = b"\xff\xfb\x54\xc4" + bytes(188) if rendition is MP3 else bytes(40 + n)
    return chunks.build(rendition, GRID, n, [frame] * GRID.frame_count(rendition, n))


def stream(first: int, last: int, rendition: Rendition = OPUS) -> bytes:
    return chunks.header(rendition) + b"".join(chunk(n, rendition) for n in range(first, last + 1))


def due_s(n: int) -> float:
    return GRID.wall_ns(n + 1) / 1e9


@pytest.mark.parametrize("rendition", [OPUS, AAC, MP3])
@given(cuts=st.lists(st.integers(0, 5000), max_size=20))
def test_chunks_are_found_whatever_the_pieces(rendition: Rendition, cuts: list[int]) -> None:
    data, heard, got, at = stream(7, 12, rendition), Heard(rendition, GRID), [], 0
    heard.receive_answer(7, 8)
    for end in [*sorted(cut % len(data) for cut in cuts), len(data)]:
        got += heard.receive(data[at:end], due_s(12))
        at = end
    assert [(whole.n, whole.data) for whole in got] == [(n, chunk(n, rendition)) for n in range(7, 13)]
    assert (heard.first_n, heard.next_n, heard.count) == (7, 13, 6)
    assert (heard.missing, heard.doubles, heard.misplaced) == (0, 0, 0)


def test_lateness_counts_from_when_a_chunk_is_due_and_leaves_the_burst_out() -> None:
    heard = Heard(OPUS, GRID)
    heard.receive_answer(5, 6)
    heard.receive(stream(5, 6), due_s(6) + 0.4)
    assert heard.late_percentile_ms(50) is None
    for n, late_s in ((7, 0.030), (8, 0.010), (9, 0.020)):
        heard.receive(chunk(n), due_s(n) + late_s)
    assert heard.late_percentile_ms(50) == pytest.approx(20, abs=0.01)
    assert heard.late_percentile_ms(100) == pytest.approx(30, abs=0.01)


def test_a_break_costs_the_chunk_in_hand_and_the_next_connection_goes_on() -> None:
    heard = Heard(OPUS, GRID)
    heard.receive_answer(3, 3)
    heard.receive(stream(3, 5)[:-10], due_s(5))
    heard.receive_break()
    assert heard.next_n == 5
    heard.receive_answer(5, 6)
    heard.receive(stream(5, 7), due_s(7))
    assert (heard.next_n, heard.missing, heard.doubles) == (8, 0, 0)


def test_gaps_and_doubles_are_counted() -> None:
    heard = Heard(OPUS, GRID)
    heard.receive_answer(3, 3)
    heard.receive(stream(3, 4) + chunk(7) + chunk(7) + chunk(5) + chunk(8), due_s(8))
    assert (heard.missing, heard.doubles, heard.next_n) == (2, 2, 9)


def test_a_chunk_that_is_not_at_its_place_in_the_grid_is_counted() -> None:
    other = Grid(GRID.t0_wall_ns, 0, 12_000)
    heard = Heard(OPUS, GRID)
    heard.receive_answer(3, 3)
    heard.receive(chunks.build(OPUS, other, 3, [bytes(40)]), due_s(3))
    assert heard.misplaced == 1


@pytest.mark.parametrize(
    ("rendition", "data"),
    [
        (OPUS, b"<html>404 not found</html>"),
        (OPUS, (BOX_BYTES_MAX + 1).to_bytes(4, "big") + b"moof"),
        (OPUS, b"\0\0\0\x08free"),
        (OPUS, b"\0\0\0\x10moof" + bytes(8) + b"\0\0\0\x08mdat"),
        (MP3, bytes(192 * 30)),
    ],
)
def test_what_is_no_stream_is_refused(rendition: Rendition, data: bytes) -> None:
    heard = Heard(rendition, GRID)
    heard.receive_answer(3, 3)
    with pytest.raises(NotAStream):
        heard.receive(data, 0.0)


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for rendition in (OPUS, MP3):
        heard = Heard(rendition, GRID)
        heard.receive_answer(3, 3)
        try:
            heard.receive(data, 0.0)
        except NotAStream:
            continue
