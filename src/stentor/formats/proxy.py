"""The header that a proxy sends before a connection's own bytes: PROXY protocol, version 2 (HAProxy's
proxy-protocol.txt, section 2.2)."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIXED_BYTES = 16
BYTES_MAX = 536  # addresses and what proxies add to them; more is refused
_VERSION_2 = 0x20
_LOCAL, _PROXY = 0, 1
_ADDRESSES = {0x11: (IPv4Address, 4), 0x12: (IPv4Address, 4), 0x21: (IPv6Address, 16), 0x22: (IPv6Address, 16)}


class BadProxyHeader(ValueError):
    """These bytes are no such header; the text says why."""


class Proxied(NamedTuple):
    """What the header says. `source` is empty where the proxy speaks for itself (a health check)."""

    source: str


def missing(data: bytes) -> int:
    """How many bytes a header that begins with `data` still lacks, as far as is known by then; 0: it is whole.

    Raises `BadProxyHeader`.
    """
    if not SIGNATURE.startswith(data[: len(SIGNATURE)]):
        raise BadProxyHeader("no PROXY protocol version 2")
    if len(data) < FIXED_BYTES:
        return FIXED_BYTES - len(data)
    (size,) = struct.unpack_from(">H", data, 14)
    if FIXED_BYTES + size > BYTES_MAX:
        raise BadProxyHeader(f"{FIXED_BYTES + size} bytes; at most {BYTES_MAX}")
    return FIXED_BYTES + int(size) - len(data)


def decode(data: bytes) -> Proxied:
    """Read a whole header. Raises `BadProxyHeader`."""
    command, family = data[12] - _VERSION_2, data[13]
    if command not in (_LOCAL, _PROXY):
        raise BadProxyHeader(f"version and command {data[12]:#04x} are not known")
    if command == _LOCAL or family not in _ADDRESSES:
        return Proxied("")
    address, size = _ADDRESSES[family]
    if len(data) < FIXED_BYTES + 2 * size + 4:
        raise BadProxyHeader("shorter than its addresses")
    return Proxied(str(address(data[FIXED_BYTES : FIXED_BYTES + size])))
