"""Ogg pages (RFC 3533) holding Opus (RFC 7845): written page by page, each whole in itself, and read back.

A file whose writing stops anywhere is valid up to its last whole page. All functions are pure; `Pager` only counts.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PRE_SKIP = 312  # libopus at 48 kHz: samples that a decoder gives before the first that went in
FIRST, LAST = 2, 4  # header types: beginning and end of the stream
SEGMENTS_MAX = 255
HEAD_SEQUENCE = 2  # sequence number of the first page of audio: OpusHead and OpusTags have a page each
_CONTINUED = 1
_HEAD = struct.Struct("<4sBBqIIIB")
PAGE_HEAD_BYTES = _HEAD.size  # without the segment table
_CRC_AT = 22
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class BadOgg(ValueError):
    """These bytes are not an Ogg stream."""


def crc(data: bytes) -> int:
    """Ogg's CRC-32: the polynomial of zlib's with bits in the other order, neither preset nor inverted."""
    mirrored = zlib.crc32(data.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRROR), "big")


def lacing(size: int) -> bytes:
    """The segment table of one packet of `size` bytes."""
    return b"\xff" * (size // 255) + bytes((size % 255,))


def page(serial: int, sequence: int, granule: int, packets: Sequence[bytes], kind: int = 0) -> bytes:
    """One page of whole packets. `granule`: samples from the first packet to the end of the last of this page.

    Raises `ValueError` if the packets need more than `SEGMENTS_MAX` segments.
    """
    table = b"".join(lacing(len(packet)) for packet in packets)
    if len(table) > SEGMENTS_MAX:
        raise ValueError(f"packets of {len(table)} segments do not fit a page")
    head = _HEAD.pack(b"OggS", 0, kind, granule, serial, sequence, 0, len(table)) + table
    raw = head + b"".join(packets)
    return raw[:_CRC_AT] + struct.pack("<I", crc(raw)) + raw[_CRC_AT + 4 :]


def opus_head(pre_skip: int, channels: int = 1) -> bytes:
    """The identification packet (RFC 7845, 5.1), channel mapping family 0."""
    return struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, pre_skip, 48_000, 0, 0)


def opus_tags(title: str) -> bytes:
    """The comment packet (RFC 7845, 5.2)."""
    vendor, comment = b"Stentor", f"TITLE={title}".encode()
    return struct.pack("<8sI", b"OpusTags", len(vendor)) + vendor + struct.pack("<II", 1, len(comment)) + comment


def head(serial: int, pre_skip: int, title: str) -> bytes:
    """The first two pages of a stream; pages of audio follow with sequence numbers from `HEAD_SEQUENCE` on."""
    return page(serial, 0, 0, [opus_head(pre_skip)], FIRST) + page(serial, 1, 0, [opus_tags(title)])


@dataclass(slots=True)
class Pager:
    """Writes one stream from its beginning: counts pages and samples."""

    serial: int
    granule: int = 0
    sequence: int = 0

    def head(self, title: str, pre_skip: int = PRE_SKIP) -> bytes:
        """What begins the file."""
        self.sequence = HEAD_SEQUENCE
        return head(self.serial, pre_skip, title)

    def page(self, packets: Sequence[bytes], samples: int, *, last: bool = False) -> bytes:
        """The next page: `packets` that hold `samples` at 48 kHz in all. With `last` nothing may follow."""
        self.granule += samples
        written = page(self.serial, self.sequence, self.granule, packets, LAST if last else 0)
        self.sequence += 1
        return written


def packets_of(data: bytes | memoryview) -> Iterator[bytes]:
    """All packets of a file with one stream, in order; raises `BadOgg` for a page that is damaged or out of order."""
    view, at, sequence, unfinished = memoryview(data), 0, 0, b""
    while at < len(view):
        end, table = _check_page(view, at, sequence)
        body = at + _HEAD.size + len(table)
        size = 0
        for lace in table:
            size += lace
            if lace < SEGMENTS_MAX:
                yield unfinished + bytes(view[body : body + size])
                body, size, unfinished = body + size, 0, b""
        unfinished += bytes(view[body : body + size])
        at, sequence = end, sequence + 1


def _check_page(view: memoryview, at: int, sequence: int) -> tuple[int, bytes]:
    """-> (where the page at `at` ends, its segment table)."""
    if at + _HEAD.size > len(view):
        raise BadOgg(f"page cut short at byte {at}")
    magic, version, _, _, _, found, stated, segments = _HEAD.unpack_from(view, at)
    if magic != b"OggS" or version:
        raise BadOgg(f"no page at byte {at}")
    if found != sequence:
        raise BadOgg(f"page {found} where page {sequence} belongs, at byte {at}")
    table = bytes(view[at + _HEAD.size : at + _HEAD.size + segments])
    end = at + _HEAD.size + segments + sum(table)
    if end > len(view):
        raise BadOgg(f"page cut short at byte {at}")
    raw = bytes(view[at : at + _CRC_AT]) + bytes(4) + bytes(view[at + _CRC_AT + 4 : end])
    if crc(raw) != stated:
        raise BadOgg(f"checksum of the page at byte {at} does not match")
    return end, table


def opus_packets(data: bytes | memoryview) -> Iterator[bytes]:
    """The audio packets of an Ogg Opus file; raises `BadOgg`."""
    packets = packets_of(data)
    if not next(packets, b"").startswith(b"OpusHead") or not next(packets, b"").startswith(b"OpusTags"):
        raise BadOgg("no Opus stream")
    return packets
