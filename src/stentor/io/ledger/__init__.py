"""The ledger's file: lines are appended and synced once a second by a thread of its own, so that the usher never waits
for a disk. A disk that fails is met with patience, within a bound; what is lost then is counted, and said.

The key by which sources are hashed stands beside the board in tmpfs, never on a disk: it is another each day (UTC), and
gone with the machine, and with it every way from a hash back to an address.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

FLUSH_S = 1.0
RETRY_S = 2.0
PENDING_BYTES_MAX = 1024 * 1024
CLOSE_S_MAX = 3.0
KEY_BYTES = 32
KEY_NAME = "ledger.key"
DAY_S = 86_400


def path(data_dir: Path, show: str) -> Path:
    """Where the ledger of a show is."""
    return data_dir / "shows" / show / "ledger.jsonl"


def size(file: Path) -> int:
    """Bytes that are written already; 0 where there is none. Raises `OSError`."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def day_key(run_dir: Path, unix_s: float) -> bytes:
    """The key of the day: the one that was made today, or a new one in its place. Raises `OSError`."""
    file, day = run_dir / KEY_NAME, int(unix_s // DAY_S).to_bytes(4, "big")
    try:
        held = file.read_bytes()
    except FileNotFoundError:
        held = b""
    if len(held) == len(day) + KEY_BYTES and held.startswith(day):
        return held[len(day) :]
    key = secrets.token_bytes(KEY_BYTES)
    scratch = file.with_name(f".{KEY_NAME}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as new:
        new.write(day + key)
    scratch.rename(file)
    return key


@dataclass(slots=True)
class State:
    """What the thread did last; `lost` lines could not be kept while the disk failed, and were not told of yet."""

    problem: str = ""
    lost: int = 0
    pending_bytes: int = 0


class LedgerFile:
    """Appends to one file after another. Lines that the disk refuses wait, at most `PENDING_BYTES_MAX` of them."""

    def __init__(self) -> None:
        self.state = State()
        self._pending: deque[tuple[Path, bytes]] = deque()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._file: tuple[Path, int] | None = None
        self._thread: threading.Thread | None = None  # until there is something to write

    def append(self, file: Path, lines: bytes) -> bool:
        """Queue `lines`, whole ones; -> False if there is no room for them, and they are lost."""
        with self._lock:
            if self.state.pending_bytes + len(lines) > PENDING_BYTES_MAX:
                self.state.lost += lines.count(b"\n")
                return False
            self._pending.append((file, lines))
            self.state.pending_bytes += len(lines)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
                self._thread.start()
            return True

    def told(self, lost: int) -> None:
        """`lost` lines have been told of."""
        with self._lock:
            self.state.lost -= lost

    def close(self) -> None:
        """Write what waits, if the disk takes it, and end the thread."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S_MAX)

    def _run(self) -> None:
        wait_s = FLUSH_S
        while True:
            closing = self._closing.wait(wait_s)
            wait_s = FLUSH_S if self._flush() else RETRY_S
            if closing:
                break
        self._drop_file()

    def _flush(self) -> bool:
        """Write and sync all that waits; -> whether the disk took it."""
        try:
            while self._pending:
                file, lines = self._next()
                self._write(file, lines)
                self._done(lines)
            if self._file is not None:
                os.fdatasync(self._file[1])
        except OSError as error:
            self.state.problem = error.strerror or str(error)
            self._drop_file()
            return False
        self.state.problem = ""
        return True

    def _next(self) -> tuple[Path, bytes]:
        with self._lock:
            return self._pending[0]

    def _done(self, lines: bytes) -> None:
        with self._lock:
            self._pending.popleft()
            self.state.pending_bytes -= len(lines)

    def _write(self, file: Path, lines: bytes) -> None:
        """All of `lines`, or nothing: what a full disk has taken of them is taken back."""
        descriptor = self._open(file)
        before = os.fstat(descriptor).st_size
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            os.ftruncate(descriptor, before)
            raise

    def _open(self, file: Path) -> int:
        """The descriptor of `file`; if its last line is torn, it is ended, and what follows begins a line."""
        if self._file is not None and self._file[0] == file:
            return self._file[1]
        self._drop_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._file = (file, descriptor)
        end = os.fstat(descriptor).st_size
        if end and os.pread(descriptor, 1, end - 1) != b"\n":
            os.write(descriptor, b"\n")
        return descriptor

    def _drop_file(self) -> None:
        if self._file is not None:
            os.close(self._file[1])
            self._file = None
