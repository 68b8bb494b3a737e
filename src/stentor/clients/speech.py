"""A short conversation for the demo, spoken by espeak-ng: one file a speaker, each silent while the other talks."""

from __future__ import annotations

import asyncio
import io
import shutil
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PAUSE_S = 0.4
LINE_S_MAX = 30.0  # espeak-ng's time for one line


class Line(NamedTuple):
    """`who` is an index into the voices."""

    who: int
    text: str


VOICES = ("en-us+m3", "en-gb+f4")
SCRIPT = (
    Line(0, "Good evening. It is the minute we promised, and we are on the air."),
    Line(1, "Good to be here. Is anybody listening?"),
    Line(0, "Everybody who wanted to. Nobody had to wait for the server to come back."),
    Line(1, "And if the stage goes down while I am talking?"),
    Line(0, "Then there is hold music for a moment, and the show goes on. Nobody is dropped."),
    Line(1, "And afterwards, who can tell what was really said?"),
    Line(0, "Anyone. Every chunk is chained to the one before it, and the recording is the show itself."),
    Line(1, "Then let us begin."),
)


class NoVoice(RuntimeError):
    """espeak-ng is missing, or failed; the text says so."""


async def make(directory: Path, script: Sequence[Line] = SCRIPT) -> list[Path]:
    """Write one WAV a voice, all of the same length. Raises `NoVoice`."""
    if shutil.which("espeak-ng") is None:
        raise NoVoice("the voices need espeak-ng; as root: apt-get install espeak-ng")
    lines = [(line.who, *await _speak(VOICES[line.who], line.text)) for line in script]
    return [_write(directory / f"voice-{who}.wav", who, lines) for who in range(len(VOICES))]


async def _speak(voice: str, text: str) -> tuple[int, bytes]:
    """-> sample rate, mono samples of 16 bits."""
    argv = ("espeak-ng", "-v", voice, "-s", "165", "--stdout", text)
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(LINE_S_MAX):
        data, _ = await process.communicate()
    if process.returncode or not data:
        raise NoVoice(f"espeak-ng failed with exit code {process.returncode}")
    with wave.open(io.BytesIO(data)) as file:
        return file.getframerate(), file.readframes(len(data))


def _write(path: Path, who: int, lines: Sequence[tuple[int, int, bytes]]) -> Path:
    rate = lines[0][1]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        for speaker, _, samples in lines:
            file.writeframes(samples if speaker == who else bytes(len(samples)))
            file.writeframes(bytes(2 * int(PAUSE_S * rate)))
    return path
