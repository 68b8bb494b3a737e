"""An attack among people, on real sockets between network namespaces: it is named, shut out, and nobody else is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from stentor.io import nft
from stentor.model import board
from support import netns
from support.netns import ENVIRON, entered
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
