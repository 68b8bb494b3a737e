"""What is read of the board, and written to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stentor.io.board import Board
from stentor.model import board
from stentor.nodes.values import get, get_all, put


def test_what_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    values = Board(tmp_path)
    put(values, "edge-0", board.Edge(7))
    (tmp_path / "edge-1").write_bytes(b"{half a val")
    assert get(values, "edge-0", board.Edge) == board.Edge(7)
    assert get(values, "edge-1", board.Edge) is None and get(values, "edge-2", board.Edge) is None
    assert get_all(values, "edge-", board.Edge) == {"edge-0": board.Edge(7)}


def test_what_cannot_be_written_is_left_to_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = Board(tmp_path)

    def full(key: str, value: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(values, "put", full)
    put(values, "edge-0", board.Edge(7))
    assert get(values, "edge-0", board.Edge) is None
