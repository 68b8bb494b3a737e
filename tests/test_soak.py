"""What the calm soak says is fine, and that it says so of nothing else."""

import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stentor.clients import timecode
from stentor.core.heard import Whole
from stentor.model.grid import SAMPLE_RATE, Grid
from support.calm import BY_DESIGN_KB_PER_H, DRIFT_MS_MAX, MEMORY_KB_PER_H_MAX, Course, Look, Minute, Role, Watch, look
from support.trend import ends, trend

MINUTES = 120


def role(private_kb: Any, descriptors: Any = lambda at: 20, pid: Any = lambda at: 7) -> dict[str, Any]:
    """Two hours of a role, minute by minute."""
    seen = Role()
    for at in range(MINUTES):
        seen.add(60.0 * at, Look(pid(at), round(private_kb(at)), 50_000, descriptors(at)))
    return seen.report()


def noise(kb: float, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0, kb) for _ in range(MINUTES)]


def test_the_slope_of_a_line_is_found_whatever_a_few_samples_say() -> None:
    values = [5 * at / 60 for at in range(MINUTES)]
    values[10], values[50] = 1e6, -1e6
    found = trend([60.0 * at for at in range(MINUTES)], values)
    assert found.per_h == pytest.approx(5.0)
    assert found.low <= 5.0 <= found.high


def test_of_two_samples_nothing_is_said() -> None:
    assert trend([0, 60], [1, 2]).high == math.inf
    assert ends([3.0], 0.1).grown == 0


def test_a_role_that_wobbles_is_fine() -> None:
    wobble = noise(400)
    found = role(lambda at: 60_000 + wobble[at])
    assert found["fine"], found


def test_a_role_that_fills_its_tables_first_is_fine() -> None:
    assert role(lambda at: 60_000 + min(at, MINUTES // 10) * 1_000)["fine"]


def test_a_role_that_grows_is_not_fine() -> None:
    wobble = noise(400)
    found = role(lambda at: 60_000 + wobble[at] + 2 * MEMORY_KB_PER_H_MAX * at / 60)
    assert not found["fine"]
    assert found["private_kb"]["per_h"]["low"] > MEMORY_KB_PER_H_MAX


def test_an_archive_that_grows_with_its_tape_is_fine_and_one_that_grows_faster_is_not() -> None:
    for times, fine in ((0.9, True), (1.5, False)):
        watch = Watch()
        for at in range(MINUTES):
            kb = 60_000 + times * BY_DESIGN_KB_PER_H["archive"] * at / 60
            for name in ("archive", "edge-0"):
                watch.roles.setdefault(name, Role()).add(60.0 * at, Look(7, round(kb), 50_000, 20))
        assert {name: row["fine"] for name, row in watch.report().items()} == {"archive": fine, "edge-0": False}


def test_a_role_that_keeps_a_descriptor_is_not_fine() -> None:
    assert not role(lambda at: 60_000, lambda at: 20 + (at > MINUTES // 2))["fine"]


def test_a_role_that_has_more_now_and_then_is_fine() -> None:
    found = role(lambda at: 60_000, lambda at: 20 if at % 3 else 30)
    assert found["fine"]
    assert found["descriptors"] == {"first": 20, "last": 20, "max": 30}


def test_a_role_that_was_started_again_is_not_fine() -> None:
    assert not role(lambda at: 60_000, pid=lambda at: 7 + (at > 60))["fine"]


@pytest.mark.parametrize(
    ("grid_ms", "voice_ms", "fine"),
    [(0, 0, True), (1.5 * DRIFT_MS_MAX, 0, False), (-1.5 * DRIFT_MS_MAX, 0, False), (0, 1.5 * DRIFT_MS_MAX, False)],
)
def test_a_show_that_runs_off_is_not_fine(grid_ms: float, voice_ms: float, fine: bool) -> None:
    parts = [at / MINUTES for at in range(MINUTES)]
    course = Course([Minute(40 + grid_ms * part, 60 + voice_ms * part, 300) for part in parts])
    assert course.report()["fine"] is fine


def test_a_show_that_nobody_heard_is_not_fine() -> None:
    course = Course()
    course.turn()
    assert not course.report()["fine"]


class Undecoded:
    """Chunks whose bytes are their samples."""

    def decode(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, np.float32)


@pytest.mark.parametrize("offset_ms", [0, 30])
def test_the_lateness_of_a_voice_is_read_by_its_time_code(offset_ms: int) -> None:
    grid = Grid(1_000_000_000_000_000_000, 0, SAMPLE_RATE // 2)
    course = Course(_decoder=Undecoded())  # type: ignore[arg-type]
    for n in range(1, 121):
        start_ns = grid.wall_ns(n) - (50 + offset_ms) * 1_000_000
        data = timecode.signal(start_ns, grid.chunk_samples).tobytes()
        course.receive(Whole(n, data, 0.0, 0.0), grid, grid.wall_ns(n + 1) + 40_000_000)
    course.turn()
    (minute,) = course.minutes
    assert minute.grid_ms == pytest.approx(40)
    assert minute.voice_ms == pytest.approx(50 + offset_ms, abs=8)  # the chunk's frames need not begin where it does


def test_a_process_is_looked_at_and_one_that_is_gone_is_left_out() -> None:
    seen = look(os.getpid())
    assert seen.private_kb > 1_000
    assert seen.descriptors >= 3
    watch = Watch()
    watch.look({"ours": os.getpid(), "gone": 2**22 + 1})
    assert watch.report().keys() == {"ours"}


def test_a_soak_that_is_told_to_end_leaves_nobody_behind(tmp_path):
    argv = [sys.executable, str(Path(__file__).parent / "soak.py"), "--for", "5m"]
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    soak = subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not (pids := mine(tmp_path)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert pids
        for _ in range(3):  # as from somebody impatient
            soak.terminate()
            time.sleep(0.05)
        soak.wait(30)
        assert not mine(tmp_path)
    finally:
        soak.kill()
        for pid in mine(tmp_path):
            os.kill(pid, signal.SIGKILL)


def mine(directory: Path) -> list[int]:
    """Processes of Stentor's that keep their data below `directory`."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"STENTOR_DATA_DIR={directory}/".encode() in environ.read_bytes():
                found.append(int(environ.parent.name))
    return found
