"""The commands against real roles: a show is created, heard through the death of its edge, ended, and verified."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from stentor.formats.crew import NewShow, ShowMade
from stentor.io.board import Board
from stentor.model.board import Stage
from support.running import WITHIN_S, Running, installation, until

pytestmark = pytest.mark.scenario


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with installation(tmp_path_factory.mktemp("listen")) as running:
        running.start()
        yield running


@pytest.fixture
def show(running: Running) -> ShowMade:
    """A show without speakers, its ring filling."""
    made = running.create_show(NewShow("Silence", starts_in_s=1.0))
    board = Board(running.settings.board_dir)
    until(lambda: (stage := board.get("stage", Stage)) and stage.show == made.show and stage.live_n, "it is live")
    return made


@pytest.fixture
def listening(running: Running, show: ShowMade) -> Iterator[subprocess.Popen[str]]:
    """`stentor listen` on the show's page, until the show ends."""
    until(lambda: not listeners(running), "those of the test before have left")
    argv = running.command("listen", show.listener_link, "--rendition", "aac", "--json")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def listeners(running: Running) -> int:
    """Established connections to the edge, as the edge's counters say."""
    found = json.loads((running.settings.board_dir / "edge-0.json").read_text())
    return int(found.get("listeners", 0))


def test_the_commands_tell_what_a_show_is_and_what_it_became(running: Running, show: ShowMade) -> None:
    listed = json.loads(running.run("show", "list", "--json").stdout)
    assert [(one["id"], one["phase"]) for one in listed["shows"]] == [(show.show, "live")]
    heard = json.loads(running.run("listen", show.listener_link, "--for", "2s", "--decode", "--json").stdout)
    assert heard["fine"] and heard["dbfs"] and heard["undecodable"] == 0
    assert running.run("show", "notice", show.show, "Welcome").returncode == 0
    assert running.run("show", "end", show.show).returncode == 0
    tape = running.settings.data_dir / "shows" / show.show / "tape"
    until(lambda: running.run("verify", str(tape)).returncode == 0, "the tape is whole and signed")


def test_a_listener_misses_nothing_when_the_edge_is_killed(
    running: Running, show: ShowMade, listening: subprocess.Popen[str]
) -> None:
    until(lambda: listeners(running), "somebody listens")
    running.back("edge-0", running.kill("edge-0"))
    until(lambda: running.accepts("edge") and listeners(running), "somebody listens again")
    assert running.run("show", "end", show.show).returncode == 0
    out, _ = listening.communicate(timeout=WITHIN_S)
    heard = json.loads(out)
    assert listening.returncode == 0, heard
    assert (heard["fine"], heard["ended"], heard["missing"], heard["doubles"]) == (True, True, 0, 0)
    assert heard["reconnects"] >= 1 and heard["joins"] == 1


def test_what_does_not_exist_is_said_in_a_line(running: Running) -> None:
    for arguments, code, text in (
        (("show", "end", "no-such-show"), 1, "show-unknown"),
        (("listen", running.url("door", "/s/no-such-show"), "--for", "20s"), 1, "No such show"),
        (("show", "create", "Undecided"), 2, "--at or --in"),
        (("verify", "/no/such/tape"), 2, "No such file or directory"),
    ):
        answer = running.run(*arguments)
        assert (answer.returncode, answer.stdout, text in answer.stderr) == (code, "", True), answer


def test_without_a_desk_the_commands_say_what_to_do(stopped: Running) -> None:
    answer = stopped.run("show", "list")
    assert answer.returncode == 3 and "start it with `stentor serve`" in answer.stderr
