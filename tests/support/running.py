"""A `stentor serve` of a test's own: free ports, own directories, everything ended afterwards."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from stentor.clients.admin import Admin
from stentor.clients.installation import accepts, addresses, directories
from stentor.core import hold
from stentor.formats.crew import NewShow, ShowMade
from stentor.io.codec.stored import stored_holds
from stentor.nodes.serve import children, pid_files
from stentor.nodes.show import HOLD_FILE
from stentor.settings import Settings, to_environ
from support.ports import ports_of_roles

T = TypeVar("T")
WITHIN_S = 30.0  # the machine may be busy; nothing waits so long when all is well


def until(condition: Callable[[], T], what: str, within_s: float = WITHIN_S) -> T:
    """Ask again and again until `condition` gives something true; -> that."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
        time.sleep(0.02)
    return value


class Running:
    """One installation. `start` and `stop` may be called again and again."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.settings = settings
        self.log = log
        self._serve: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        """For commands that are to meet this installation."""
        trusted = {"SSL_CERT_FILE": self.settings.tls_chain, "CURL_CA_BUNDLE": self.settings.tls_chain}
        return os.environ | to_environ(self.settings) | (trusted if self.settings.tls_chain else {})

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "stentor.cli", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A `stentor` command against this installation, to its end."""
        argv = self.command(*arguments)
        return subprocess.run(argv, env=self.environ, capture_output=True, text=True, timeout=WITHIN_S)

    def start(self) -> None:
        """Start `serve`, and wait until every role is up."""
        with self.log.open("ab") as log:
            self._serve = subprocess.Popen(self.command("serve"), env=self.environ, stderr=log)
        try:
            until(self.ready, "all roles are up")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-4000:]}") from None

    def ready(self) -> bool:
        """Whether every child lives and every address accepts."""
        assert self._serve is not None and self._serve.poll() is None, f"serve ended\n{self.log.read_text()[-4000:]}"
        return all(self.pids().values()) and all(map(accepts, addresses(self.settings)))

    def accepts(self, role: str) -> bool:
        """Whether the port of `role` takes a connection."""
        return accepts(("127.0.0.1", getattr(self.settings, f"{role}_port")))

    def url(self, role: str, path: str = "/") -> str:
        return f"{self.settings.scheme}://127.0.0.1:{getattr(self.settings, f'{role}_port')}{path}"

    def pids(self) -> dict[str, int | None]:
        """Pid of each child by name (`edge-0`, `studio`, …); None while it is dead."""
        files = pid_files(self.settings)
        return {name: files.pid(name) for name in children(self.settings)}

    def kill(self, name: str) -> int:
        """`kill -9` a child, or `serve` itself; -> the pid it had. It is dead on return, and may be back already."""
        if name == "serve":
            assert self._serve is not None
            self._serve.kill()
            self._serve.wait()
            return self._serve.pid
        pid = self.pids()[name]
        assert pid is not None, f"{name} is not running"
        pidfd = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGKILL)
            # Until its last thread is gone: as long as one is there, its ports take connections.
            assert select.select([pidfd], [], [], WITHIN_S)[0], f"{name} does not die"
        finally:
            os.close(pidfd)
        return pid

    def back(self, name: str, old: int) -> int:
        """Wait until `name` lives again after `kill`; -> its new pid."""
        return until(lambda: (pid := self.pids()[name]) != old and pid, f"{name} is back") or 0

    def create_show(self, order: NewShow) -> ShowMade:
        """Announce a show, as `stentor show create` does."""

        async def create() -> ShowMade:
            async with Admin(self.settings.desk_socket) as desk:
                return await desk.create(order)

        return asyncio.run(create())

    def reload(self) -> None:
        """SIGHUP to `serve`; returns when edge and door are new processes."""
        assert self._serve is not None
        before = self.pids()
        self._serve.send_signal(signal.SIGHUP)
        for name in ("edge-0", "door-0"):
            self.back(name, before[name] or 0)

    def stop(self) -> int:
        """SIGTERM to `serve`; -> its exit code."""
        assert self._serve is not None
        self._serve.terminate()
        return self._serve.wait(WITHIN_S)

    def end(self) -> None:
        """Leave nothing running, however the test went."""
        if self._serve is not None and self._serve.poll() is None:
            self.stop()
        for child in pid_files(self.settings).find():
            child.send(signal.SIGKILL)
            child.close()


@cache
def _hold() -> bytes:
    """Made once for all installations: two seconds of CPU at each first start."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / HOLD_FILE
        stored_holds(path, hold.loop())
        return path.read_bytes()


@contextmanager
def installation(tmp_path: Path, **changes: Any) -> Iterator[Running]:
    """An installation that is not started yet; `changes` to its settings."""
    with directories() as (_, run_dir):
        own = Settings(data_dir=tmp_path / "data", run_dir=run_dir, advertise="127.0.0.1", **ports_of_roles())
        own.data_dir.mkdir(exist_ok=True)
        (own.data_dir / HOLD_FILE).write_bytes(_hold())
        running = Running(replace(own, **changes), tmp_path / "serve.log")
        try:
            yield running
        finally:
            running.end()
