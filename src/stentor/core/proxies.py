"""Who asks, where proxies stand in front: what they say is taken from those that are listed, and from nobody else."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from stentor.model.http import Request

FORWARDED = "x-forwarded-for"
HOPS_MAX = 16
Networks = tuple[IPv4Network | IPv6Network, ...]


def networks(text: str) -> Networks:
    """Of a comma-separated list. Raises `ValueError` with the one that is none."""
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


def source(request: Request, trusted: Networks) -> str:
    """The address of whoever asks: the first from the right of `X-Forwarded-For` that is no listed proxy; without
    listed proxies, or from another peer, the peer itself."""
    if not trusted or not _is_of(request.source, trusted):
        return request.source
    hops = request.headers.get(FORWARDED, "").split(",")[-HOPS_MAX:]
    found = request.source
    for hop in reversed([_without_port(one.strip()) for one in hops if one.strip()]):
        if _address(hop) is None:
            return found
        found = hop
        if not _is_of(hop, trusted):
            return hop
    return found


def _without_port(hop: str) -> str:
    """Some proxies write a port behind the address, of IPv6 in brackets."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


@lru_cache(maxsize=4_096)
def _is_of(text: str, trusted: Networks) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in trusted)


@lru_cache(maxsize=4_096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
