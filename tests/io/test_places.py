"""The log of places: what a door appended is read once, whoever dies; a record cut short is no place."""

from pathlib import Path

import pytest

from stentor.io import places
from stentor.io.places import (
    RECORD,
    Places,
    PlacesError,
    Reader,
    directory,
    drawn_path,
    read_line,
    write_drawn,
    write_line,
)


def read_all(reader: Reader, at_once: int = 100) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while data := reader.read(at_once):
        found += RECORD.iter_unpack(data)
    return found


def test_two_doors_and_a_reader(tmp_path: Path) -> None:
    one, other, reader = Places(tmp_path), Places(tmp_path), Reader(tmp_path, "friday")
    assert reader.read(10) == b""
    for seq in range(10):
        (one, other)[seq % 2].append("friday", seq, 1_000 + seq)
        one.append("saturday", seq + 100, 5)
    assert sorted(read_all(reader, 3)) == [(seq, 1_000 + seq) for seq in range(10)]
    other.append("friday", 10, 2_000)
    assert read_all(reader) == [(10, 2_000)]
    assert len(read_all(Reader(tmp_path, "friday"))) == 11


def test_a_log_is_taken_up_by_the_next_door(tmp_path: Path) -> None:
    first = Places(tmp_path)
    first.append("friday", 1, 1)
    first.close()
    path = directory(tmp_path, "friday") / "0.places"
    path.write_bytes(path.read_bytes() + b"cut")
    reader = Reader(tmp_path, "friday")
    assert read_all(reader) == [(1, 1)]
    second = Places(tmp_path)
    second.append("friday", 2, 2)
    assert read_all(reader) == [(2, 2)]
    assert [item.name for item in path.parent.iterdir()] == ["0.places"]


def test_limits_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "RECORDS_MAX", 1)
    monkeypatch.setattr(places, "FILES_MAX", 1)
    door = Places(tmp_path)
    door.append("friday", 1, 1)
    with pytest.raises(PlacesError, match="given out"):
        door.append("friday", 2, 2)
    with pytest.raises(PlacesError, match="processes"):
        Places(tmp_path).append("friday", 2, 2)


def test_a_record_cut_short_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    door, write = Places(tmp_path), places.os.write
    monkeypatch.setattr(places.os, "write", lambda file, data: write(file, data[:5]))
    with pytest.raises(PlacesError, match="5 bytes"):
        door.append("friday", 1, 1)
    monkeypatch.undo()
    door.append("friday", 2, 2)
    assert read_all(Reader(tmp_path, "friday")) == [(2, 2)]


def test_no_more_files_are_open_than_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "SHOWS_OPEN_MAX", 2)
    door = Places(tmp_path)
    for seq in range(6):
        door.append(f"show-{seq % 3}", seq, 1)
    assert len(door._open) == 2
    assert sum(len(read_all(Reader(tmp_path, f"show-{show}"))) for show in range(3)) == 6


def test_what_was_drawn(tmp_path: Path) -> None:
    write_drawn(tmp_path, "friday", RECORD.pack(1, 2))
    assert drawn_path(tmp_path, "friday").read_bytes() == RECORD.pack(1, 2)
    assert Reader(tmp_path, "friday").read(10) == b""


def test_how_far_the_line_has_come(tmp_path: Path) -> None:
    assert read_line(tmp_path, "friday") == b""
    write_line(tmp_path, "friday", b"17")
    write_line(tmp_path, "friday", b"18")
    assert read_line(tmp_path, "friday") == b"18" and Reader(tmp_path, "friday").read(10) == b""
