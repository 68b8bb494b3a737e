"""Shows that cannot be, refused at once with the reason: by `stentor show create`, and by the desk's API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stentor.commands import Exit
from support.desk import RunningDesk, running_desk
from support.running import Running

pytestmark = pytest.mark.scenario
GUESTS = [f"Guest {number}" for number in range(1, 17)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    with running_desk(tmp_path_factory.mktemp("desk")) as desk:
        yield desk


@pytest.mark.parametrize("chunk_ms", [2000, 1000, 260, 7, 0, -1])
def test_a_chunk_length_that_cannot_be(desk: RunningDesk, chunk_ms: int) -> None:
    refused = desk.admin("POST", "/shows", json={"title": "x", "starts_in_s": 600, "chunk_ms": chunk_ms})
    assert (refused.status_code, refused.json()["code"]) == (422, "input-invalid")
    assert f"chunk_ms: {chunk_ms}; 250 or 500" in refused.json()["detail"]
    assert not any(show.chunk_ms == chunk_ms for show in desk.on_board().shows)


def test_the_command_says_so_in_one_line(desk: RunningDesk) -> None:
    command = Running(desk.settings, desk.log)
    for arguments, reason in (
        (("--chunk-ms", "2000"), "a slot of the ring"),
        ([word for name in GUESTS for word in ("--guest", name)], "at most 15 guests beside its host"),
        (("--on-air", "Nobody"), "neither the host nor a guest"),
    ):
        refused = command.run("show", "create", "Too much", "--in", "10m", *arguments)
        assert refused.returncode == Exit.NOT_FINE and not refused.stdout
        (line,) = refused.stderr.splitlines()
        assert line.startswith("stentor: ") and reason in line, line


def test_a_show_has_as_many_seats_as_the_stage_has_places(desk: RunningDesk) -> None:
    made = desk.create(guests=GUESTS[:-1])
    assert len(made["guest_links"]) + 1 == desk.settings.speakers_max == 16
    refused = desk.ask("POST", "/api/seats", made["crew_token"], json={"name": GUESTS[-1]})
    assert (refused.status_code, refused.json()["code"]) == (409, "seats-full")
    assert "at most 15 guests beside its host (speakers_max is 16)" in refused.json()["detail"]
