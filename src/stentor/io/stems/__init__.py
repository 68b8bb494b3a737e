"""Appends to the files of stems on a thread of its own. Stems are a help for the edit, not the record of the show: on a
failing or slow disk they are given up and counted, and nothing waits for them."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

WRITES_MAX = 512


class StemFiles:
    """A directory of files that are only appended to. `lost` counts what could not be written."""

    def __init__(self, directory: Path) -> None:
        self.lost = 0
        self._directory = directory
        self._writes: queue.Queue[tuple[str, bytes] | None] = queue.Queue(WRITES_MAX)
        self._thread = threading.Thread(target=self._run, name="stems", daemon=True)
        self._thread.start()

    def append(self, name: str, data: bytes) -> None:
        try:
            self._writes.put_nowait((name, data))
        except queue.Full:
            self.lost += 1

    def close(self, timeout_s: float) -> None:
        """Wait for what is queued, at most `timeout_s`."""
        try:
            self._writes.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (write := self._writes.get()) is not None:
            name, data = write
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
                with (self._directory / name).open("ab") as file:
                    file.write(data)
            except OSError:
                self.lost += 1
