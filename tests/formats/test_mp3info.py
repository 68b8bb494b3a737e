"""The Info frame: players know duration and start; readers of frames pass over it."""

import struct
import subprocess
from pathlib import Path

import pytest

from stentor.formats import chunks, mp3info
from stentor.model.rendition import MP3
from support import tapes


def sound() -> list[bytes]:
    return [frame for by_id in tapes.encoded(4).values() for frame in chunks.frames_of(MP3, by_id[MP3.id])]


def info(frames: list[bytes], skip: int) -> bytes:
    return mp3info.info_frame(len(frames), sum(map(len, frames)), skip)


def test_it_is_a_frame_of_its_own() -> None:
    frames = sound()
    first, *rest = chunks.mp3_frames(info(frames, 1105) + b"".join(frames))
    assert rest == frames and first[21:25] == b"Info"
    assert struct.unpack_from(">II", first, 29) == (len(frames), 192 * (len(frames) + 1))


@pytest.mark.parametrize("skip", [529, 1105, 2000, 529 + 4095])
def test_ffmpeg_skips_as_many_samples_as_it_says(tmp_path: Path, skip: int) -> None:
    path, frames = tmp_path / "a.mp3", sound()
    path.write_bytes(info(frames, skip) + b"".join(frames))
    argv = ["ffmpeg", "-v", "warning", "-i", str(path), "-f", "f32le", "-"]
    decoded = subprocess.run(argv, capture_output=True, check=True)
    assert decoded.stderr == b""
    assert len(decoded.stdout) // 4 == len(frames) * MP3.frame_samples - skip


def test_audio_frames_passes_over_tags() -> None:
    frames = sound()
    raw = b"".join(frames)
    id3 = b"ID3\x04\x00\x00" + bytes([0, 0, 1, 2]) + bytes(130)
    for before in (b"", info(frames, 1105), id3, id3 + info(frames, 1105)):
        assert mp3info.audio_frames(before + raw) == frames


@pytest.mark.parametrize("data", [b"", b"ID3", b"RIFF" + bytes(200), b"\xff\xfb\x54"])
def test_what_is_no_mp3_gets_a_reason(data: bytes) -> None:
    with pytest.raises(chunks.BadMp3, match=r"\w+"):
        mp3info.audio_frames(data)
