"""The ring: readers see whole chunks or none, whatever happens to the writer."""

import multiprocessing
import os
import signal
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.formats.chunks import Hold
from stentor.io import ring
from stentor.model.grid import Grid
from stentor.model.rendition import RENDITIONS

GRID = Grid(11, 22, 24_000)


def holds() -> dict[int, Hold]:
    return {r.id: Hold(r, (b"hold", bytes([r.id]))) for r in RENDITIONS}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "show.ring"


def test_what_is_laid_is_attached(path: Path) -> None:
    one = ring.create(path, "town-hall", GRID, holds())
    one.live_n, one.end_n = 5, 900
    other = ring.Ring(path)
    assert (other.show, other.grid, other.live_n, other.end_n) == ("town-hall", GRID, 5, 900)
    assert other.holds == holds()


def test_a_chunk_is_written_once(path: Path) -> None:
    one, other = ring.create(path, "s", GRID, holds()), ring.Ring(path)
    assert one.publish(2, 1, b"voice")
    assert not other.publish(2, 1, b"hold", hold=True)
    assert other.get(2, 1) == ring.Chunk(1, b"voice", False)
    assert other.heads().by_id == (0, 0, 1, 0, 0, 0) and other.heads().whole == 0
    assert other.get(2, 2) is None and other.get(0, 1) is None and other.get(2, 0) is None


def test_who_makes_the_program_is_known_until_they_leave(path: Path) -> None:
    one, other, third = ring.create(path, "s", GRID, holds()), ring.Ring(path), ring.Ring(path)
    assert not third.attended
    assert one.attend() and one.attend()
    assert third.attended and not other.attend()
    assert other.publish(2, 1, b"hold", hold=True), "whoever makes the program keeps nobody from filling in"
    other.close()
    assert third.attended
    one.leave()
    assert not third.attended


def _attend(path: Path, up: "multiprocessing.synchronize.Event") -> None:
    ring.Ring(path).attend()
    up.set()
    time.sleep(60)


def test_the_death_of_who_makes_the_program_is_known_at_once(path: Path) -> None:
    one = ring.create(path, "s", GRID, holds())
    spawn = multiprocessing.get_context("fork")
    up = spawn.Event()
    maker = spawn.Process(target=_attend, args=(path, up))
    maker.start()
    assert up.wait(10) and one.attended
    assert maker.pid is not None
    os.kill(maker.pid, signal.SIGKILL)
    maker.join(10)
    assert not one.attended


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=300))
@settings(max_examples=20, deadline=None)
def test_the_last_minute_is_there_and_no_more(tmp_path_factory: pytest.TempPathFactory, datas: list[bytes]) -> None:
    one = ring.create(tmp_path_factory.mktemp("ring") / "r.ring", "s", GRID, holds())
    for n, data in enumerate(datas, 1):
        one.publish(0, n, data)
    for n, data in enumerate(datas, 1):
        found = one.get(0, n)
        assert found is None or found.data == data
        assert found is not None or n < one.oldest()


def test_a_chunk_that_does_not_fit_is_refused(path: Path) -> None:
    one = ring.create(path, "s", GRID, holds())
    with pytest.raises(ring.RingError, match="slot"):
        one.publish(0, 1, bytes(ring.SLOT_BYTES))
    assert one.head(0) == 0


@pytest.mark.parametrize("data", [b"", b"x" * 5000, b"STNRING1" + bytes(40)])
def test_a_file_that_is_no_ring_gets_a_reason(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(ring.RingError, match=str(path)):
        ring.Ring(path)


def write_for_ever(path: Path) -> None:
    one = ring.Ring(path)
    n = one.head(0)
    while True:
        n += 1
        one.publish(0, n, (b"%d;" % n) * 2000)


def test_a_writer_killed_at_any_moment_leaves_whole_chunks_and_no_lock(path: Path) -> None:
    reader = ring.create(path, "s", GRID, holds())
    for _ in range(8):
        writer = multiprocessing.get_context("fork").Process(target=write_for_ever, args=(path,))
        writer.start()
        before, deadline = reader.head(0), time.monotonic() + 10
        while reader.head(0) < before + 300 and time.monotonic() < deadline:
            chunk = reader.get(0, reader.head(0))
            assert chunk is None or zlib.crc32(chunk.data) == zlib.crc32((b"%d;" % chunk.n) * 2000)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        head = reader.head(0)
        for n in range(head - 50, head + 1):
            chunk = reader.get(0, n)
            assert chunk is not None and chunk.data == (b"%d;" % n) * 2000
        assert reader.publish(0, head + 1, (b"%d;" % (head + 1)) * 2000)
