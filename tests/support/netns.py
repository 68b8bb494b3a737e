"""Two network namespaces, the house (where an installation runs) and the world (everybody else), and a cable.

The world has whole networks of addresses: whoever runs in it may bind to any of them. Needs root and iproute2.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HOUSE, WORLD = "10.65.0.1", "10.65.0.2"
HOUSE_6, WORLD_6 = "fd65::1", "fd65::2"
NETWORKS = ("10.66.0.0/15", "fd66::/32")  # of the world
ENVIRON = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
COMMAND_S_MAX = 20.0
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


class Cable:
    """The two namespaces, which end with `stack`."""

    def __init__(self, stack: ExitStack) -> None:
        self.house, self.world = (f"stentor-{place}-{os.getpid()}" for place in ("house", "world"))
        for name in (self.house, self.world):
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "del", name)
        run(
            "ip", "-n", self.world, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", self.house
        )
        ends = ((self.house, HOUSE, HOUSE_6), (self.world, WORLD, WORLD_6))
        for name, four, six in ends:
            run("ip", "-n", name, "addr", "add", f"{four}/24", "dev", "cable")
            run("ip", "-n", name, "addr", "add", f"{six}/64", "dev", "cable", "nodad")
            for device in ("lo", "cable"):
                run("ip", "-n", name, "link", "set", device, "up")
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
