"""The archive over HTTP: the past of a running show, its replay the moment it has ended, and the proof of it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stentor.core.replay import KINDS
from stentor.formats import fmp4
from stentor.formats import tape as records
from stentor.model.rendition import AAC, OPUS, RENDITIONS
from support import tapes
from support.archives import archive_alone, tape_of
from support.running import Running

pytestmark = pytest.mark.scenario
SECONDS = 8
HELD = (6, 7)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with archive_alone(tmp_path_factory.mktemp("archive")) as alone:
        tapes.build(tape_of(alone, "ended"), SECONDS, show="ended", held=HELD, segments=2)
        yield alone


def get(archive: Running, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(method, archive.url("archive", f"/archive/{path}"), headers=named)


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("suffix", KINDS)
def test_a_replay_can_be_downloaded_and_proven(archive: Running, suffix: str, tmp_path: Path) -> None:
    kind = KINDS[suffix]
    answer = get(archive, f"ended/replay.{suffix}")
    assert answer.status_code == 200 and answer.headers["content-type"] == kind.content_type
    assert answer.headers["content-disposition"] == f'attachment; filename="ended-replay.{suffix}"'
    assert "immutable" in answer.headers["cache-control"] and answer.headers["access-control-allow-origin"] == "*"
    file, proof = tmp_path / f"a.{suffix}", tmp_path / "proof.json"
    file.write_bytes(answer.content)
    proof.write_bytes(get(archive, f"ended/proof/{kind.rendition}.json").content)
    assert archive.run("verify", str(file), "--proof", str(proof)).returncode == 0
    middle = len(answer.content) // 2
    file.write_bytes(answer.content[:middle] + bytes([answer.content[middle] ^ 1]) + answer.content[middle + 1 :])
    refused = archive.run("verify", str(file), "--proof", str(proof))
    assert refused.returncode == 1 and "PROBLEM" in refused.stdout


@pytest.mark.parametrize("suffix", KINDS)
def test_players_decode_the_url(archive: Running, suffix: str) -> None:
    url = archive.url("archive", f"/archive/ended/replay.{suffix}")
    played = subprocess.run(["ffmpeg", "-v", "warning", "-i", url, "-f", "null", "-"], capture_output=True)
    assert (played.returncode, played.stderr) == (0, b"")
    ask = ["ffprobe", "-v", "warning", "-show_entries", "format=duration", "-of", "csv=p=0", url]
    probed = subprocess.run(ask, capture_output=True, text=True)
    info = get(archive, "ended/info").json()
    assert abs(float(probed.stdout) - (info["last_n"] + 1 - info["first_n"]) / 2) < 0.05 and not probed.stderr


def test_ranges(archive: Running) -> None:
    whole = get(archive, "ended/replay.mp3").content
    size, etag = len(whole), get(archive, "ended/replay.mp3").headers["etag"]
    middle = get(archive, "ended/replay.mp3", range="bytes=1000-9999")
    assert (middle.status_code, middle.content) == (206, whole[1000:10_000])
    assert middle.headers["content-range"] == f"bytes 1000-9999/{size}"
    assert get(archive, "ended/replay.mp3", range="bytes=-7").content == whole[-7:]
    assert get(archive, "ended/replay.mp3", range=f"bytes=7-{10 * size}").content == whole[7:]
    beyond = get(archive, "ended/replay.mp3", range=f"bytes={size}-")
    assert code(beyond) == (416, "range-unsatisfiable") and beyond.headers["content-range"] == f"bytes */{size}"
    assert get(archive, "ended/replay.mp3", range="bytes=0-0", if_range=etag).status_code == 206
    for stale in ('"other"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert get(archive, "ended/replay.mp3", range="bytes=0-0", if_range=stale).status_code == 200
    assert get(archive, "ended/replay.mp3", if_none_match=f'"x", {etag}').status_code == 304


def test_head_tells_the_size_and_sends_nothing(archive: Running) -> None:
    asked = get(archive, "ended/replay.m4a", "HEAD")
    assert asked.content == b"" and int(asked.headers["content-length"]) > 10_000
    part = get(archive, "ended/replay.m4a", "HEAD", range="bytes=0-99")
    assert (part.status_code, part.headers["content-length"]) == (206, "100")


def test_chunks_are_those_that_were_aired(archive: Running) -> None:
    answer = get(archive, "ended/opus/4-8")
    sound, grid = tapes.encoded(SECONDS), tapes.meta("ended").grid
    expected = [sound[n][OPUS.id] if n not in HELD else tapes.holds()[OPUS.id].chunk(grid, n) for n in range(4, 9)]
    assert answer.content == b"".join(expected)
    assert "immutable" in answer.headers["cache-control"] and answer.headers["stentor-last"] == "8"
    assert get(archive, "ended/aac/header").content == fmp4.header(AAC)
    assert get(archive, "ended/mp3/header").content == b""


def test_raw_segments_are_the_tape(archive: Running, tmp_path: Path) -> None:
    for path in sorted(tape_of(archive, "ended").iterdir()):
        (tmp_path / path.name).write_bytes(get(archive, f"ended/tape/{path.name}").content)
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert archive.run("verify", str(tmp_path)).returncode == 0
    assert get(archive, "ended/tape/0001.tape", range="bytes=0-3").content == b"STN1"


def test_a_running_show_is_followed_to_its_end(archive: Running) -> None:
    tape = tapes.begin(tape_of(archive, "running"), "running")
    assert code(get(archive, "running/opus/1-9")) == (404, "not-recorded")
    assert get(archive, "running/info").json() == {
        "show": "running", "title": "Town hall", "first_n": 3, "last_n": 2, "ended": False, "chunk_ms": 500,
        "t0_ms": tapes.T0_NS // 10**6,
    }  # fmt: skip
    for stop in (6, 9):
        tape.add_until(stop, SECONDS)
        past = get(archive, "running/mp3-low/1-20")
        assert past.content == b"".join(tapes.encoded(SECONDS)[n][RENDITIONS[5].id] for n in range(3, stop))
        assert past.headers["cache-control"] == "no-store" and past.headers["stentor-last"] == str(stop - 1)
        assert "immutable" in get(archive, "running/mp3-low/3-5").headers["cache-control"]
        assert code(get(archive, "running/replay.m4a")) == (404, "show-not-ended")
        assert code(get(archive, "running/proof/aac.json")) == (404, "show-not-ended")
    tape.append(b"STN1 torn")
    assert get(archive, "running/info").json()["last_n"] == 8
    tape.open_segment()
    tape.add_until(12, SECONDS)
    tape.end()
    assert get(archive, "running/info").json()["ended"] is True
    assert get(archive, "running/replay.opus").content.startswith(b"OggS")


def test_a_damaged_tape_is_served_up_to_the_damage_and_said_to_be_damaged(archive: Running) -> None:
    tape = tapes.build(tape_of(archive, "damaged"), SECONDS, show="damaged")
    path = tape.directory / "0000.tape"
    data = bytearray(path.read_bytes())
    sixth = [record for record in records.scan(bytes(data)) if isinstance(record, records.Record)][6]
    data[sixth.end - 100] ^= 1
    path.write_bytes(data)
    info = get(archive, "damaged/info").json()
    assert (info["ended"], info["last_n"]) == (False, 7)
    assert get(archive, "damaged/aac/3-9").status_code == 200
    broken = get(archive, "damaged/replay.m4a")
    assert code(broken) == (500, "tape-broken") and "checksum" in broken.json()["detail"]
    said = archive.run("verify", str(tape.directory)).stdout
    assert re.search(r"PROBLEM   segment 0, byte \d+: checksum does not match, and whole records follow", said)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("nobody/info", (404, "no-show")),
        ("..%2f..%2fetc/info", (404, "not-found")),
        ("ENDED/info", (404, "no-show")),
        ("%2e%2e/info", (404, "no-show")),
        ("ended/replay.wav", (404, "no-file")),
        ("ended/flac/header", (404, "no-rendition")),
        ("ended/flac/3-5", (404, "no-rendition")),
        ("ended/proof/flac.json", (404, "no-rendition")),
        ("ended/opus/9-3", (400, "bad-span")),
        ("ended/opus/3-43", (400, "bad-span")),
        ("ended/opus/a-b", (400, "bad-span")),
        ("ended/opus/900-905", (404, "not-recorded")),
        ("ended/tape/0002.tape", (404, "no-segment")),
        ("ended/tape/%2e%2e", (404, "no-segment")),
        ("ended/tape/%2e%2e%2f0000.tape", (404, "not-found")),
        ("ended", (404, "not-found")),
    ],
)
def test_what_there_is_not(archive: Running, path: str, expected: tuple[int, str]) -> None:
    assert code(get(archive, path)) == expected


def test_browsers_may_ask_for_ranges_from_another_origin(archive: Running) -> None:
    allowed = get(archive, "ended/replay.m4a", "OPTIONS", origin="http://x", access_control_request_headers="range")
    assert allowed.status_code == 204 and "Range" in allowed.headers["access-control-allow-headers"]
    assert allowed.headers["access-control-allow-origin"] == "*"
    assert code(get(archive, "ended/replay.m4a", "POST")) == (405, "method-not-allowed")
