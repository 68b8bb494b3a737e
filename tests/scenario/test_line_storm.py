"""The load tools that everybody has, wrk and ab, against the door of a show, while mpv listens: mpv hears no gap."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from stentor.clients.timecode import detect
from support.line import Line
from support.onair import OnAir
from support.players import PLAYERS, Playing
from support.running import WITHIN_S, installation, until

pytestmark = pytest.mark.scenario
STORM_S = 3
CONNECTIONS = 64
GAP_SAMPLES = 480  # a frame of MP3 has 1152
BURSTS_MIN = 5 * 2 * 3 * STORM_S // 2  # of the time code, five a second: of half of the time at least
SERVED = {"wrk": r"(\d+) requests in", "ab": r"Complete requests:\s+(\d+)"}


@pytest.fixture
def on_air(tmp_path: Path) -> Iterator[OnAir]:
    with installation(tmp_path) as running, ExitStack() as stack:
        running.start()
        yield OnAir(running, stack, tmp_path, starts_in_s=1.0)


def storm(program: str, url: str) -> int:
    """-> how many requests were answered. The crowd gets what the speaker leaves, who is on the same machine."""
    argv = {
        "wrk": ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{STORM_S}s", url],
        "ab": ["ab", "-q", "-l", "-r", "-c", str(CONNECTIONS), "-t", str(STORM_S), "-n", "10000000", url],
    }[program]
    done = subprocess.run(["nice", "-n19", *argv], capture_output=True, text=True, timeout=WITHIN_S)
    found = re.search(SERVED[program], done.stdout)
    assert done.returncode == 0 and found, done.stdout + done.stderr
    return int(found[1])


def steps(playing: Playing) -> npt.NDArray[np.int64]:
    """Rows of the time code: which burst, and how many samples after the one before."""
    bursts = detect(playing.audio())
    return np.array([(b.k, b.at - a.at) for a, b in pairwise(bursts)], np.int64)


@pytest.mark.skipif(not all(map(shutil.which, SERVED)), reason="apt install wrk apache2-utils")
def test_mpv_hears_no_gap(on_air: OnAir, tmp_path: Path) -> None:
    running, show = on_air.running, on_air.made.show
    on_air.speak(on_air.made.crew_link)
    on_air.airs_a_voice()
    mpv = Playing(PLAYERS["mpv"], running.url("door", f"/s/{show}/listen.mp3"), tmp_path, "mpv")
    until(lambda: mpv.seconds > 2, f"mpv plays\n{mpv.log[-2000:]}")
    line = Line(running, show, ExitStack(), tmp_path)
    before, pids = line.said(), running.pids()
    for program in SERVED:
        for path in ("now", "join", "wait"):
            served = storm(program, running.url("door", f"/s/{show}/{path}"))
            print(f"{program} {path}: {served / STORM_S:,.0f} a second")
            assert served > CONNECTIONS
    assert line.join(), "and the door has time for who comes now"
    assert line.said().mark >= before.mark and running.pids() == pids
    on_air.airs(4)
    on_air.end()
    mpv.end()
    (tmp_path / "tape.mp3").write_bytes(on_air.taped().aired("mp3"))
    tape = Playing(PLAYERS["ffmpeg"], str(tmp_path / "tape.mp3"), tmp_path, "tape")
    tape.end()
    heard, aired = steps(mpv), steps(tape)
    assert len(heard) > BURSTS_MIN and heard[:, 0].tolist() == aired[-len(heard) :, 0].tolist(), mpv.log[-2000:]
    assert np.abs(heard - aired[-len(heard) :]).max() < GAP_SAMPLES, "nothing is left out, nothing is added"
    events = [event.what for _, _, event in on_air.taped().reader.events]
    assert "lost" not in events
    verified = running.run("verify", str(on_air.tape))
    assert verified.returncode == 0, verified.stdout + verified.stderr
