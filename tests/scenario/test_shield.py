"""An attack among people, on real sockets between network namespaces: it is named, shut out, and nobody else is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stentor.io import nft
from stentor.io.board import Board
from stentor.model import board
from stentor.nodes.guard import shut_out
from support import netns
from support.netns import ENVIRON, entered
from support.running import until
from support.siege import House, Outcome, house

pytestmark = [pytest.mark.scenario, pytest.mark.skipif(bool(netns.missing()), reason=netns.missing())]

CHUNK_MS = 500
PEOPLE: list[dict[str, Any]] = [
    {"name": "audience", "kind": "listeners", "net": "10.66.0.0/18", "count": 60},
    {"name": "newcomers", "kind": "joins", "net": "10.66.64.0/18", "per_s": 8, "stay_s": 5},
    {"name": "office", "kind": "joins", "net": "10.66.128.0/24", "per_s": 4, "behind": 40, "stay_s": 5},
]
HONEST = tuple(part["name"] for part in PEOPLE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


def assert_nobody_was_harmed(outcome: Outcome) -> None:
    """Everybody honest came in, heard, and went on to hear; no rule ever named one of them."""
    for name in HONEST:
        part = outcome.parts[name]
        assert part["came"] == part["joined"] == part["heard"], (name, part)
        assert not part.get("cut") and not part.get("never let in"), (name, part)
    assert not [target for target in outcome.watch.targets() if target.startswith("10.66.")]


def test_a_crowd_is_no_attack(place: House) -> None:
    crowd = {"name": "crowd", "kind": "joins", "net": "10.66.192.0/18", "per_s": 40, "stay_s": 5, "after_s": 1}
    outcome = place.rehearse([*PEOPLE, crowd], 9)
    assert board.Verdict.ATTACK not in outcome.watch.verdicts()
    assert not outcome.watch.targets()
    assert_nobody_was_harmed(outcome)


def test_a_flood_of_joins_is_named_with_its_evidence_and_shut_out(place: House) -> None:
    flood = {"name": "flood", "kind": "join_flood", "net": "10.67.1.0/24", "sources": 20, "per_s": 150, "after_s": 1}
    outcome = place.rehearse([*PEOPLE, flood], 16)
    detected_s, mitigated_s = outcome.detected_s("flood"), outcome.mitigated_s("flood")
    assert detected_s is not None and mitigated_s is not None, outcome.summary("flood")
    words = " ".join(word for one in outcome.watch.seen for word in one.words)
    assert "20 addresses began" in words and "none played two seconds of audio" in words
    assert {target.rpartition(".")[0] for target in outcome.watch.targets()} == {"10.67.1"}
    assert_nobody_was_harmed(outcome)


def test_slow_requests_are_shut_out_by_the_kernel(place: House) -> None:
    slow = {"name": "slow", "kind": "slow_headers", "net": "10.67.2.0/24", "count": 150, "after_s": 1}
    outcome = place.rehearse([*PEOPLE, slow], 12)
    assert outcome.mitigated_s("slow", "10.67.2.") is not None, outcome.summary("slow")
    shut_out = {target for target in outcome.watch.targets() if target.startswith("10.67.2.")}
    assert len(shut_out) > 100
    with entered(place.cable.house):
        counted = subprocess.run(["nft", "list", "chain", "inet", nft.TABLE, "in"], env=ENVIRON, capture_output=True)
    assert b"counter packets 0" not in counted.stdout.splitlines()[2], counted.stdout
    assert_nobody_was_harmed(outcome)


def test_ab_is_found_and_shut_out_while_mpv_plays_on(place: House, tmp_path: Path) -> None:
    """ApacheBench asks for tickets as fast as it gets them; the player hears every chunk."""
    played = tmp_path / "mpv.wav"
    on_air = place.on_air
    mpv = on_air.spawn(
        *("mpv", "--no-config", "--really-quiet", "--no-video", "--ao=pcm", f"--ao-pcm-file={played}"),
        on_air.mount("mp3"),
    )
    on_air.heard_at_least(played, 100_000)
    url = f"http://{netns.HOUSE}:{place.running.settings.door_port}/s/{on_air.made.show}/join"
    with entered(place.cable.world):
        flood = subprocess.Popen(
            ["timeout", "20", "ab", "-q", "-n", "200000", "-c", "20", "-p", "/dev/null", url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        until(lambda: shut_out(place.running.settings).get(f"{netns.WORLD}/32"), "its address is shut out")
        assert Board(place.running.settings.board_dir).get("shield", board.Shield).verdict is board.Verdict.ATTACK
        before = played.stat().st_size
        on_air.heard_at_least(played, before + 4 * 88_200)  # two seconds and more
        assert mpv.poll() is None
    finally:
        flood.kill()
        flood.wait()
        mpv.kill()
    assert on_air.edge().skips == 0 and on_air.edge().drops == 0


@pytest.mark.skipif(shutil.which("slowhttptest") is None, reason="slowhttptest is not installed")
def test_slowhttptest_is_found_and_shut_out_among_people(place: House) -> None:
    """Four hundred requests that never end, from one address; its own rule is made in spite of the one before."""
    url = f"http://{netns.HOUSE}:{place.running.settings.door_port}/"
    argv = ["slowhttptest", "-H", "-c", "400", "-r", "200", "-i", "1", "-l", "15", "-u", url]
    slow: list[subprocess.Popen[bytes]] = []

    def attack() -> None:
        place.on_air.ask(lambda admin: admin.release(place.on_air.made.show, f"{netns.WORLD}/32"))
        until(lambda: f"{netns.WORLD}/32" not in shut_out(place.running.settings), "it is not shut out any more")
        place.on_air.ask(lambda admin: admin.release(place.on_air.made.show, clear=True))
        with entered(place.cable.world):
            slow.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until(lambda: shut_out(place.running.settings).get(f"{netns.WORLD}/32"), "its address is shut out")

    outcome = place.rehearse(PEOPLE, 16, attack)
    slow[0].kill()
    slow[0].wait()
    assert board.Verdict.ATTACK in outcome.watch.verdicts()
    assert_nobody_was_harmed(outcome)
