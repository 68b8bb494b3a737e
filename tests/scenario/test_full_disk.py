"""A real disk that fills up in the middle of a show and then turns read-only: the show goes on, the crew is told, and
nothing is lost when there is room again. Needs root, for the mounts."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.onair import OnAir
from support.running import installation, until

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root"),
]


def mount(directory: Path, *options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(directory)], check=True)


def remount(directory: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(directory)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for the shows, with room for a few seconds of tape."""
    directory = tmp_path / "data" / "shows"
    directory.mkdir(parents=True)
    mount(directory, "-o", "size=480k")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.fixture
def on_air(disk: Path, tmp_path: Path) -> Iterator[OnAir]:
    with installation(tmp_path, stems=False) as running, ExitStack() as stack:
        running.start()
        yield OnAir(running, stack, tmp_path)


def test_a_full_disk_and_then_a_read_only_one(on_air: OnAir, disk: Path, tmp_path: Path) -> None:
    on_air.speak(on_air.made.crew_link)
    heard = tmp_path / "heard.opus"
    on_air.hear("opus", heard)
    until(lambda: "No space left" in on_air.stage().tape.problem, "the crew is told of the full disk", 60)
    before = on_air.stage().tape
    on_air.airs(6)
    assert on_air.stage().tape.durable_n == before.durable_n
    assert on_air.stage().tape.pending_bytes > before.pending_bytes
    until(lambda: subprocess.run(["mount", "-o", "remount,ro", str(disk)]).returncode == 0, "the disk is read-only")
    until(lambda: "Read-only" in on_air.stage().tape.problem, "the crew is told of the read-only disk")
    on_air.airs(4)
    remount(disk, "rw,size=50m")
    until(lambda: not on_air.stage().tape.problem, "the disk takes the tape again")
    on_air.end()
    taped = on_air.taped()
    assert taped.reader.end is not None and taped.reader.segments >= 2
    assert not any(event.what == "lost" for _, _, event in taped.reader.events)
    on_air.assert_heard_is_taped({"opus": heard})
