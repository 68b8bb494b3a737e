"""Bytes of a tape changed by somebody who knows its format."""

from __future__ import annotations

import zlib

from stentor.formats.tape import Record

CRC_AND_CHAIN_BYTES = 36


def forged(data: bytes, record: Record, at: int) -> bytes:
    """`data` with the byte at `at`, inside `record`, changed, and the record's checksum mended."""
    crc_at = record.end - CRC_AND_CHAIN_BYTES
    body = bytearray(data[record.offset : crc_at])
    body[at - record.offset] ^= 1
    mended = bytes(body) + zlib.crc32(body).to_bytes(4, "big")
    return data[: record.offset] + mended + data[crc_at + 4 :]
