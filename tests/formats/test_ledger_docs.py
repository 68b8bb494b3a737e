"""docs/LEDGER.md names every entry with every field, and no other bounds than there are."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from stentor.core import ledger as core
from stentor.formats import ledger
from stentor.io import ledger as files
from stentor.model.board import Signal

DOCS = Path(__file__).parents[2] / "docs" / "LEDGER.md"


@pytest.mark.parametrize("kind", get_args(ledger.Entry), ids=lambda kind: kind.__name__)
def test_every_entry_is_there_with_all_its_fields(kind: type[msgspec.Struct]) -> None:
    name = kind.__name__.lower()
    row = next(line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{name}` |"))
    missing = [field for field in kind.__struct_fields__ if field != "at_ms" and f"`{field}`" not in row]
    assert not missing


def test_signals_changes_and_bounds_are_those_of_the_code() -> None:
    text = DOCS.read_text()
    assert all(f"`{field}`" in text for field in Signal.__struct_fields__)
    assert f"({', '.join(get_args(ledger.Change))})" in text
    assert (core.BYTES_MAX >> 20, core.RULES_BYTES_MAX >> 20, files.PENDING_BYTES_MAX >> 20) == (64, 32, 1)
    for bound in ("| 64 MiB |", "| the first 32 MiB |", "| 1 MiB of lines |"):
        assert bound in text
