"""Which addresses of this machine are offered to peers."""

from __future__ import annotations

import ipaddress
import socket

from aioice.ice import get_host_addresses

LOOPBACK = "127.0.0.1"
_WILDCARDS = ("0.0.0.0", "::", "")


def local_addresses(bind: str) -> list[str]:
    """The addresses to listen on and to offer: `bind`, or for a wildcard all of this machine's, at least 127.0.0.1."""
    if bind not in _WILDCARDS:
        return [bind]
    found = get_host_addresses(use_ipv4=True, use_ipv6=socket.has_ipv6)
    return [address for address in found if not ipaddress.ip_address(address).is_link_local] or [LOOPBACK]


def route_address(host: str, port: int) -> str:
    """The address from which this machine reaches `host`. Raises `OSError` where there is no way."""
    family, kind, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(target)
        return str(probe.getsockname()[0])
