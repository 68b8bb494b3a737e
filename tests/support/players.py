"""Stock players without a screen and a sound card: each plays an address into a WAV file and logs what it learns.

docs/PLAYERS.md tells what these were seen to do; tests/scenario/test_players.py sees it again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stentor.clients.timecode import CODES, PERIOD_SAMPLES, Burst, detect

SAMPLE_RATE = 48_000
EXIT_S_MAX = 20.0  # after the end of what it plays
NOBODY = "65534"
_LOOP_SAMPLES = CODES * PERIOD_SAMPLES  # after so much the time code begins anew


class Player(NamedTuple):
    """`argv(url, wav)` plays `url` into 48 kHz mono of 16 bits; `title` finds what it shows as the title in its log."""

    program: str
    argv: Callable[[str, str], list[str]]
    title: str
    package: str

    @property
    def missing(self) -> str:
        """What to do to have it; empty if it is here."""
        return "" if shutil.which(self.program) else f"{self.program} is not installed (apt install {self.package})"


def _ffmpeg(url: str, wav: str) -> list[str]:
    options = ["-nostdin", "-hide_banner", "-v", "verbose", "-y"]
    return ["ffmpeg", *options, "-i", url, "-vn", "-ac", "1", "-ar", "48000", "-f", "wav", wav]


def _mpv(url: str, wav: str) -> list[str]:
    form = ["--audio-samplerate=48000", "--audio-channels=mono", "--audio-format=s16"]
    return ["mpv", "--no-config", "--no-video", "--ao=pcm", f"--ao-pcm-file={wav}", *form, url]


def _mpv_in_time(url: str, wav: str) -> list[str]:
    """At the pace of a sound card, and to none: into a file mpv plays whatever it has, and shows titles late."""
    return ["mpv", "--no-config", "--no-video", "--ao=null", url]


def _vlc(url: str, wav: str) -> list[str]:
    """VLC refuses to run as root, and nobody may not open what root has: it writes to a file that is open already."""
    form = "#transcode{acodec=s16l,channels=1,samplerate=48000}:std{access=file,mux=wav,dst=-}"
    vlc = ["vlc", "-I", "dummy", "-vv", "--no-color", "--no-sout-video", "--sout", form, "--play-and-exit", url]
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
    return [*drop, *vlc]


def _gstreamer(url: str, wav: str) -> list[str]:
    form = "audio/x-raw,format=S16LE,rate=48000,channels=1"
    sink = f"audioconvert ! audioresample ! {form} ! wavenc ! filesink location={wav}"
    return ["gst-launch-1.0", "--no-position", "-t", "playbin3", f"uri={url}", f"audio-sink={sink}"]


GSTREAMER = "gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-libav"
PLAYERS = {
    "vlc": Player("vlc", _vlc, r"New Icy-Title=(.*)", "vlc-bin vlc-plugin-base"),
    "mpv": Player("mpv", _mpv, r"icy-title: (.*)", "mpv"),
    "ffmpeg": Player("ffmpeg", _ffmpeg, r"Metadata update for StreamTitle: (.*)", "ffmpeg"),
    "gstreamer": Player("gst-launch-1.0", _gstreamer, r"\btitle: (.*)", GSTREAMER),
}
TITLES_ONLY = Player("mpv", _mpv_in_time, PLAYERS["mpv"].title, "mpv")


class Playing:
    """One player on one address, from its start to its end."""

    def __init__(self, player: Player, url: str, directory: Path, name: str) -> None:
        self._player = player
        self.wav, self._log = directory / f"{name}.wav", directory / f"{name}.log"
        self.by_itself = False
        to_stdout = player.program == "vlc"
        environ = {**os.environ, "HOME": str(directory), "LC_ALL": "C.UTF-8"}  # nobody's settings or caches
        with self.wav.open("wb") as wav, self._log.open("wb") as log:
            self._process = subprocess.Popen(
                player.argv(url, str(self.wav)),
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=wav if to_stdout else log,
                stderr=log,
            )

    @property
    def seconds(self) -> float:
        """Of sound so far."""
        return self.wav.stat().st_size / 2 / SAMPLE_RATE

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def titles(self) -> list[str]:
        """What it showed, one after the other, each once."""
        found = (title.strip().strip('"') for title in re.findall(self._player.title, self.log))
        return list(dict.fromkeys(title for title in found if title))

    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self, patience_s: float = EXIT_S_MAX) -> None:
        """Wait for it to end by itself; who does not is killed."""
        try:
            self.by_itself = self._process.wait(patience_s) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def audio(self) -> npt.NDArray[np.float32]:
        """All it played, full scale 1. Players write heads of different sizes, with a length that is not yet known."""
        data = self.wav.read_bytes()
        begin = data.find(b"data") + 8
        return np.frombuffer(data[begin : begin + (len(data) - begin) // 2 * 2], "<i2").astype(np.float32) / 32768


def offsets_s(audio: npt.NDArray[np.float32]) -> list[float]:
    """Where in the time code each burst came, less where it should have; equal as long as nothing is left out, added
    or slowed down. All are told as differences from the first, to within half of the 6.4 s that the code lasts."""
    bursts = detect(audio)
    return [_turned(_offset(burst) - _offset(bursts[0])) / SAMPLE_RATE for burst in bursts]


def _offset(burst: Burst) -> int:
    return burst.at - burst.k * PERIOD_SAMPLES


def _turned(samples: int) -> int:
    return (samples + _LOOP_SAMPLES // 2) % _LOOP_SAMPLES - _LOOP_SAMPLES // 2
