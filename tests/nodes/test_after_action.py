"""`stentor report`, from an evening that the product's own code has kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from stentor.cli import app
from stentor.formats.report import Report
from stentor.nodes import after_action as after
from support import evening
from support.evening import ATTACK, ERROR, LASTS_S, SHOW, SOURCES, UNVOICED, Evening

PIECES = 2 * (LASTS_S - 10)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        kept = Evening(tmp_path_factory.mktemp("evening"), monkeypatch)
        kept.keep()
    yield kept.data_dir


def test_the_attack_its_evidence_and_its_rules(data_dir: Path) -> None:
    report = after.make(data_dir, SHOW)
    attack = next(one for one in report.verdicts if one.verdict == "attack")
    assert (attack.from_ms // 1000 - evening.T0_S, attack.to_ms // 1000 - evening.T0_S) == (
        ATTACK.start + 4,
        ATTACK.stop,
    )
    assert "none played a second of audio" in attack.signals[0].words
    assert (report.totals.rules, report.totals.rules_enforced) == (SOURCES, SOURCES - 1)
    assert (report.totals.rules_spared, report.totals.rules_released) == (1, 1)
    ends = {rule.ended for rule in report.rules}
    assert ends == {"expired", "released"}
    assert report.source.unread == 0


def test_each_piece_of_audio_has_its_cause(data_dir: Path) -> None:
    audio = after.make(data_dir, SHOW).audio
    assert (audio.by, audio.chunks, audio.signed) == ("tape", PIECES, True)
    assert (audio.unvoiced, audio.studio) == (2 * len(UNVOICED), 12)
    assert audio.unexplained == 0
    assert audio.aired + audio.held == PIECES


def test_the_page_is_whole_and_loads_nothing(data_dir: Path) -> None:
    page = after.as_page(after.make(data_dir, SHOW))
    assert not re.search(r"""(?:src|href|url)\s*[=(]""", page)
    assert "<script" not in page and "The &lt;interview&gt; &amp; after" in page and "<interview>" not in page
    _Balanced().check(page)
    assert "203.0.113" not in page
    assert page.count("<svg") == 6
    assert ERROR in page


class _Balanced(HTMLParser):
    """Every element that is opened is closed, in order."""

    VOID = ("meta", "br")

    def check(self, page: str) -> None:
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_command(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENTOR_DATA_DIR", str(data_dir))
    run, out = CliRunner().invoke, tmp_path / "friday.html"
    text = run(app, ["report", SHOW]).output
    assert "judged to be an attack" in text and "Not the attack's doing" in text
    found = run(app, ["report", SHOW, "--json"])
    assert msgspec.convert(json.loads(found.output), Report).show == SHOW
    assert run(app, ["report", SHOW, "--html", "-o", str(out)]).exit_code == 0
    assert out.read_text().startswith("<!doctype html>")
    assert run(app, ["report", SHOW, "--html", "--json"]).exit_code == 2


@pytest.mark.parametrize("show", ["monday", "../friday", "x" * 80])
def test_what_has_no_ledger_has_no_report(data_dir: Path, monkeypatch: pytest.MonkeyPatch, show: str) -> None:
    monkeypatch.setenv("STENTOR_DATA_DIR", str(data_dir))
    found = CliRunner().invoke(app, ["report", show])
    assert found.exit_code == 1
    assert "no" in found.output


def test_a_torn_ledger_still_has_a_report(data_dir: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "shows" / SHOW / "ledger.jsonl"
    ledger.parent.mkdir(parents=True)
    whole = (data_dir / "shows" / SHOW / "ledger.jsonl").read_bytes()
    ledger.write_bytes(whole[: len(whole) // 2] + b"\n\xff\xfe\n" + whole[: len(whole) // 3])
    report = after.make(tmp_path, SHOW)
    assert report.source.torn and report.source.unread == 2
    assert report.audio.by == "nothing"
