"""The tape record: one format for all that is written beside a live show. docs/TAPE.md is the specification.

Big-endian. A record is

    head    28  magic "STN1", kind u8, flags u8, part count u16, n u64, last u64, length u32 (of table + parts)
    table   40 a part: id u16, zero u16, length u32, digest 32
    parts       their bytes, in the order of the table
    crc32   4   over head, table and parts
    chain   32  SHA-256(chain of the record before, head, table)

The table carries a digest of every part, so the chain covers all bytes without hashing them twice.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from enum import IntEnum
from functools import cache
from hashlib import sha256
from itertools import accumulate
from typing import NamedTuple

MAGIC = b"STN1"
GENESIS = bytes(32)
PARTS_MAX = 64
BODY_BYTES_MAX = 16 * 1024 * 1024
_HEAD = struct.Struct(">4sBBHQQI")
HEAD_BYTES = _HEAD.size
_ENTRY = struct.Struct(">HHI32s")
TAIL = struct.Struct(">I32s")  # CRC, chain

PART_META = 0  # JSON
PART_SIGNATURE = 1  # Ed25519 over `SIGNED_PREFIX` + the bytes of PART_META
PART_HEADER = 16  # + rendition id: what goes before the first chunk
PART_HOLD = 32  # + rendition id: the packed hold
SIGNED_PREFIX = b"stentor tape end\n"


class Kind(IntEnum):
    """`SEGMENT` begins a file and is no link of the chain; all others are links."""

    SEGMENT = 1
    CHUNKS = 2
    EVENT = 3
    END = 4


_KINDS = {int(kind): kind for kind in Kind}


class Part(NamedTuple):
    id: int
    digest: bytes
    data: bytes


class Located(NamedTuple):
    """A part as found in a segment: where its bytes are."""

    digest: bytes
    offset: int
    length: int


class Record(NamedTuple):
    """One record as found in a segment. `n` and `last`: the chunks it covers, or where it stands among them.

    Its parts are in columns, in the order of the table, since a long show has a hundred thousand of them.
    """

    kind: Kind
    n: int
    last: int
    ids: tuple[int, ...]
    digests: tuple[bytes, ...]
    lengths: tuple[int, ...]
    offsets: tuple[int, ...]
    linked: bytes  # head + table: what the chain hashes
    chain: bytes
    offset: int
    end: int

    @property
    def parts(self) -> dict[int, Located]:
        """The parts by id."""
        columns = zip(self.ids, self.digests, self.offsets, self.lengths, strict=True)
        return {part_id: Located(digest, offset, length) for part_id, digest, offset, length in columns}

    def in_order(self, ids: tuple[int, ...]) -> Record:
        """The same record with its parts in the order of `ids`, which must be those that it has."""
        if self.ids == ids:
            return self
        parts = self.parts
        digests, offsets, lengths = zip(*(parts[part_id] for part_id in ids), strict=True)
        return self._replace(ids=ids, digests=digests, lengths=lengths, offsets=offsets)


class Broken(NamedTuple):
    """Where reading had to stop, and why. `torn`: the file just ends here, as after a crash."""

    offset: int
    reason: str
    torn: bool


def link(chain: bytes, linked: bytes) -> bytes:
    """The chain after a record whose head and table are `linked`."""
    return sha256(chain + linked).digest()


def rendition_link(chain: bytes, n: int, data: bytes | memoryview) -> bytes:
    """The digest of one rendition after chunk `n` with the bytes `data`: a chain of its own."""
    digest = sha256(chain + n.to_bytes(8, "big"))
    digest.update(data)
    return digest.digest()


def linked_digests(linked: bytes) -> tuple[int, dict[int, bytes]]:
    """-> (`last`, digest by part id) of a CHUNKS record's head and table; raises `ValueError` for anything else."""
    if len(linked) < _HEAD.size or (len(linked) - _HEAD.size) % _ENTRY.size:
        raise ValueError(f"{len(linked)} bytes are no head and table")
    magic, kind, _, count, _, last, _ = _HEAD.unpack_from(linked)
    table = list(_ENTRY.iter_unpack(linked[_HEAD.size :]))
    if magic != MAGIC or kind != Kind.CHUNKS or len(table) != count:
        raise ValueError("not the head and table of a CHUNKS record")
    return last, {part_id: digest for part_id, _, _, digest in table}


