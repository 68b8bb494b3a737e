"""What door and edges saw of each source in a quarter of a second: a datagram to the usher.

Big-endian. Header: magic "EV1", role u8 (0 door, 1 edge), worker u16, Unix milliseconds u64, u32 events that are in no
record for want of room, u16 count; then `count` records of 48 bytes. The key of a source is 16 bytes: an IPv4 address
as ::ffff:a.b.c.d, an IPv6 address as its /64. Counts are u16 and stay at the highest where there is more.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stentor.model.suspicion import FIELDS

DATAGRAM_BYTES_MAX = 32_768
DOOR, EDGE = 0, 1
COUNT_MAX = 65_535
KEY_BYTES = 16
BAD = ("forged", "early", "unfinished", "undrained", "unsolved")
GOOD = ("completed", "polite", "live")
_MAGIC = b"EV1"
_HEAD = struct.Struct(">3sBHQIH")
RECORD = np.dtype([("key", f"V{KEY_BYTES}"), *((name, ">u2") for name in FIELDS)])
RECORDS_MAX = (DATAGRAM_BYTES_MAX - _HEAD.size) // RECORD.itemsize
_ROW = struct.Struct(f">{KEY_BYTES}s{len(FIELDS)}H")
MAPPED = bytes(10) + b"\xff\xff"
assert RECORD.itemsize == _ROW.size == 48

Records = npt.NDArray[np.void]  # of RECORD


class BadEvidence(ValueError):
    """A datagram that is not one of these."""


class Batch(NamedTuple):
    """A datagram that was read."""

    role: int
    worker: int
    at_ms: int
    overflow: int
    records: Records


@lru_cache(maxsize=65_536)
def key_of(source: str) -> bytes:
    """The key of an address as text; of what is none (a Unix socket, say), b""."""
    try:
        if ":" not in source:
            return MAPPED + ipaddress.IPv4Address(source).packed
        packed = ipaddress.IPv6Address(source.partition("%")[0]).packed
    except ValueError:
        return b""
    return packed if packed.startswith(MAPPED) else packed[:8] + bytes(8)


def network_of(key: bytes) -> bytes:
    """A source's network: /24 of IPv4, /48 of IPv6; no source has the same key."""
    return key[:15] if key.startswith(MAPPED) else key[:6]


def target(key: bytes) -> str:
    """The network that a key stands for: 10.0.0.7/32 or 2001:db8::/64."""
    if key.startswith(MAPPED):
        return f"{ipaddress.IPv4Address(key[12:])}/32"
    return f"{ipaddress.IPv6Address(key)}/64"


def key_of_target(text: str) -> bytes:
    """The other way round. Raises `ValueError` if it is not the network of one source."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv4Network) and network.prefixlen == 32:
        return MAPPED + network.network_address.packed
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen == 64:
        return network.network_address.packed
    raise ValueError(f"{text} is not one IPv4 address or one /64 of IPv6")


def encode(role: int, worker: int, at_ms: int, overflow: int, rows: Mapping[bytes, list[int]]) -> list[bytes]:
    """Datagrams with counts in the order of `FIELDS` by key. The overflow stands in the first."""
    packed = [_ROW.pack(key, *(min(count, COUNT_MAX) for count in counts)) for key, counts in rows.items()]
    parts = [packed[at : at + RECORDS_MAX] for at in range(0, len(packed), RECORDS_MAX)] or [[]]
    lost = [overflow] + [0] * (len(parts) - 1)
    heads = (
        _HEAD.pack(_MAGIC, role, worker, at_ms, min(more, 2**32 - 1), len(part))
        for part, more in zip(parts, lost, strict=True)
    )
    return [head + b"".join(part) for head, part in zip(heads, parts, strict=True)]


def decode(data: bytes) -> Batch:
    """Raises `BadEvidence`."""
    if len(data) < _HEAD.size:
        raise BadEvidence(f"{len(data)} bytes are too few")
    magic, role, worker, at_ms, overflow, count = _HEAD.unpack_from(data)
    if magic != _MAGIC or role not in (DOOR, EDGE):
        raise BadEvidence("not evidence")
    if len(data) != _HEAD.size + count * RECORD.itemsize:
        raise BadEvidence(f"{len(data)} bytes do not hold {count} records")
    return Batch(role, worker, at_ms, overflow, np.frombuffer(data, RECORD, count, _HEAD.size))
