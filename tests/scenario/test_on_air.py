"""The promise: stock players hear the show go on through the death of its producers, and the tape proves it."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stentor.formats.crew import SeatOrder
from support.onair import OnAir, loudness, pause
from support.running import WITHIN_S, Running, until

pytestmark = pytest.mark.scenario
VOICE = 0.02  # RMS of a second in which the time code sounds; hold and silence stay below a hundredth of full scale


@pytest.fixture
def on_air(running: Running, tmp_path: Path) -> Iterator[OnAir]:
    with ExitStack() as stack:
        yield OnAir(running, stack, tmp_path)


def record(on_air: OnAir, tmp: Path) -> dict[str, Path]:
    """Stock players on three mounts: the bytes as curl got them, the sound as ffmpeg and mpv played it."""
    raw = {name: tmp / f"heard.{name}" for name in ("mp3", "opus", "aac")}
    for name, path in raw.items():
        on_air.hear(name, path)
    for name in ("mp3", "opus"):
        wav = str(tmp / f"ffmpeg-{name}.wav")
        on_air.play("ffmpeg", "-v", "error", "-y", "-i", on_air.mount(name), "-ar", "48000", "-ac", "1", wav)
    played = f"--ao-pcm-file={tmp / 'mpv.wav'}"
    on_air.spawn("mpv", "--no-config", "--really-quiet", "--ao=pcm", played, on_air.mount("aac"))
    on_air.heard_at_least(raw["opus"], 10_000)
    return raw


def test_players_hear_the_show_go_on_through_every_kill(on_air: OnAir, tmp_path: Path) -> None:
    on_air.speak(on_air.made.crew_link)
    raw = record(on_air, tmp_path)
    pause(4)
    for name in ("studio", "usher", "desk", "door-0", "archive", "serve"):
        on_air.running.kill(name)
        pause(2)
    on_air.running.start()
    on_air.running.back("studio", on_air.running.kill("studio"))
    on_air.airs_a_voice()
    on_air.airs(8)
    on_air.end()
    on_air.assert_heard_is_taped(raw)
    reader = on_air.taped().reader
    assert reader.end is not None and [event.what for _, _, event in reader.events].count("resumed") == 2
    for wav in ("ffmpeg-mp3.wav", "ffmpeg-opus.wav"):
        voiced = loudness(tmp_path / wav) > VOICE
        assert voiced[:6].any() and voiced[-4:].any(), f"{wav}: {loudness(tmp_path / wav).round(3)}"
    verified = on_air.running.run("verify", str(on_air.tape))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_with_studio_and_usher_dead_every_edge_plays_on(on_air: OnAir, tmp_path: Path) -> None:
    on_air.speak(on_air.made.crew_link)
    raw = record(on_air, tmp_path)
    pause(3)
    on_air.running.kill("serve")
    for name in ("usher", "studio"):
        on_air.running.kill(name)
    before = raw["opus"].stat().st_size
    pause(4)
    assert raw["opus"].stat().st_size > before + 10_000, "edges make hold by themselves"
    on_air.running.start()
    on_air.airs(8)
    on_air.end()
    on_air.assert_heard_is_taped(raw)
    assert sum(on_air.taped().was_hold("opus")) >= 6


def test_a_reload_is_noticed_by_nobody(on_air: OnAir, tmp_path: Path) -> None:
    """Who listens stays with the old edge until they leave; who comes meets the new one."""
    on_air.speak(on_air.made.crew_link)
    raw = {name: tmp_path / f"heard.{name}" for name in ("mp3", "opus")}
    players = [on_air.hear(name, path) for name, path in raw.items()]
    on_air.heard_at_least(raw["opus"], 10_000)
    old = on_air.running.pids()["edge-0"]
    on_air.running.reload()
    until(lambda: on_air.board_keys("edge-0."), "the old edge retires")
    late = tmp_path / "late.opus"
    on_air.hear("opus", late)
    on_air.heard_at_least(late, 20_000)
    assert all(player.poll() is None for player in players) and Path(f"/proc/{old}").exists()
    assert on_air.edge().listeners == 1 and on_air.edge().pid != old
    until(lambda: on_air.stage().live_n, "the show is live")
    on_air.airs(10)
    on_air.end()
    until(lambda: not Path(f"/proc/{old}").exists(), "the old edge has ended with its last listener")
    assert not on_air.board_keys("edge-0.")
    on_air.assert_heard_is_taped({**raw})


def test_a_listener_whose_edge_dies_resumes_at_the_chunk_it_had(on_air: OnAir, tmp_path: Path) -> None:
    on_air.speak(on_air.made.crew_link)
    out = tmp_path / "listen.mp4"
    argv = on_air.running.command("listen", on_air.made.listener_link, "--json", "--out", str(out))
    listener = on_air.spawn(*argv, output=tmp_path / "listen.json")
    on_air.heard_at_least(out, 10_000)
    on_air.running.back("edge-0", on_air.running.kill("edge-0"))
    on_air.heard_at_least(out, out.stat().st_size + 10_000)
    on_air.end()
    assert listener.wait(WITHIN_S) == 0, (tmp_path / "listen.json").read_text()
    assert '"reconnects": 1' in (tmp_path / "listen.json").read_text()


def test_what_is_spoken_backstage_is_never_recorded(on_air: OnAir, tmp_path: Path) -> None:
    seats = on_air.ask(lambda admin: admin.show(on_air.made.show)).show.seats
    host = next(seat.id for seat in seats if seat.name == "Host")
    on_air.ask(lambda admin: admin.change_seat(on_air.made.show, host, SeatOrder(on_air=False)))
    on_air.speak(on_air.made.crew_link)
    on_air.records(8)
    on_air.end()
    assert all(on_air.taped().was_hold("opus"))
    assert not list((on_air.tape.parent / "stems").glob("*"))


def test_the_replay_is_the_tape(on_air: OnAir, tmp_path: Path) -> None:
    on_air.speak(on_air.made.crew_link)
    on_air.records(8)
    on_air.end()
    for ending in ("m4a", "mp3", "opus"):
        url = on_air.running.url("archive", f"/archive/{on_air.made.show}/replay.{ending}")
        path, proof = tmp_path / f"replay.{ending}", tmp_path / f"{ending}.json"
        name = {"m4a": "aac"}.get(ending, ending)
        proof_url = on_air.running.url("archive", f"/archive/{on_air.made.show}/proof/{name}.json")
        subprocess.run(["curl", "-sf", "-o", str(path), url, "-o", str(proof), proof_url], check=True)
        verified = on_air.running.run("verify", str(path), "--proof", str(proof))
        assert verified.returncode == 0, verified.stdout + verified.stderr
        ffmpeg = ["ffmpeg", "-v", "warning", "-i", str(path), "-f", "null", "-"]
        assert subprocess.run(ffmpeg, capture_output=True, text=True).stderr == ""
