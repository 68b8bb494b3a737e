"""Numbers are given out once, over all processes and restarts."""

from pathlib import Path

import pytest

from stentor.io import sequence
from stentor.io.sequence import Sequence, SequenceError


def test_no_number_comes_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "BLOCK", 8)
    one, other = Sequence(tmp_path / "seq"), Sequence(tmp_path / "seq")
    given = [source.next() for _ in range(30) for source in (one, other)]
    given += [Sequence(tmp_path / "seq").next() for _ in range(3)]
    assert len(set(given)) == len(given) and min(given) == 1


def test_the_end_of_all_numbers_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "BLOCK", 2)
    monkeypatch.setattr(sequence, "BLOCKS_MAX", 2)
    numbers = Sequence(tmp_path / "seq")
    assert [numbers.next() for _ in range(3)] == [1, 2, 3]
    with pytest.raises(SequenceError, match="given out"):
        numbers.next()


def test_a_file_that_holds_no_count_is_named(tmp_path: Path) -> None:
    (tmp_path / "seq").write_bytes(b"x")
    with pytest.raises(SequenceError, match="seq holds no count"):
        Sequence(tmp_path / "seq").next()
