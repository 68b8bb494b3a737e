"""Progressive MP4: a sample table that says where every frame is, whoever wrote it."""

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.formats import chunks, m4a
from stentor.model.rendition import AAC
from support import tapes


def table(frames: list[bytes]) -> bytes:
    return struct.pack(f">{len(frames)}I", *map(len, frames))


def file(frames: list[bytes], skip: int = 1024) -> bytes:
    return m4a.head(AAC, table(frames), skip) + b"".join(frames)


def sound(seconds: float = 4) -> list[bytes]:
    return [frame for by_id in tapes.encoded(seconds).values() for frame in chunks.frames_of(AAC, by_id[AAC.id])]


@given(st.lists(st.binary(max_size=50), min_size=2, max_size=200))
def test_frames_come_back(frames: list[bytes]) -> None:
    assert m4a.frames_of(file(frames)) == frames


@pytest.mark.parametrize("count", [2, 46, 47, 48, 94, 95])
def test_every_length_of_the_last_chunk_of_the_table(count: int) -> None:
    frames = [bytes([i]) * (i + 1) for i in range(count)]
    assert m4a.frames_of(file(frames)) == frames


def test_the_audio_is_the_tail_of_the_file() -> None:
    frames = sound()
    head = m4a.head(AAC, table(frames), 1024)
    size = struct.unpack(">I4s", head[-8:])
    assert size == (8 + sum(map(len, frames)), b"mdat")


def test_a_file_beyond_4_gigabytes_has_wide_offsets() -> None:
    head = m4a.head(AAC, struct.pack(">I", 2**20) * 4096, 1024)
    assert b"co64" in head and b"stco" not in head
    assert struct.unpack(">I4sQ", head[-16:]) == (1, b"mdat", 16 + 2**32)


@pytest.mark.parametrize("frames", [0, 1, 2**22])
def test_what_the_format_cannot_hold_is_refused(frames: int) -> None:
    with pytest.raises(ValueError, match=r"does not fit an \.m4a"):
        m4a.head(AAC, np.zeros(frames, ">u4").tobytes(), 1024)


def test_ffmpeg_decodes_it_without_a_word_and_to_the_sample(tmp_path: Path) -> None:
    path, frames, skip = tmp_path / "a.m4a", sound(), 1500
    path.write_bytes(file(frames, skip))
    argv = ["ffmpeg", "-v", "warning", "-i", str(path), "-f", "f32le", "-"]
    decoded = subprocess.run(argv, capture_output=True, check=True)
    assert decoded.stderr == b""
    assert len(decoded.stdout) // 4 == len(frames) * AAC.frame_samples - skip


def test_frames_are_found_in_a_copy_by_another_program(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "a.m4a", tmp_path / "b.m4a"
    ours.write_bytes(file(sound()))
    argv = ["ffmpeg", "-v", "error", "-i", str(ours), "-c", "copy", "-metadata", "title=Mine", str(theirs)]
    subprocess.run(argv, check=True)
    assert m4a.frames_of(theirs.read_bytes()) == sound()


@pytest.mark.parametrize("cut", [0, 7, 100, 700, 3000])
def test_a_file_cut_short_gets_a_reason(cut: int) -> None:
    with pytest.raises(m4a.BadM4a, match=r"\w+"):
        m4a.frames_of(file(sound())[:cut])


@given(st.binary(max_size=200), st.integers(min_value=0))
def test_bytes_that_were_changed_never_crash_it(junk: bytes, at: int) -> None:
    data = file([b"abc"] * 60)
    at %= len(data)
    try:
        found = m4a.frames_of(data[:at] + junk + data[at + len(junk) :])
    except m4a.BadM4a:
        return
    assert all(isinstance(frame, bytes) for frame in found)
