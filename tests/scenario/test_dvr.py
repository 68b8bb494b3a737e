"""HLS of the past in a stock player: a running show from its first second on, and the replay of one that has ended."""

import gzip
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from stentor.formats.m3u8 import CONTENT_TYPE
from stentor.model.rendition import AAC
from support import tapes
from support.archives import archive_alone, tape_of
from support.running import WITHIN_S, Running, until

pytestmark = pytest.mark.scenario
SECONDS = 12
STOP_N = 23  # chunks before it are whole in every rendition
PLAY = ("ffmpeg", "-v", "error", "-live_start_index", "0")
RAW = ("-flush_packets", "1", "-f", "s16le", "-ac", "1", "-ar", "48000", "-y")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with archive_alone(tmp_path_factory.mktemp("archive")) as alone:
        tapes.build(tape_of(alone, "ended"), SECONDS, show="ended", held=(6, 7), segments=2)
        yield alone


def url(archive: Running, path: str) -> str:
    return archive.url("archive", f"/archive/{path}")


def decoded(archive: Running, path: str, out: Path) -> npt.NDArray[np.int16]:
    played = subprocess.run([*PLAY, "-i", url(archive, path), *RAW, out], capture_output=True, timeout=WITHIN_S)
    assert (played.returncode, played.stderr) == (0, b"")
    return np.frombuffer(out.read_bytes(), np.int16)


def test_an_ended_show_is_its_replay(archive: Running, tmp_path: Path) -> None:
    """Sample for sample what the file has, which leaves out the encoder's priming."""
    heard = decoded(archive, "ended/dvr.m3u8", tmp_path / "hls.raw")
    file = tmp_path / "replay.m4a"
    file.write_bytes(httpx.get(url(archive, "ended/replay.m4a")).content)
    whole = tmp_path / "file.raw"
    subprocess.run(["ffmpeg", "-v", "error", "-i", file, *RAW, whole], check=True, timeout=WITHIN_S)
    saved = np.frombuffer(whole.read_bytes(), np.int16)
    skip = len(heard) - len(saved)
    assert 0 <= skip < 3 * AAC.frame_samples
    assert np.abs(heard[skip + 2048 :].astype(int) - saved[2048:]).max() <= 1


def test_what_caches_are_told(archive: Running) -> None:
    index = httpx.get(url(archive, "ended/dvr.m3u8"))
    assert index.headers["content-type"] == CONTENT_TYPE and index.headers["access-control-allow-origin"] == "*"
    uris = [line for line in index.text.splitlines() if not line.startswith("#")]
    assert uris == ["aac/dvr.m3u8", "aac-low/dvr.m3u8", "opus/dvr.m3u8"]
    playlist = httpx.get(url(archive, "ended/aac/dvr.m3u8"), headers={"Accept-Encoding": "gzip"})
    assert playlist.headers["content-encoding"] == "gzip" and "immutable" in playlist.headers["cache-control"]
    plain = httpx.get(url(archive, "ended/aac/dvr.m3u8"), headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.text == playlist.text
    assert plain.headers["vary"] == playlist.headers["vary"] == "Accept-Encoding"
    assert "\n3-8.m4s\n" in plain.text and plain.text.endswith("#EXT-X-ENDLIST\n")
    assert len(gzip.compress(plain.content)) < len(plain.content)
    for name in ("3-8.m4s", "init.mp4"):
        assert "immutable" in httpx.get(url(archive, f"ended/aac/{name}")).headers["cache-control"]


def test_a_running_show_plays_from_its_first_second_to_its_end(archive: Running, tmp_path: Path) -> None:
    tape = tapes.begin(tape_of(archive, "running"), "running")
    tape.add_until(8, SECONDS)
    soon = httpx.get(url(archive, "running/aac/dvr.m3u8"))
    assert soon.json()["code"] == "not-recorded" and soon.headers["retry-after"] == "4"
    tape.add_until(19, SECONDS)
    running = httpx.get(url(archive, "running/aac/dvr.m3u8"))
    assert running.headers["cache-control"] == "public, max-age=2"
    assert running.text.count("#EXTINF") == 2 and "EVENT" in running.text and "ENDLIST" not in running.text
    out = tmp_path / "heard.raw"
    argv = [*PLAY, "-i", url(archive, "running/dvr.m3u8"), *RAW, out]
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as player:
        try:
            until(lambda: out.exists() and out.stat().st_size, "it plays")
            tape.add_until(STOP_N, SECONDS)
            tape.end()
            said = player.communicate(timeout=WITHIN_S)[1]
        finally:
            player.kill()
    assert (player.returncode, said) == (0, b"")
    ended = httpx.get(url(archive, "running/aac/dvr.m3u8")).text
    assert ended.startswith(running.text)
    assert abs(out.stat().st_size / 2 - (STOP_N - tapes.FIRST_N) * 24_000) < AAC.frame_samples


@pytest.mark.parametrize(
    ("path", "code"),
    [("nobody/dvr.m3u8", "no-show"), ("ended/mp3/dvr.m3u8", "no-playlist"), ("ended/flac/dvr.m3u8", "no-rendition")],
)
def test_what_there_is_not(archive: Running, path: str, code: str) -> None:
    answer = httpx.get(url(archive, path))
    assert (answer.status_code, answer.json()["code"]) == (404, code)
