"""Values on the board, as nodes read and write them: what cannot be read counts as none, and the log says so."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import structlog

from stentor.io.board import Board, BoardError

T = TypeVar("T")
log = structlog.get_logger()


def get(values: Board, key: str, kind: type[T]) -> T | None:
    try:
        return values.get(key, kind)
    except (BoardError, OSError) as error:
        log.warning("unreadable value on the board", key=key, reason=str(error))
        return None


def get_all(values: Board, prefix: str, kind: type[T]) -> dict[str, T]:
    """Every value whose key begins so, by key."""
    found = {key: get(values, key, kind) for key in values.keys(prefix)}
    return {key: value for key, value in found.items() if value is not None}


def put(values: Board, key: str, value: msgspec.Struct) -> None:
    """Publish a value; what cannot be written is left to the next time."""
    try:
        values.put(key, value)
    except OSError as error:
        log.warning("cannot write the board", key=key, reason=str(error))
