"""A wall clock that tests set, by libfaketime: the monotonic clock goes on as it does."""

from __future__ import annotations

from pathlib import Path

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


class Clock:
    """The wall clock of whoever runs with `environ`; `jump` sets how far it is from ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.jump("+0")

    @property
    def environ(self) -> dict[str, str]:
        faked = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self._path), "NO_FAKE_STAT": "1"}
        return faked | {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1"}

    def jump(self, offset: str) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(offset + "\n")
        fresh.rename(self._path)
