"""`serve` with real processes: what dies comes back alone, and the death of `serve` itself is not noticed."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running import Running, installation, until

pytestmark = pytest.mark.scenario


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with installation(tmp_path_factory.mktemp("serve")) as running:
        yield running


@pytest.fixture
def running(shared: Running) -> Running:
    """All roles up, as the test before has left them or started anew."""
    if not all(shared.pids().values()):
        shared.start()
    return shared


def test_a_killed_role_comes_back_and_no_other_is_touched(running: Running) -> None:
    before = running.pids()
    old = running.kill("door-0")
    running.back("door-0", old)
    until(lambda: running.accepts("door"), "the door accepts again")
    after = running.pids()
    assert {name: pid for name, pid in after.items() if name != "door-0"} == {
        name: pid for name, pid in before.items() if name != "door-0"
    }


def test_a_second_serve_is_refused(running: Running) -> None:
    second = running.run("serve")
    assert second.returncode == 3
    assert "serve runs already" in second.stderr and len(second.stderr.splitlines()) == 1


def test_serve_killed_leaves_all_roles_running_and_the_next_takes_them_over(running: Running) -> None:
    before = running.pids()
    running.kill("serve")
    assert running.pids() == before and all(map(running.accepts, ("door", "edge")))
    running.start()
    assert running.pids() == before
    running.back("usher", running.kill("usher"))
    assert running.stop() == 0
    assert not any(running.pids().values())


def test_the_program_goes_before_the_door_where_that_is_permitted(running: Running) -> None:
    log = running.log.read_text()
    if "cpu weights" not in log or "no cpu weights here" in log:
        pytest.skip("no control groups may be made here")
    groups = {name: Path(f"/proc/{pid}/cgroup").read_text() for name, pid in running.pids().items()}
    assert all("stentor-media" in groups[name] for name in ("studio", "usher", "edge-0"))
    assert "stentor-door" in groups["door-0"]
    assert not any("stentor-" in groups[name] for name in ("desk", "archive"))


def test_stop_ends_every_role(running: Running) -> None:
    assert running.stop() == 0
    assert not any(running.pids().values()) and not any(map(running.accepts, ("door", "edge", "desk", "studio")))


@pytest.mark.parametrize("role", ["door", "edge", "studio"])
def test_a_port_that_a_stranger_holds_is_named(stopped: Running, role: str) -> None:
    port = getattr(stopped.settings, f"{role}_port")
    with socket.create_server(("127.0.0.1", port), reuse_port=True):
        refused = stopped.run("serve")
    assert refused.returncode == 3
    assert f"port {port} ({role}_port) is taken" in refused.stderr and len(refused.stderr.splitlines()) == 1
