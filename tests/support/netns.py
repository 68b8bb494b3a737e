"""Network namespaces by twos, and a cable: the house (where an installation runs) and the world (everybody else).

The world has whole networks of addresses: whoever runs in it may bind to any of them. Needs root and iproute2.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

HOUSE, WORLD = "10.65.0.1", "10.65.0.2"
HOUSE_6, WORLD_6 = "fd65::1", "fd65::2"
NETWORKS = ("10.66.0.0/15", "fd66::/32")  # of the world
ENVIRON = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
COMMAND_S_MAX = 20.0
CABLE = "cable"  # the device, at both of its ends
NEEDED = ("ip", "nft")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def missing() -> str:
    """Why there can be no namespaces here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = [name for name in NEEDED if not shutil.which(name, path=ENVIRON["PATH"])]
    return f"not installed: {', '.join(absent)} (apt install iproute2 nftables)" if absent else ""


def run(*line: str) -> str:
    done = subprocess.run(line, check=True, env=ENVIRON, capture_output=True, text=True, timeout=COMMAND_S_MAX)
    return done.stdout


def pair(stack: ExitStack, ends: Mapping[str, Sequence[str]]) -> list[str]:
    """Two namespaces and a cable between them, which end with `stack`; `ends`: addresses by place. -> their names."""
    names = [f"stentor-{place}-{os.getpid()}" for place in ends]
    for name in names:
        run("ip", "netns", "add", name)
        stack.callback(run, "ip", "netns", "del", name)
    first, second = names
    run("ip", "-n", first, "link", "add", CABLE, "type", "veth", "peer", "name", CABLE, "netns", second)
    for name, addresses in zip(names, ends.values(), strict=True):
        for address in addresses:
            six = ":" in address
            run("ip", "-n", name, "addr", "add", f"{address}/{64 if six else 24}", "dev", CABLE, *["nodad"] * six)
        for device in ("lo", CABLE):
            run("ip", "-n", name, "link", "set", device, "up")
    return names


def coturn(address: str, port: int, secret: str, scratch: Path) -> list[str]:
    """Debian's relay, by UDP and TCP."""
    return [
        *("turnserver", "-n", "--use-auth-secret", f"--static-auth-secret={secret}", "--realm=stentor"),
        *(f"--listening-ip={address}", f"--relay-ip={address}", f"--listening-port={port}"),
        *("--no-tls", "--no-dtls", "--no-cli", "--no-multicast-peers", "--simple-log"),
        *(f"--log-file={scratch}/turn.log", f"--pidfile={scratch}/turn.pid", f"--userdb={scratch}/turn.db"),
    ]


class Cable:
    """House and world, which end with `stack`."""

    def __init__(self, stack: ExitStack) -> None:
        self.house, self.world = pair(stack, {"house": (HOUSE, HOUSE_6), "world": (WORLD, WORLD_6)})
        for network in NETWORKS:
            gateway = WORLD_6 if ":" in network else WORLD
            run("ip", "-n", self.house, "route", "add", network, "via", gateway)
            run("ip", "-n", self.world, "route", "add", "local", network, "dev", "lo")
        with entered(self.world):
            Path("/proc/sys/net/ipv6/ip_nonlocal_bind").write_text("1\n")
            Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("1024 65535\n")
        for name in (self.house, self.world):
            with entered(name):
                Path("/proc/sys/net/core/somaxconn").write_text("16384\n")


@contextmanager
def entered(name: str) -> Iterator[None]:
    """This thread, and what it starts meanwhile, is in the namespace `name`."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(there)
        yield
    finally:
        _enter(home)
        os.close(home)
        os.close(there)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
