"""Who is shut out, as a list for somebody else to shut them out: one network each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Until = Mapping[str, int]  # Unix seconds by target


def cidr(until: Until) -> str:
    """A line a network, as providers and CDNs take them."""
    return "".join(f"{target}\n" for target in sorted(until))


def nft(until: Until) -> str:
    """A file for `nft -f`: a table with two sets, which say nothing by themselves yet."""
    return (
        "table inet stentor_blocklist {\n"
        + _set("shut4", "ipv4_addr", until)
        + _set("shut6", "ipv6_addr", until)
        + "}\n"
    )


def _set(name: str, kind: str, until: Until) -> str:
    found = sorted(target for target in until if (":" in target) == (kind == "ipv6_addr"))
    elements = f"\t\telements = {{ {', '.join(found)} }}\n" if found else ""
    return f"\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval\n{elements}\t}}\n"


def haproxy(until: Until) -> str:
    """A map file: `http-request deny if { src,map_ip(/etc/haproxy/shut-out.map) -m found }`."""
    return "".join(f"{target} {seconds}\n" for target, seconds in sorted(until.items()))


FORMATS: dict[str, Callable[[Until], str]] = {"cidr": cidr, "nft": nft, "haproxy": haproxy}
