"""Child processes: found again by whoever comes next, never mistaken for another, watched without polling."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stentor.io import processes
from stentor.io.processes import Child, PidFiles
from stentor.io.processes.watch import Taken, Watch, lock, taken

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
HOLD_A_LOCK = """
import pathlib, sys
from stentor.io.processes.watch import lock
lock(pathlib.Path(sys.argv[1]))
print(1, flush=True)
input()
"""
WAIT_S = 20.0


@pytest.fixture
def sleeper() -> Iterator[Child]:
    child = processes.spawn("sleeper", SLEEP, os.environ)
    yield child
    if processes.start_ticks(child.pid) is not None:
        os.kill(child.pid, signal.SIGKILL)


def test_a_child_has_a_session_of_its_own(sleeper: Child) -> None:
    assert os.getsid(sleeper.pid) == sleeper.pid


@pytest.mark.parametrize(("code", "expected"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -9)])
def test_the_end_of_a_child_is_seen_with_its_code(code: str, expected: int) -> None:
    with Watch() as watch:
        watch.add(processes.spawn("short", [sys.executable, "-c", code], os.environ))
        [(child, ended)], signals = watch.wait(WAIT_S)
    assert (child.name, ended, signals) == ("short", expected, set())


def test_a_signal_to_stop_wakes_the_wait() -> None:
    with Watch() as watch:
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.wait(WAIT_S) == ([], {signal.SIGTERM})


def test_a_living_child_is_found_again_and_its_end_is_seen(sleeper: Child, tmp_path: Path) -> None:
    PidFiles(tmp_path).write(sleeper)
    [found] = PidFiles(tmp_path).find()
    assert (found.name, found.pid, found.ours) == ("sleeper", sleeper.pid, False)
    with Watch() as watch:
        watch.add(found)
        found.send(signal.SIGTERM)
        assert watch.wait(WAIT_S) == ([(found, None)], set())


def test_a_dead_child_is_not_found_and_its_file_goes(tmp_path: Path) -> None:
    child = processes.spawn("short", [sys.executable, "-c", ""], os.environ)
    PidFiles(tmp_path).write(child)
    child.reap()
    assert PidFiles(tmp_path).find() == [] and list(tmp_path.iterdir()) == []


def test_a_corpse_that_nobody_waited_for_counts_as_dead(sleeper: Child) -> None:
    sleeper.send(signal.SIGKILL)
    os.waitid(os.P_PIDFD, sleeper.pidfd, os.WEXITED | os.WNOWAIT)
    assert processes.start_ticks(sleeper.pid) is None


def test_a_pid_given_to_another_process_is_not_taken_for_the_child(tmp_path: Path) -> None:
    (tmp_path / "edge-0.pid").write_text(f"{os.getpid()} 12345\n")
    (tmp_path / "edge-1.pid").write_text("nonsense")
    assert PidFiles(tmp_path).find() == []


def test_the_environment_of_a_child_can_be_seen(tmp_path: Path) -> None:
    child = processes.spawn("sleeper", SLEEP, {**os.environ, "STENTOR_EDGES": "7"})
    assert processes.environ(child.pid)["STENTOR_EDGES"] == "7"
    child.send(signal.SIGKILL)
    child.reap()
    assert processes.environ(child.pid) == {}


def test_a_lock_names_who_holds_it_and_goes_with_them(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    argv = [sys.executable, "-c", HOLD_A_LOCK, path]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "1\n"
        with pytest.raises(Taken, match=f"^{holder.pid}$"):
            lock(path)
        holder.kill()
    lock(path)


def test_a_port_with_a_listener_is_taken_even_if_it_is_shared() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert taken("127.0.0.1", port, [socket.SOCK_STREAM])
        assert not taken("127.0.0.1", port, [socket.SOCK_DGRAM])
    assert not taken("127.0.0.1", port, [socket.SOCK_STREAM])
