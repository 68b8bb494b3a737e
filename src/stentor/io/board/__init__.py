"""The board: the small shared state of the roles. One JSON file a key in tmpfs, one writer a key, the last value wins.

A value is written to a scratch file and renamed, so a reader sees an old value or a new one, never half of one, and
`cat` shows the state of the system. Keys are listed in docs/ARCHITECTURE.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")
VALUE_BYTES_MAX = 256 * 1024


class BoardError(ValueError):
    """A value is too large, or a file on the board is not the JSON that its key stands for."""


class Board:
    """A directory of values. `get` is cheap enough for a poll: an unchanged file is not read again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._prefix = f"{directory}/"
        self._cache: dict[str, tuple[tuple[int, int], object]] = {}

    def put(self, key: str, value: msgspec.Struct) -> None:
        """Publish `value` under `key`. Raises `BoardError` above 256 KiB, `OSError` if it cannot be written."""
        data = msgspec.json.encode(value)
        if len(data) > VALUE_BYTES_MAX:
            raise BoardError(f"{key}: {len(data)} bytes; at most {VALUE_BYTES_MAX}")
        self.directory.mkdir(parents=True, exist_ok=True)
        scratch = self.directory / f".{key}.{os.getpid()}"
        scratch.write_bytes(data)
        scratch.rename(self.directory / f"{key}.json")

    def get(self, key: str, kind: type[T]) -> T | None:
        """The value under `key`, or None if there is none. Raises `BoardError` if it is not a `kind`."""
        path = f"{self._prefix}{key}.json"
        try:
            stat = os.stat(path)  # noqa: PTH116  a Path would take as long again as the look itself
            stamp = (stat.st_mtime_ns, stat.st_ino)
            held = self._cache.get(key)
            if held is not None and held[0] == stamp:
                return held[1]  # type: ignore[return-value]
            value = msgspec.json.decode(Path(path).read_bytes(), type=kind)
        except FileNotFoundError:
            self._cache.pop(key, None)
            return None
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise BoardError(f"{path}: {error}") from None
        self._cache[key] = (stamp, value)
        return value

    def keys(self, prefix: str = "") -> list[str]:
        """The keys on the board that begin with `prefix`, sorted."""
        return sorted(path.stem for path in self.directory.glob(f"{prefix}*.json"))

    def drop(self, key: str) -> None:
        """Take `key` off the board; nothing happens if it is not there."""
        self._cache.pop(key, None)
        (self.directory / f"{key}.json").unlink(missing_ok=True)
