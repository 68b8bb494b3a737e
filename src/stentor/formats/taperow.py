"""The commonest record of a tape, CHUNKS of one chunk with all renditions in order, looked at in one go.

A long tape has tens of thousands of them, and `tape.read` asks much that is settled for all of them by one comparison.
What is not of this shape, be it damaged or hold, is `tape.read`'s to look at.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from stentor.formats import tape

_FIRST = struct.Struct(">4sBBH")  # magic, kind, flags, part count: alike in all rows


class Row(NamedTuple):
    """One record in the bytes that it was found in: its head and table begin at `offset`, its parts at `body`."""

    offset: int
    body: int
    stop: int  # where its tail begins
    end: int
    n: int
    lengths: tuple[int, ...]
    crc: int
    chain: bytes


class Rows:
    """Looks for rows whose parts are those of `ids`, in this order."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._row = struct.Struct(">QQQI" + "II32x" * len(ids))
        self._digests = struct.Struct("28x" + "8x32s" * len(ids))
        self._before_parts = self._row.size - tape.HEAD_BYTES
        self._first = int.from_bytes(_FIRST.pack(tape.MAGIC, tape.Kind.CHUNKS, 0, len(ids)), "big")
        self._ids = tuple(part_id << 16 for part_id in ids)  # with the zero beside each

    def at(self, buffer: memoryview, offset: int) -> Row | None:
        """The row at `offset`, if one is there as a whole and of possible sizes; neither CRC nor chain are checked."""
        body = offset + self._row.size
        if body > len(buffer):
            return None
        row = self._row.unpack_from(buffer, offset)
        if row[0] != self._first or row[1] != row[2] or row[4::2] != self._ids:
            return None
        lengths = row[5::2]
        parts = sum(lengths)
        stop = body + parts
        end = stop + tape.TAIL.size
        if not parts or row[3] != self._before_parts + parts or parts > tape.BODY_BYTES_MAX or end > len(buffer):
            return None
        crc, chain = tape.TAIL.unpack_from(buffer, stop)
        return Row(offset, body, stop, end, row[1], lengths, crc, chain)

    def digests(self, buffer: memoryview, row: Row) -> tuple[bytes, ...]:
        """Those that the table of `row` states."""
        return self._digests.unpack_from(buffer, row.offset)


def goes_on(buffer: memoryview, row: Row, chain: bytes) -> bool:
    """Whether the chain of `row` is the one that goes on from `chain`."""
    return sha256(chain + buffer[row.offset : row.body]).digest() == row.chain


def is_whole(buffer: memoryview, row: Row) -> bool:
    """Whether the CRC is that of the bytes."""
    return zlib.crc32(buffer[row.offset : row.stop]) == row.crc


def is_unchanged(buffer: memoryview, row: Row, before: Sequence[bytes], stated: Sequence[bytes]) -> bool:
    """Whether all parts have bytes, and the digests `stated` are theirs after those `before`."""
    counted, start = row.n.to_bytes(8, "big"), row.body
    for digest, after, length in zip(before, stated, row.lengths, strict=True):
        found = sha256(digest + counted)
        found.update(buffer[start : start + length])
        if found.digest() != after or not length:
            return False
        start += length
    return True
