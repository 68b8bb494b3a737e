"""A draw at a real door, and `stentor verify --draw` against it: the order of the calls is the one that is proved."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from stentor.formats.crew import NewShow
from stentor.nodes import verify_draw
from support.line import Line
from support.running import installation, until

pytestmark = pytest.mark.scenario
DRAW_IN_S = 12
PLACES, SEATS = 20, 3
Verify = Callable[..., tuple[int, dict[str, Any]]]
BEACON = "9f86d081884c7d65"


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A show with three seats, its doors open, its draw still to come."""
    with installation(tmp_path) as running, ExitStack() as stack:
        running.start()
        times = {"starts_in_s": DRAW_IN_S + 60.0, "draw_before_s": 60.0, "beacon_name": "drand 4242"}
        one = Line(running, running.create_show(NewShow("The final", **times)).show, stack, tmp_path)
        one.seats(SEATS)
        yield one


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """As the command does it, in this process."""

    def run(source: str, **options: str) -> tuple[int, dict[str, Any]]:
        code = verify_draw.main(source, json=True, **options)
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else {"problem": said.err}

    return run


def test_those_are_called_whom_the_proof_has_first(line: Line, verify: Verify, tmp_path: Path) -> None:
    running, page = line.running, line.running.url("door", f"/s/{line.show}")
    until(lambda: "commit" in line.now().get("draw", {}), "the commitment is published")
    noted = line.now()
    known = {"commit": noted["draw"]["commit"], "key": base64.b64decode(noted["key"]).hex()}
    given = [line.place() for _ in range(PLACES)]
    code, report = verify(page, **known)
    assert (code, "no draw has been made" in report["problem"]) == (2, True), report
    line.crew(lambda admin: admin.beacon(line.show, BEACON))
    until(lambda: line.now()["draw"].get("root"), "the draw is made")
    late = line.place()
    until(lambda: line.said().called == SEATS, "those who are first are called")
    called = [one for one in given if "ticket" in line.ask(f"place/{one['place']}").json()]
    assert len(called) == SEATS and "ticket" not in line.join(late["place"])
    for one in called:
        code, report = verify(page, place=one["place"], **known)
        assert (code, report["ok"], report["values"]["key_known"]) == (0, True, True), report
        assert report["values"]["position"] <= SEATS and report["values"]["places"] == PLACES, report
    code, report = verify(page, place=late["place"], **known)
    assert (code, report["values"]["position"]) == (0, PLACES + 1), report
    for name in ("now", "places"):  # as kept by somebody
        (tmp_path / name).write_bytes(line.ask(name).content)
    assert verify(str(tmp_path), **known)[0] == 0
    assert line.ask("draw").json().items() <= line.now()["draw"].items()
    assert verify(page, commit="0" * 64)[0] == 1
    done = running.run("verify", "--draw", page, "--commit", known["commit"], "--place", called[0]["place"])
    assert (done.returncode, done.stdout.endswith("OK\n")) == (0, True), done
