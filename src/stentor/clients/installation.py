"""An installation of Stentor of one's own: free ports, directories that go when it ends, `serve` as a child."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from stentor.clients.admin import Admin
from stentor.formats.crew import CrewWish, NewShow, ShowMade
from stentor.io.processes import PidFiles
from stentor.io.processes.watch import taken
from stentor.settings import Settings, to_environ

ROLES = ("door", "edge", "desk", "studio", "archive")  # those with a port
START_S_MAX = 30.0
STOP_S_MAX = 10.0
CONNECT_S_MAX = 1.0
LOOK_S = 0.05
LOG_CHARS = 2_000  # of the log's end, told when a start fails
EXIT_TERMINATED = 128 + signal.SIGTERM  # as a shell has it
TMPFS = Path("/dev/shm")

Address = tuple[str, int] | str


class NotUp(RuntimeError):
    """The roles did not come up; the text has the end of their log."""


def end_by_sigterm() -> None:
    """From now on SIGTERM ends this process as Ctrl-C would: what it started is ended too, however often it comes."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(EXIT_TERMINATED)

    signal.signal(signal.SIGTERM, end)


@contextmanager
def directories() -> Iterator[tuple[Path, Path]]:
    """-> (data directory, run directory in tmpfs), both gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="stentor-") as data,
        tempfile.TemporaryDirectory(prefix="stentor-", dir=TMPFS if TMPFS.is_dir() else None) as run,
    ):
        yield Path(data), Path(run)


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody holds, by TCP or UDP."""
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in ports and not taken("", port, (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            ports.append(port)
    return ports


def with_free_ports(settings: Settings, *, keep: bool) -> Settings:
    """A free port for each role; with `keep`, only in place of one that is taken."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    names = [f"{role}_port" for role in (*ROLES, *(("source",) if settings.source_port else ()))]
    change = [name for name in names if not keep or taken(settings.bind, getattr(settings, name), kinds)]
    ports: dict[str, Any] = dict(zip(change, free_ports(len(change)), strict=True))
    return replace(settings, **ports)


def addresses(settings: Settings) -> list[Address]:
    """Where an installation accepts connections once it is up."""
    return [*((settings.bind, getattr(settings, f"{role}_port")) for role in ROLES), str(settings.desk_socket)]


def accepts(address: Address) -> bool:
    """Whether somebody takes a connection at (host, port), or at the path of a Unix socket."""
    try:
        if isinstance(address, str):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(CONNECT_S_MAX)
                probe.connect(address)
        else:
            socket.create_connection(address, CONNECT_S_MAX).close()
    except OSError:
        return False
    return True


class Serving:
    """`stentor serve`, running, and its children."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._environ = os.environ | to_environ(settings)
        self.log = settings.data_dir / "serve.log"
        self.serve: asyncio.subprocess.Process | None = None
        self._pids = PidFiles(settings.run_dir / "pids")

    async def spawn(self, log: BinaryIO, *arguments: str) -> asyncio.subprocess.Process:
        """Start a `stentor` command that meets this installation.

        It has a session of its own: Ctrl-C on our terminal is ours to handle.
        """
        argv = (sys.executable, "-m", "stentor.cli", *arguments)
        return await asyncio.create_subprocess_exec(
            *argv, env=self._environ, stdout=log, stderr=log, start_new_session=True
        )

    def kill(self, name: str) -> bool:
        """`kill -9` the child `name`; -> whether it lived."""
        pid = self._pids.pid(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        return pid is not None

    def pids(self) -> dict[str, int]:
        """The processes that live, by name: `serve` and its children."""
        names = [path.stem for path in self._pids.directory.glob("*.pid")]
        found = {name: pid for name in names if (pid := self._pids.pid(name)) is not None}
        return found | ({"serve": self.serve.pid} if self.serve is not None else {})

    def accepts(self) -> bool:
        """Whether every role's port, and the desk's socket, take a connection."""
        return all(map(accepts, addresses(self.settings)))

    async def until_up(self) -> None:
        """Until every role accepts. Raises `NotUp`."""
        deadline = time.monotonic() + START_S_MAX
        while not self.accepts():
            if self.serve is None or self.serve.returncode is not None:
                raise NotUp(f"serve has ended:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise NotUp(f"not all roles were up in {START_S_MAX:.0f} s:\n{self.log_tail()}")
            await asyncio.sleep(LOOK_S)

    async def create_show(self, order: NewShow) -> ShowMade:
        """Announce a show. Raises `admin.AdminError`."""
        async with Admin(self.settings.desk_socket) as desk:
            return await desk.create(order)

    async def wish(self, show_id: str, wish: CrewWish) -> None:
        async with Admin(self.settings.desk_socket) as desk:
            await desk.wish(show_id, wish)

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_CHARS:]


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Serving]:
    """Start `serve` and wait until every role accepts; end it afterwards. Raises `NotUp`."""
    up = Serving(settings)
    with up.log.open("wb") as log:
        up.serve = await up.spawn(log, "serve")
    try:
        await up.until_up()
        yield up
    finally:
        await stop(up.serve)


async def stop(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL to what is still there after `STOP_S_MAX`."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S_MAX)
    except TimeoutError:
        process.kill()
        await process.wait()
