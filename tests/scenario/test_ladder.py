"""A full house with real roles: latency is given up, players play on, and the crew's notice is in the stream."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stentor.formats import emsg
from stentor.io.board import Board
from stentor.model import board
from support.onair import OnAir, loudness
from support.running import WITHIN_S, installation, until

pytestmark = pytest.mark.scenario
JOINED_LATER_S = 5  # than curl, at most
NOTICE = "We go on until ten."
CROWD = 4


@pytest.fixture
def on_air(tmp_path: Path) -> Iterator[OnAir]:
    with installation(tmp_path, capacity=CROWD) as running, ExitStack() as stack:
        running.start()
        yield OnAir(running, stack, tmp_path)


def boxes(body: bytes) -> list[bytes]:
    found = []
    while len(body) >= 8 and len(body) >= (size := int.from_bytes(body[:4], "big")):
        found.append(body[:size])
        body = body[size:]
    return found


def said(path: Path) -> list[dict[str, object]]:
    return [emsg.parse(box) for box in boxes(path.read_bytes()) if box[4:8] == b"emsg"]


def test_latency_is_given_up_and_players_play_on(on_air: OnAir, tmp_path: Path) -> None:
    on_air.speak(on_air.made.crew_link)
    raw = {name: tmp_path / f"heard.{name}" for name in ("mp3", "opus", "aac")}
    for name, path in raw.items():
        on_air.hear(name, path)
    wav = tmp_path / "ffmpeg.wav"
    on_air.play("ffmpeg", "-v", "error", "-y", "-i", on_air.mount("opus"), "-ar", "48000", "-ac", "1", str(wav))
    values = Board(on_air.running.settings.board_dir)

    def in_force() -> bool:
        ladder = values.get("ladder", board.Ladder)
        return ladder is not None and ladder.rung >= 1 and on_air.stage().n > ladder.from_n + 8

    until(in_force, "the first rung is in force", 2 * WITHIN_S)
    until(lambda: said(raw["opus"]), "the listeners are told")
    on_air.ask(lambda admin: admin.notice(on_air.made.show, NOTICE))
    until(lambda: said(raw["aac"])[-1]["notice"] == NOTICE, "the notice is in the stream")
    url = on_air.running.url("door", f"/s/{on_air.made.show}/now")
    now = json.loads(subprocess.run(["curl", "-sf", url], capture_output=True, check=True).stdout)
    assert now["notice"] == NOTICE and now["ladder"]["rung"] >= 1
    on_air.running.back("usher", on_air.running.kill("usher"))
    on_air.airs(8)
    assert (values.get("ladder", board.Ladder) or board.Ladder(0)).rung >= now["ladder"]["rung"]
    on_air.end()
    for name in ("opus", "aac"):
        raw[name].write_bytes(b"".join(box for box in boxes(raw[name].read_bytes()) if box[4:8] != b"emsg"))
    on_air.assert_heard_is_taped(raw)
    frames = sum(box[4:8] == b"moof" for box in boxes(raw["opus"].read_bytes()))
    assert len(loudness(wav)) >= frames / 2 - JOINED_LATER_S, "ffmpeg decoded all that came, words or no words"
