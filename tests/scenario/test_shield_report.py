"""What is left of an attack when it is over: a ledger and a report that say what happened, and nobody's address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stentor.commands import Exit
from stentor.nodes import after_action as after
from support import netns
from support.siege import House, house

pytestmark = [pytest.mark.scenario, pytest.mark.skipif(bool(netns.missing()), reason=netns.missing())]

AUDIENCE: dict[str, Any] = {"name": "audience", "kind": "listeners", "net": "10.66.0.0/18", "count": 20}
FLOOD: dict[str, Any] = {
    "name": "flood", "kind": "join_flood", "net": "10.67.1.0/24", "sources": 20, "per_s": 150, "after_s": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


def test_the_ledger_tells_of_the_attack_and_of_nobodys_address(place: House) -> None:
    outcome = place.rehearse([AUDIENCE, FLOOD], 14, more_s=2.0)
    assert outcome.detected_s("flood") is not None, outcome.summary("flood")
    data_dir, show = place.running.settings.data_dir, place.on_air.made.show
    report = after.make(data_dir, show)
    attack = next(one for one in report.verdicts if one.verdict == "attack")
    assert {signal.family for signal in attack.signals} >= {"completion"}
    assert attack.from_ms >= outcome.parts["flood"]["began_ms"]
    assert report.totals.rules_enforced and report.totals.listening_most >= AUDIENCE["count"]
    assert report.source.unread == 0 and not report.source.torn
    assert report.audio.by == "tape" and report.audio.chunks > 20
    kept = [file for file in Path(data_dir).rglob("*") if file.is_file() and file.suffix != ".tape"]
    assert kept and not [file for file in kept if b"10.67.1." in file.read_bytes() or b"10.66.0." in file.read_bytes()]


def test_the_command_says_the_same(place: House) -> None:
    show = place.on_air.made.show
    told = place.running.run("report", show)
    assert told.returncode == Exit.OK, told.stderr
    assert "judged to be an attack" in told.stdout
    assert json.loads(place.running.run("report", show, "--json").stdout)["show"] == show
    page = place.running.run("report", show, "--html").stdout
    assert page.startswith("<!doctype html>") and "10.67." not in page
