"""Rules as workers read them: who is let in a few at a time, who not at all, and who has more than a share.

Big-endian: magic "SR1", u8 0, Unix milliseconds u64, then for each source its key (formats/evidence, 16 bytes), u8 1 to
limit, 2 to drop or 3 for who has more than a share, and u64 Unix milliseconds until when. In a file of tmpfs that is
replaced as a whole.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

LIMIT, DROP, FAVOUR = 1, 2, 3
_HEAD = struct.Struct(">3sxQ")
_ROW = struct.Struct(">16sBQ")
_MAGIC = b"SR1"


class BadRules(ValueError):
    """Not such a file."""


class Block(NamedTuple):
    """`action` is `LIMIT`, `DROP` or `FAVOUR`."""

    action: int
    until_ms: int


def encode(at_ms: int, blocks: Mapping[bytes, Block]) -> bytes:
    return _HEAD.pack(_MAGIC, at_ms) + b"".join(_ROW.pack(key, *block) for key, block in blocks.items())


def decode(data: bytes) -> dict[bytes, Block]:
    """By key. Raises `BadRules`."""
    if len(data) < _HEAD.size or (len(data) - _HEAD.size) % _ROW.size or not data.startswith(_MAGIC):
        raise BadRules(f"{len(data)} bytes are no rules")
    return {key: Block(action, until) for key, action, until in _ROW.iter_unpack(data[_HEAD.size :])}
