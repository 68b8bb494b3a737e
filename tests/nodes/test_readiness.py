"""What `stentor check` finds, and that every finding that is not good says what mends it."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stentor.cli import app
from stentor.clients.installation import directories
from stentor.nodes import readiness
from stentor.nodes.readiness import Level, examine
from stentor.settings import Settings, to_environ
from support.certs import certificate
from support.ports import ports_of_roles


@pytest.fixture
def settings(tmp_path: Path):
    with directories() as (_, run):
        yield Settings(data_dir=tmp_path / "data", run_dir=run, **ports_of_roles())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Sets what the machine says of itself."""

    def says(**answers: object) -> None:
        for name, answer in answers.items():
            monkeypatch.setattr(readiness.machine, name, lambda *_, answer=answer: answer)

    says(clock_synchronised=True, descriptors_max=1_000_000, kernel_parameter=65_536)
    says(may_raise_priority=True, nft_problem="", on_tmpfs=True, free_bytes=2**40)
    return says


def levels(settings: Settings, what: str) -> set[Level]:
    found = examine(settings)
    assert all(bool(finding.mend) == (finding.level is not Level.GOOD) for finding in found), found
    return {finding.level for finding in found if finding.what == what}


def test_a_machine_that_is_ready(settings: Settings, machine) -> None:
    assert {finding.level for finding in examine(settings)} == {Level.GOOD}


def test_this_machine_answers_for_itself(settings: Settings) -> None:
    whats = [finding.what for finding in examine(settings)]
    assert {"ports", "run_dir", "data_dir", "tls", "clock", "descriptors", "codecs", "nft"} <= set(whats)
    assert levels(settings, "codecs") == {Level.GOOD}


@pytest.mark.parametrize(
    ("what", "answers", "level"),
    [
        ("clock", {"clock_synchronised": False}, Level.WARN),
        ("descriptors", {"descriptors_max": 1_024}, Level.WARN),
        ("kernel", {"kernel_parameter": 128}, Level.WARN),
        ("priority", {"may_raise_priority": False}, Level.WARN),
        ("nft", {"nft_problem": "nft is not installed"}, Level.WARN),
        ("run_dir", {"on_tmpfs": False}, Level.BAD),
        ("run_dir", {"free_bytes": 1_000}, Level.BAD),
        ("data_dir", {"free_bytes": 1_000}, Level.BAD),
        ("data_dir", {"sync_s": 1.5}, Level.WARN),
    ],
)
def test_what_the_machine_lacks(settings: Settings, machine, what: str, answers: dict, level: Level) -> None:
    machine(**answers)
    assert levels(settings, what) == {level}


def test_a_port_that_a_stranger_holds(settings: Settings, machine) -> None:
    with socket.create_server(("127.0.0.1", settings.edge_port)):
        assert levels(settings, "ports") == {Level.BAD}
    assert levels(replace(settings, bind="192.0.2.99"), "ports") == {Level.BAD}
    with socket.create_server(("127.0.0.1", settings.source_port)):
        assert levels(settings, "ports") == {Level.BAD}
        assert levels(replace(settings, source_port=0), "ports") == {Level.GOOD}


def test_a_data_directory_that_cannot_be_made(settings: Settings, machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert levels(replace(settings, data_dir=tmp_path / "file" / "data"), "data_dir") == {Level.BAD}


@pytest.mark.parametrize(("days", "level"), [(90, Level.GOOD), (5, Level.WARN), (-1, Level.BAD)])
def test_the_certificate(settings: Settings, machine, tmp_path: Path, days: float, level: Level) -> None:
    chain, key = certificate(tmp_path, days=days)
    assert levels(replace(settings, tls_chain=str(chain), tls_key=str(key)), "tls") == {level}
    key.unlink()
    assert levels(replace(settings, tls_chain=str(chain), tls_key=str(key)), "tls") == {Level.BAD}


@pytest.mark.parametrize(
    ("changes", "tls", "advertise"),
    [
        ({"bind": "0.0.0.0"}, Level.BAD, None),
        ({"bind": "0.0.0.0", "public_url": "https://live.example"}, Level.GOOD, None),
        ({"bind": "0.0.0.0", "advertise": "8.8.8.8"}, Level.BAD, Level.GOOD),
        ({"bind": "0.0.0.0", "advertise": "10.0.0.4"}, Level.BAD, Level.WARN),
    ],
)
def test_a_machine_that_the_world_reaches(settings, machine, changes, tls, advertise) -> None:
    assert levels(replace(settings, **changes), "tls") == {tls}
    assert advertise is None or levels(replace(settings, **changes), "advertise") == {advertise}


def test_the_command(settings: Settings, machine) -> None:
    runner = CliRunner(env=to_environ(settings))
    assert runner.invoke(app, ["check"]).exit_code == 0
    machine(on_tmpfs=False)
    told = runner.invoke(app, ["check"])
    assert told.exit_code == 1 and "-> set run_dir to a place below /dev/shm" in told.output
    found = json.loads(runner.invoke(app, ["check", "--json"]).output)
    assert {one["level"] for one in found} == {"good", "bad"}
