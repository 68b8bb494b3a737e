"""The log of places: who got in line when, in the order in which each door gave them out.

A record has 8 bytes, big-endian: seq u32, issued u32 (Unix second). Each door process appends to a file of its own
under `shows/<show>/places/`, which it holds locked; a file that nobody holds is taken up by the next who comes, so
there are no more files than doors. A record that is cut short by a full disk is taken back, and the place with it.
What is appended outlives every process; it is on the disk as soon as the kernel writes it there.

Beside them stands `drawn`, once the draw is made: the records that were drawn, sorted by seq; and `line`, where the
usher keeps how far the line has come, should the board be lost.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections import OrderedDict
from pathlib import Path

RECORD = struct.Struct(">II")
FILES_MAX = 64  # doors of one show at once
RECORDS_MAX = 16_000_000  # of one file: 128 MB
SHOWS_OPEN_MAX = 32
DRAWN, LINE = "drawn", "line"
_SUFFIX = ".places"


class PlacesError(OSError):
    """There can be no more places in this log."""


class Places:
    """What a door appends to. `shows` is `data_dir/shows`."""

    def __init__(self, shows: Path) -> None:
        self._shows = shows
        self._open: OrderedDict[str, int] = OrderedDict()  # the descriptor of each show, the latest used last

    def append(self, show: str, seq: int, issued: int) -> None:
        """Write down one place; raises `OSError` (`PlacesError` if the log is full), and then there is no place."""
        file = self._file(show)
        size = os.fstat(file).st_size
        if size >= RECORDS_MAX * RECORD.size:
            raise PlacesError(f"{show}: {RECORDS_MAX} places are given out here")
        written = os.write(file, RECORD.pack(seq, issued))
        if written != RECORD.size:
            os.ftruncate(file, size)
            raise PlacesError(f"{show}: only {written} bytes of a place could be written")

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _file(self, show: str) -> int:
        if show not in self._open:
            while len(self._open) >= SHOWS_OPEN_MAX:
                os.close(self._open.popitem(last=False)[1])
            self._open[show] = _take(directory(self._shows, show))
        self._open.move_to_end(show)
        return self._open[show]


def directory(shows: Path, show: str) -> Path:
    """Where the log of a show is."""
    return shows / show / "places"


def drawn_path(shows: Path, show: str) -> Path:
    """The records that were drawn, sorted by seq: the leaves of the root. Not there before the draw; then for good."""
    return directory(shows, show) / DRAWN


def write_drawn(shows: Path, show: str, records: bytes) -> None:
    """Leave what was drawn on the disk, whole or not at all. Raises `OSError`."""
    _write(drawn_path(shows, show), records, sync=True)


def read_drawn(shows: Path, show: str, first: int, count_max: int) -> tuple[bytes, bool]:
    """-> at most `count_max` of the records that were drawn, from the one at `first` on, and whether there are more.
    Raises `OSError`."""
    with drawn_path(shows, show).open("rb") as file:
        file.seek(first * RECORD.size)
        data = file.read(count_max * RECORD.size)
        return data, bool(file.read(1))


def write_line(shows: Path, show: str, data: bytes) -> None:
    """Keep `data` for the next usher: it outlives every process, and a power cut but for seconds. Raises `OSError`."""
    _write(directory(shows, show) / LINE, data, sync=False)


def read_line(shows: Path, show: str) -> bytes:
    """What was kept last; b"" if nothing was. Raises `OSError`."""
    try:
        return (directory(shows, show) / LINE).read_bytes()
    except FileNotFoundError:
        return b""


def _write(path: Path, data: bytes, *, sync: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("wb") as file:
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())
    scratch.rename(path)


def _take(folder: Path) -> int:
    """The descriptor of the first file that no living process holds, cut to whole records."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(FILES_MAX):
        file = os.open(folder / f"{number}{_SUFFIX}", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(file).st_size
            os.ftruncate(file, size - size % RECORD.size)
        except BlockingIOError:
            os.close(file)
            continue
        except BaseException:
            os.close(file)
            raise
        return file
    raise PlacesError(f"{folder}: {FILES_MAX} processes hold a log here")


class Reader:
    """What the usher reads from: every record once, whichever door wrote it; from the beginning after a restart."""

    def __init__(self, shows: Path, show: str) -> None:
        self._folder = directory(shows, show)
        self._read: list[int] = []  # bytes taken of each file

    def read(self, records_max: int) -> bytes:
        """At most `records_max` new records, end to end, in no order; b"" if there are none. Raises `OSError`."""
        taken = b""
        for number in range(FILES_MAX):
            room = records_max * RECORD.size - len(taken)
            if not room or not self._take_from(number):
                break
            data = self._records(number, room)
            self._read[number] += len(data)
            taken += data
        return taken

    def _take_from(self, number: int) -> bool:
        """Whether there is a file of this number: they are numbered without gaps."""
        if number == len(self._read):
            if not self._path(number).exists():
                return False
            self._read.append(0)
        return True

    def _records(self, number: int, room: int) -> bytes:
        path = self._path(number)
        if path.stat().st_size - self._read[number] < RECORD.size:
            return b""
        with path.open("rb", buffering=0) as file:
            file.seek(self._read[number])
            data = file.read(room) or b""
        return data[: len(data) - len(data) % RECORD.size]

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}{_SUFFIX}"
