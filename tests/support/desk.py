"""A real desk of a test's own, in its process; the test speaks to it over its port and its socket."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from stentor.io.board import Board
from stentor.model import board
from stentor.settings import Settings, to_environ
from support.ports import ports_of_roles

WITHIN_S = 30.0


class RunningDesk:
    """`start`, `kill` and `stop` may be called again and again; the board stands in for the other roles."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.settings = settings
        self.log = log
        self.board = Board(settings.board_dir)
        self.process: subprocess.Popen[bytes] | None = None
        self.base = f"http://127.0.0.1:{settings.desk_port}"

    def spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            argv = [sys.executable, "-m", "stentor.cli", "desk"]
            return subprocess.Popen(argv, env=os.environ | to_environ(self.settings), stderr=log)

    def start(self) -> None:
        self.process = self.spawn()
        deadline = time.monotonic() + WITHIN_S
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(WITHIN_S)

    def admin(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.HTTPTransport(uds=str(self.settings.desk_socket))
        with httpx.Client(transport=transport, base_url="http://desk") as client:
            return client.request(method, f"/admin{path}", **options)

    def ask(self, method: str, path: str, token: str = "", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.request(method, f"{self.base}/crew{path}", headers=headers, timeout=WITHIN_S, **options)

    def create(self, **fields: Any) -> dict[str, Any]:
        answer = self.admin("POST", "/shows", json={"title": "Town hall", "starts_in_s": 600} | fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def on_board(self) -> board.Desk:
        value = self.board.get("desk", board.Desk)
        assert value is not None
        return value

    def _answers(self) -> bool:
        try:
            return self.admin("GET", "/shows").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running_desk(tmp_path: Path, **changes: Any) -> Iterator[RunningDesk]:
    with tempfile.TemporaryDirectory(prefix="stentor-", dir="/dev/shm") as run_dir:
        own = Settings(data_dir=tmp_path / "data", run_dir=Path(run_dir), **ports_of_roles())
        desk = RunningDesk(replace(own, **changes), tmp_path / "desk.log")
        try:
            desk.start()
            yield desk
        finally:
            if desk.process is not None:
                desk.kill()
