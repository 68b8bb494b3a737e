import asyncio
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from stentor.clients import speak
from stentor.clients.speak import FRAME_SAMPLES, FileSource, StdinSource, TimecodeSource, open_source
from stentor.io.pcm import AudioFileError


def write_wav(path: Path, samples: int, rate: int = 48_000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.full(samples, 8192, "<i2").tobytes())


async def frames(source, most: int) -> list[np.ndarray]:
    found = []
    while len(found) < most and (frame := await source.frame(0)) is not None:
        found.append(frame)
    return found


def test_a_file_is_cut_into_frames_and_its_end_is_padded(tmp_path):
    write_wav(tmp_path / "a.wav", 2 * FRAME_SAMPLES + 100)
    found = asyncio.run(frames(FileSource(tmp_path / "a.wav", loop=False), 10))
    assert [len(frame) for frame in found] == [FRAME_SAMPLES] * 3
    assert found[0] == pytest.approx(0.25, abs=1e-3)
    assert not found[2][200:].any()


def test_a_file_loops_without_a_gap(tmp_path):
    write_wav(tmp_path / "a.wav", 1000)
    found = np.concatenate(asyncio.run(frames(FileSource(tmp_path / "a.wav", loop=True), 20)))
    assert len(found) == 20 * FRAME_SAMPLES and found.min() > 0.2


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(AudioFileError, match=r"nothing\.wav"):
        asyncio.run(frames(open_source(str(tmp_path / "nothing.wav")), 1))


def test_raw_audio_comes_from_a_pipe(monkeypatch):
    reading, writing = os.pipe()
    os.write(writing, np.full(FRAME_SAMPLES + 10, -16_384, "<i2").tobytes() + b"\0")
    os.close(writing)
    monkeypatch.setattr(sys, "stdin", os.fdopen(reading, "rb"))
    found = asyncio.run(frames(StdinSource(), 10))
    assert len(found) == 2 and (found[0] == -0.5).all() and (found[1][:10] == -0.5).all() and not found[1][10:].any()


def test_the_name_tells_the_source(tmp_path):
    assert isinstance(open_source("timecode"), TimecodeSource)
    assert isinstance(open_source("-"), StdinSource)
    write_wav(tmp_path / "a.wav", 10)
    assert isinstance(open_source(str(tmp_path / "a.wav")), FileSource)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("http://127.0.0.1:1/crew/speak#token", "does not answer"),
        ("http://127.0.0.1:1/stage/whip", "token"),
        ("ftp://127.0.0.1/stage/whip#token", "ftp"),
        ("nonsense#token", "nonsense"),
    ],
)
def test_a_link_that_leads_nowhere_ends_with_a_reason(link, reason):
    code = f"import sys; from stentor.clients.speak import run; sys.exit(run({link!r}, '', 'timecode', seconds=0.1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and reason in done.stderr and done.stderr.count("\n") == 1


def test_a_summary_is_plain_json():
    assert speak.msgspec.json.decode(speak.msgspec.json.encode(speak.Summary()))["packets_sent"] == 0
