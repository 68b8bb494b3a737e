"""The wall clock jumps by hours while a show runs: the grid is monotonic, so nobody who listens or speaks notices."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.clock import LIBRARY, Clock
from support.onair import OnAir
from support.running import WITHIN_S, installation, until

pytestmark = pytest.mark.scenario
HOUR_MS = 3_600_000


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture
def on_air(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnAir]:
    """A show whose roles go by `clock`; those who speak and listen have a clock of their own."""
    with installation(tmp_path) as running, ExitStack() as stack:
        with monkeypatch.context() as patch:
            for name, value in clock.environ.items():
                patch.setenv(name, value)
            running.start()
        yield OnAir(running, stack, tmp_path, starts_in_s=1.0)


@pytest.mark.skipif(LIBRARY is None, reason="faketime is not installed")
def test_the_wall_clock_jumps_during_a_show(on_air: OnAir, clock: Clock, tmp_path: Path) -> None:
    on_air.speak(on_air.made.crew_link)
    raw = {name: tmp_path / f"heard.{name}" for name in ("mp3", "opus")}
    for name, path in raw.items():
        on_air.hear(name, path)
    out, report = tmp_path / "listen.mp4", tmp_path / "listen.json"
    argv = on_air.running.command("listen", on_air.made.listener_link, "--json", "--out", str(out))
    listener = on_air.spawn(*argv, output=report)
    on_air.heard_at_least(out, 5_000)
    before = on_air.running.pids()
    for offset, hours in (("+1h", 1), ("-1h", -1), ("+0", 0)):
        clock.jump(offset)
        until(lambda hours=hours: off_by_hours(on_air) == hours, "the studio's clock has jumped")
        on_air.airs(4)
        until(lambda: len(on_air.stage().speakers) == 1, "the speaker is there, or back: the machine may be busy")
    on_air.airs_a_voice(2 * WITHIN_S)
    assert on_air.running.pids() == before
    on_air.end()
    assert listener.wait(WITHIN_S) == 0, report.read_text()
    heard = json.loads(report.read_text())
    assert (heard["missing"], heard["doubles"], heard["misplaced"], heard["reconnects"]) == (0, 0, 0, 0)
    on_air.assert_heard_is_taped(raw)
    assert not [event.what for _, _, event in on_air.taped().reader.events if event.what == "lost"]
    verified = on_air.running.run("verify", str(on_air.tape))
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.skipif(LIBRARY is None, reason="faketime is not installed")
def test_a_ticket_of_another_hour_is_exchanged_and_nothing_is_missed(
    on_air: OnAir, clock: Clock, tmp_path: Path
) -> None:
    """Made before the clock was put back, it counts only in an hour; its holder has to connect again now."""
    out, report = tmp_path / "listen.mp4", tmp_path / "listen.json"
    argv = on_air.running.command("listen", on_air.made.listener_link, "--json", "--out", str(out))
    listener = on_air.spawn(*argv, output=report)
    on_air.heard_at_least(out, 5_000)
    clock.jump("-1h")
    until(lambda: off_by_hours(on_air) == -1, "the studio's clock has jumped")
    on_air.running.back("edge-0", on_air.running.kill("edge-0"))
    size = out.stat().st_size
    until(lambda: out.stat().st_size > size or listener.poll(), "they hear more")
    on_air.end()
    assert listener.wait(WITHIN_S) == 0, report.read_text()
    heard = json.loads(report.read_text())
    assert (heard["missing"], heard["doubles"], heard["ended"]) == (0, 0, True) and heard["joins"] == 2, heard


def off_by_hours(on_air: OnAir) -> int:
    """How far the studio's clock is from ours, or rather was when it last wrote."""
    return round((on_air.stage().at_ms - time.time() * 1000) / HOUR_MS)
