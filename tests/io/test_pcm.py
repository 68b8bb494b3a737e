import wave
from pathlib import Path

import numpy as np
import pytest

from stentor.io.pcm import AudioFileError, read_blocks


def write_wav(path: Path, audio: np.ndarray, rate: int, channels: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.repeat(audio, channels) * 32_767).astype("<i2").tobytes())


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (44_100, 2), (16_000, 1)])
def test_any_rate_becomes_mono_at_48_khz(tmp_path, rate, channels):
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    write_wav(tmp_path / "tone.wav", tone, rate, channels)
    audio = np.concatenate(list(read_blocks(tmp_path / "tone.wav")))
    assert audio.dtype == np.float32 and abs(len(audio) - 48_000) < 100
    spectrum = np.abs(np.fft.rfft(audio[:48_000], 48_000))
    assert np.argmax(spectrum) == 1000
    assert np.abs(audio[1000:-1000]).max() == pytest.approx(0.5, abs=0.02)


def test_what_is_no_audio_is_named(tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    for name in ("text.wav", "missing.wav"):
        with pytest.raises(AudioFileError, match=name):
            list(read_blocks(tmp_path / name))
