"""The door and what it is compared with: one worker each on the server's core, with a show that is announced."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stentor.formats import now
from stentor.io.board import Board
from stentor.model import board
from stentor.settings import Settings, to_environ
from support.contestants import SHOW, fetch_once, nginx, serving
from support.processes import SERVER_CORE, Cores, family, free_port

NOW, JOIN = f"/s/{SHOW}/now", f"/s/{SHOW}/join"
_REQUESTS_A_CONNECTION = 1_000_000_000
_STATIC = """root {root}; sendfile on; open_file_cache max=16; default_type application/json;
    keepalive_requests {requests};
    location = /limited {{ alias {root}/now; limit_req zone=all burst=1000000 nodelay; }}"""


class Host(NamedTuple):
    """A running server."""

    port: int
    pids: list[int]


Start = Callable[[Path], contextlib.AbstractContextManager[Host]]


def now_text() -> str:
    """An object of the size that one has during a show."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    at_ms = time.time_ns() // 1_000_000
    table = [[rank << 32, rank * 100] for rank in range(24)]
    fields = {
        "v": 1, "show": SHOW, "title": "Bench", "phase": board.Phase.LIVE, "at_ms": at_ms,
        "n": 9, "listeners": 10_000, "next_poll_ms": now.NEXT_POLL_MS, "chain": "5f" * 32, "chain_n": 8,
        "table": table,
    }  # fmt: skip
    return now.sign(fields, key.public_key().public_bytes_raw(), key.sign)


def announce(settings: Settings) -> None:
    """What the desk and the usher tell a door."""
    values = Board(settings.board_dir)
    at_ms = time.time_ns() // 1_000_000
    values.put("desk", board.Desk(1, (board.Show(SHOW, "Bench", at_ms, at_ms),)))
    values.put(f"now-{SHOW}", board.Now(at_ms, now_text()))


@contextlib.contextmanager
def door(scratch: Path, cores: Cores = SERVER_CORE) -> Iterator[Host]:
    """One worker of the door. Its counters are on the board below `scratch`."""
    settings = Settings(data_dir=scratch / "data", run_dir=scratch / "run", door_port=free_port())
    announce(settings)
    argv = [sys.executable, "-m", "stentor.cli", "door", "--worker", 0]
    with serving(argv, settings.door_port, scratch, to_environ(settings), cores) as process:
        yield Host(settings.door_port, [process.pid])


@contextlib.contextmanager
def static(scratch: Path) -> Iterator[Host]:
    """nginx with a file of the same bytes at /now, and at /limited behind `limit_req` with room for everybody."""
    root = scratch / "root"
    root.mkdir()
    (root / "now").write_text(now_text())
    scratch.chmod(0o755)  # its worker is somebody else
    locations = _STATIC.format(root=root, requests=_REQUESTS_A_CONNECTION)
    with nginx(scratch, locations, http="limit_req_zone $binary_remote_addr zone=all:10m rate=1000000r/s;") as (
        port,
        pid,
    ):
        fetch_once(port, path="/now")  # once it has answered there is a worker
        yield Host(port, family(pid))
