"""Replays laid over a tape: every range is what the whole file has there, and all files begin at the same sample."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.replay import KINDS, SETTLE_SAMPLES, BadChunk, Replay, Source, lay_out
from stentor.formats import chunks, m4a, mp3info, ogg
from stentor.model.grid import Grid
from stentor.model.rendition import BY_NAME
from support import tapes

SECONDS = 6
HELD = (6, 7, 9)


def source(suffix: str, chunk_samples: int = 24_000) -> Source:
    rendition, grid = BY_NAME[KINDS[suffix].rendition], Grid(tapes.T0_NS, 0, chunk_samples)
    sound, hold = tapes.encoded(SECONDS, chunk_samples), tapes.holds()[rendition.id]
    aired = {n: hold.chunk(grid, n) if n in HELD else by_id[rendition.id] for n, by_id in sound.items()}

    def read(n: int, start: int, stop: int | None) -> bytes:
        return aired[n][start:stop]

    last = max(aired) + 1
    lengths = np.array([len(aired[n]) for n in range(tapes.FIRST_N, last)])
    return Source(rendition, grid, "town-hall", "Town hall", tapes.FIRST_N, lengths, read)


@cache
def whole(suffix: str, chunk_samples: int = 24_000) -> tuple[Replay, Source, bytes]:
    of = source(suffix, chunk_samples)
    replay = lay_out(KINDS[suffix], of)
    return replay, of, b"".join(replay.read(0, replay.size - 1, of.read))


def aired_frames(of: Source) -> Iterator[bytes]:
    for n in range(of.first_n, of.first_n + len(of.lengths)):
        yield from chunks.frames_of(of.rendition, of.read(n, 0, None))


@pytest.mark.parametrize("suffix", KINDS)
def test_a_file_holds_the_frames_that_were_aired_and_is_as_long_as_it_says(suffix: str) -> None:
    replay, of, data = whole(suffix)
    assert len(data) == replay.size
    frames = {"m4a": m4a.frames_of, "opus": ogg.opus_packets, "mp3": mp3info.audio_frames}[suffix](data)
    assert list(frames) == list(aired_frames(of))


@pytest.mark.parametrize("suffix", KINDS)
@given(st.data())
def test_any_range_is_what_the_whole_file_has_there(suffix: str, data: st.DataObject) -> None:
    replay, of, expected = whole(suffix)
    first = data.draw(st.integers(0, replay.size - 1))
    last = data.draw(st.integers(first, replay.size - 1))
    assert b"".join(replay.read(first, last, of.read)) == expected[first : last + 1]


def test_a_range_reads_no_chunk_but_its_own() -> None:
    replay, of, _ = whole("m4a")
    asked: list[int] = []

    def read(n: int, start: int, stop: int | None) -> bytes:
        asked.append(n)
        return of.read(n, start, stop)

    list(replay.read(int(replay.starts[2]), int(replay.starts[3]) - 1, read))
    assert asked == [of.first_n + 2]
    list(replay.read(0, len(replay.head) - 1, read))
    assert asked == [of.first_n + 2]


@pytest.mark.parametrize("chunk_samples", [24_000, 12_000])
@pytest.mark.parametrize("suffix", KINDS)
def test_all_files_begin_at_the_same_sample_of_the_show(suffix: str, chunk_samples: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(whole(suffix, chunk_samples)[2])
    argv = ["ffmpeg", "-v", "warning", "-i", str(path), "-f", "f32le", "-"]
    decoded = subprocess.run(argv, capture_output=True, check=True)
    assert decoded.stderr == b""
    heard = np.frombuffer(decoded.stdout, np.float32)[:20_000]
    start = tapes.FIRST_N * chunk_samples + SETTLE_SAMPLES
    spoken = tapes.speech(SECONDS)[start - 2_000 : start + 22_000]
    assert int(np.argmax(np.correlate(spoken, heard, "valid"))) == 2_000
    assert np.corrcoef(heard[:400], spoken[2_000:2_400])[0, 1] > 0.97, "the first samples are whole"


def test_a_chunk_that_is_not_of_the_grid_is_named() -> None:
    of = source("m4a")
    of.lengths[4] += 1
    with pytest.raises(BadChunk, match=f"chunk {of.first_n + 4} of aac"):
        lay_out(KINDS["m4a"], of)


def test_a_tape_without_chunks_has_no_replay() -> None:
    of = source("mp3")
    empty = Source(of.rendition, of.grid, of.show, of.title, of.first_n, of.lengths[:0], of.read)
    with pytest.raises(ValueError, match="no chunks"):
        lay_out(KINDS["mp3"], empty)