def encode(kind: Kind, n: int, last: int, parts: Sequence[Part], chain: bytes) -> tuple[bytes, bytes]:
    """-> (bytes of the record, the chain after it). A SEGMENT states `chain` and does not move it."""
    table = b"".join(_ENTRY.pack(part.id, 0, len(part.data), part.digest) for part in parts)
    body = b"".join(part.data for part in parts)
    assert len(parts) <= PARTS_MAX and len(body) <= BODY_BYTES_MAX
    linked = _HEAD.pack(MAGIC, kind, 0, len(parts), n, last, len(table) + len(body)) + table
    after = chain if kind is Kind.SEGMENT else link(chain, linked)
    return linked + body + TAIL.pack(zlib.crc32(body, zlib.crc32(linked)), after), after


def plain(part_id: int, data: bytes) -> Part:
    """A part whose digest is the SHA-256 of its bytes."""
    return Part(part_id, sha256(data).digest(), data)


def read(buffer: bytes | memoryview, offset: int = 0, *, chunks_later: bool = False) -> Record | Broken | None:
    """The record at `offset`, None at the exact end of the buffer, or why there is none. Checks magic, bounds, CRC.

    With `chunks_later` the CRC of a CHUNKS record is left to a second look.
    """
    size = len(buffer)
    if offset == size:
        return None
    if offset + _HEAD.size > size:
        return Broken(offset, "record head cut short", True)
    magic, kind, flags, count, _, _, length = _HEAD.unpack_from(buffer, offset)
    if magic != MAGIC or kind not in _KINDS or flags:
        return Broken(offset, "not a tape record", False)
    table_at = offset + _HEAD.size
    table_end, stop = table_at + count * _ENTRY.size, table_at + length
    if count > PARTS_MAX or length > BODY_BYTES_MAX + count * _ENTRY.size or stop < table_end:
        return Broken(offset, "impossible sizes in a record head", False)
    if stop + TAIL.size > size:
        return Broken(offset, "record cut short", True)
    crc, _ = TAIL.unpack_from(buffer, stop)
    unseen = chunks_later and kind == Kind.CHUNKS
    if not unseen and zlib.crc32(memoryview(buffer)[offset:stop]) != crc:
        return Broken(offset, "checksum does not match", stop + TAIL.size == size)
    try:
        return parse(buffer, offset)
    except ValueError as error:
        return Broken(offset, str(error), False)


def parse(buffer: bytes | memoryview, offset: int) -> Record:
    """The record at `offset`, where `read` has found that there is one. Raises `ValueError` for a malformed table."""
    _, kind, _, count, n, last, length = _HEAD.unpack_from(buffer, offset)
    table_at = offset + _HEAD.size
    table_end, stop = table_at + count * _ENTRY.size, table_at + length
    table = _table(count).unpack_from(buffer, table_at)
    ids, lengths = table[0::4], table[2::4]
    *offsets, parts_end = accumulate(lengths, initial=table_end)
    if parts_end != stop or any(table[1::4]) or len(set(ids)) != count:
        raise ValueError("the table does not add up")
    linked, end = bytes(memoryview(buffer)[offset:table_end]), stop + TAIL.size
    _, chain = TAIL.unpack_from(buffer, stop)
    return Record(_KINDS[kind], n, last, ids, table[3::4], lengths, tuple(offsets), linked, chain, offset, end)


@cache
def _table(count: int) -> struct.Struct:
    """A table of `count` parts: id, zero, length, digest of each."""
    return struct.Struct(">" + "HHI32s" * count)


def scan(buffer: bytes | memoryview, offset: int = 0) -> Iterator[Record | Broken]:
    """All records from `offset` on; a `Broken` is the last value, if reading had to stop before the end."""
    while (found := read(buffer, offset)) is not None:
        yield found
        if isinstance(found, Broken):
            return
        offset = found.end


def whole_after(buffer: bytes | memoryview, offset: int) -> bool:
    """Whether a whole record begins somewhere after `offset`: what stands there is then no torn end."""
    starts = (match.start() for match in re.finditer(MAGIC, buffer[offset + 1 :]))
    return any(isinstance(read(buffer, offset + 1 + start), Record) for start in starts)


def part_bytes(buffer: bytes | memoryview, part: Located) -> bytes:
    return bytes(memoryview(buffer)[part.offset : part.offset + part.length])


def plain_bytes(buffer: bytes | memoryview, part: Located) -> bytes:
    """The bytes of a plain part; raises `ValueError` if they are not those that the chain covers."""
    found = part_bytes(buffer, part)
    if sha256(found).digest() != part.digest:
        raise ValueError("bytes are not those that the chain covers")
    return found
