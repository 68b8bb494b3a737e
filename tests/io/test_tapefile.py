"""Segments of a tape directory, as readers see them."""

from pathlib import Path

import pytest

from stentor.io.tapefile import TapeFiles, segment_name


def test_segments_are_counted_up_to_the_first_gap(tmp_path: Path) -> None:
    files = TapeFiles(tmp_path)
    assert files.count() == 0
    for index in (0, 1, 3):
        (tmp_path / segment_name(index)).touch()
    assert files.count() == 2
    (tmp_path / segment_name(2)).touch()
    assert files.count() == 4


def test_a_growing_segment_is_read_as_it_is_now(tmp_path: Path) -> None:
    path, files = tmp_path / segment_name(0), TapeFiles(tmp_path)
    path.write_bytes(b"")
    assert bytes(files.mapped(0)) == b""
    with path.open("ab") as file:
        file.write(b"one")
    assert (files.size(0), bytes(files.mapped(0)), files.read(0, 1, 2)) == (3, b"one", b"ne")
    files.warm(0, 0)
    with pytest.raises(EOFError, match="ends at byte 3"):
        files.read(0, 2, 9)


def test_mappings_are_read_only(tmp_path: Path) -> None:
    (tmp_path / segment_name(0)).write_bytes(b"tape")
    with pytest.raises(TypeError):
        TapeFiles(tmp_path).mapped(0)[0] = 1


def test_files_are_closed_when_nobody_reads_them(tmp_path: Path) -> None:
    (tmp_path / segment_name(0)).write_bytes(b"tape")
    files = TapeFiles(tmp_path)
    files.read(0, 0, 1)
    link = next(
        link for link in Path("/proc/self/fd").iterdir() if link.exists() and link.samefile(tmp_path / "0000.tape")
    )
    del files
    assert not link.exists()
