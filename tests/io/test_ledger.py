"""The ledger's file: lines whole and in order, through a disk that fails, a crash, and another show."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stentor.io import ledger
from stentor.io.ledger import LedgerFile


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> LedgerFile:
    monkeypatch.setattr(ledger, "FLUSH_S", 0.01)
    monkeypatch.setattr(ledger, "RETRY_S", 0.01)
    return LedgerFile()


def _failing(times: int, taken: int = 0) -> Callable[[int, bytes], int]:
    """A disk that takes `taken` bytes and is full then, `times` times."""
    write, left = os.write, [times]

    def attempt(descriptor: int, data: bytes) -> int:
        if left[0] and taken and len(data) > taken:
            return write(descriptor, data[:taken])
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    return attempt


def test_lines_are_appended_to_the_file_of_each_show(file: LedgerFile, tmp_path: Path) -> None:
    one, other = ledger.path(tmp_path, "friday"), ledger.path(tmp_path, "monday")
    assert ledger.size(one) == 0
    assert file.append(one, b"1\n") and file.append(other, b"2\n") and file.append(one, b"3\n")
    file.close()
    assert (one.read_bytes(), other.read_bytes()) == (b"1\n3\n", b"2\n")
    assert one.stat().st_mode & 0o777 == 0o600
    assert ledger.size(one) == 4
    assert file.state == ledger.State()


def test_a_torn_line_is_ended_before_anything_is_appended(file: LedgerFile, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'1\n{"cut')
    file.append(path, b"2\n")
    file.close()
    assert path.read_bytes() == b'1\n{"cut\n2\n'


@pytest.mark.parametrize("taken", [0, 3])
def test_a_full_disk_is_survived(file: LedgerFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    """What it took of a line is taken back; the lines wait, in order."""
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"0\n")
    monkeypatch.setattr(os, "write", _failing(3, taken))
    for number in range(1, 4):
        file.append(path, b"%d-line\n" % number)
    file.close()
    assert path.read_bytes() in (b"0\n", b"0\n1-line\n2-line\n3-line\n")
    file._flush()  # as often as the thread would have tried
    file._flush()
    file._flush()
    assert path.read_bytes() == b"0\n1-line\n2-line\n3-line\n"
    assert file.state.problem == ""


def test_a_disk_that_fails_says_why(file: LedgerFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", _failing(10**6))
    file.append(tmp_path / "ledger.jsonl", b"1\n")
    file.close()
    assert file.state.problem == "No space left on device"
    assert file.state.pending_bytes == 2


def test_what_there_is_no_room_for_is_counted(
    file: LedgerFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "write", _failing(10**6))
    monkeypatch.setattr(ledger, "PENDING_BYTES_MAX", 4)
    assert file.append(tmp_path / "x", b"1\n2\n") and not file.append(tmp_path / "x", b"3\n4\n")
    assert file.state.lost == 2
    file.told(2)
    assert file.state.lost == 0
    file.close()


def test_the_key_is_of_the_day(tmp_path: Path) -> None:
    noon = 20_000 * ledger.DAY_S + 43_200
    key = ledger.day_key(tmp_path, noon)
    assert len(key) == 32
    assert ledger.day_key(tmp_path, noon + 40_000) == key  # also for the usher that comes next
    assert (tmp_path / ledger.KEY_NAME).stat().st_mode & 0o777 == 0o600
    tomorrow = ledger.day_key(tmp_path, noon + ledger.DAY_S)
    assert tomorrow != key
    assert ledger.day_key(tmp_path, noon) not in (key, tomorrow)  # the old one is nowhere any more
