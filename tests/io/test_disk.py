"""The tape on a disk that fills up, turns read-only, or dies half-way: nothing acknowledged is lost."""

import errno
import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from stentor.core.tape import TapeReader, TapeWriter
from stentor.formats import chunks, tapemeta
from stentor.io import disk
from stentor.model.rendition import RENDITIONS

HOLDS = {r.id: chunks.Hold(r, (b"\xff\xfb\x54\xc4" + bytes(188),)) for r in RENDITIONS}


def signer(message: bytes) -> bytes:
    return hashlib.sha512(message).digest()


class Show:
    """A writer and its disk, as the studio joins them."""

    def __init__(self, directory: Path, memory_bytes_max: int = 1 << 20) -> None:
        metas = tapemeta.rendition_metas()
        meta = tapemeta.SegmentMeta(1, "s", "t", 0, 0, 24_000, 48_000, 1, "00" * 32, metas)
        self.writer = TapeWriter.begin(meta, HOLDS)
        self.disk = disk.TapeDisk(directory, self.open_segment, memory_bytes_max=memory_bytes_max)

    def open_segment(self, chain: bytes) -> tuple[int, bytes]:
        index = self.writer.segment
        return index, self.writer.open_segment(chain)

    def air(self, count: int) -> None:
        for _ in range(count):
            if not self.disk.has_room:
                return
            before, n = self.writer.chain, self.writer.next_n
            record = self.writer.add_chunk({r.id: b"%d" % n * 100 for r in RENDITIONS})
            self.disk.append(disk.Pending(before, record, n))

    def end(self) -> None:
        before, n = self.writer.chain, self.writer.next_n
        self.disk.append(disk.Pending(before, self.writer.add_end(1, signer), n))


def until_durable(show: Show, n: int) -> None:
    deadline = time.monotonic() + 10
    while show.disk.state.durable_n < n:
        assert time.monotonic() < deadline, show.disk.state
        time.sleep(0.002)


def read(directory: Path) -> TapeReader:
    reader = TapeReader(lambda _key, message, signature: signer(message) == signature)
    for path in disk.segments(directory):
        assert reader.receive_segment(path.read_bytes()), reader.findings
    return reader


def test_what_was_appended_is_on_disk(tmp_path: Path) -> None:
    show = Show(tmp_path)
    show.air(30)
    show.end()
    assert show.disk.close(5)
    reader = read(tmp_path)
    assert reader.end is not None and reader.end.last_n == 30
    assert show.disk.state.durable_n == 31


class FailingDisk:
    """Makes os.write fail as a full or read-only disk does: after `allow` bytes, until `mend`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        self.allow, self.code = -1, code
        self.failed = threading.Event()
        self._write = os.write
        monkeypatch.setattr(disk.os, "write", self.write)

    def write(self, file: int, data: bytes) -> int:
        if self.allow < 0:
            return self._write(file, data)
        if self.allow == 0:
            self.failed.set()
            raise OSError(self.code, os.strerror(self.code))
        wrote = self._write(file, bytes(data)[: self.allow])
        self.allow -= wrote
        return wrote


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_and_comes_back_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(disk, "RETRY_S", 0.01)
    failing = FailingDisk(monkeypatch, code)
    show = Show(tmp_path)
    show.air(10)
    until_durable(show, 10)
    failing.allow = 3_000  # half-way into a record
    show.air(10)
    assert failing.failed.wait(5)
    show.air(10)
    failing.allow = -1
    show.end()
    assert show.disk.close(5)
    reader = read(tmp_path)
    assert reader.end is not None and reader.end.last_n == 30
    assert len(disk.segments(tmp_path)) == 2


def test_records_whose_sync_failed_are_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "RETRY_S", 0.01)
    real, fail = os.fdatasync, [False]

    def fdatasync(file: int) -> None:
        if fail[0]:
            fail[0] = False
            raise OSError(errno.EIO, "Input/output error")
        real(file)

    monkeypatch.setattr(disk.os, "fdatasync", fdatasync)
    show = Show(tmp_path)
    show.air(5)
    until_durable(show, 5)
    fail[0] = True
    show.air(5)
    show.end()
    assert show.disk.close(5)
    reader = read(tmp_path)
    assert reader.end is not None and reader.end.last_n == 10


def test_memory_for_a_failing_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "RETRY_S", 0.01)
    failing = FailingDisk(monkeypatch, errno.ENOSPC)
    failing.allow = 0
    show = Show(tmp_path, memory_bytes_max=10_000)
    show.air(20)
    assert not show.disk.has_room
    assert 1 < show.writer.next_n < 20 and show.disk.state.pending_bytes < 12_000
    assert failing.failed.wait(5)
    assert "No space left" in show.disk.state.problem
    failing.allow = -1
    assert show.disk.close(5)
