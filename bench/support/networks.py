"""Two network namespaces, a guest's and the studio's, and a cable between them. Needs root, iproute2 and nftables.

`networks` is used outside of both; `Cable` and `relay` within the studio's.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support import netns
from support.netns import CABLE, ENVIRON, coturn
from support.processes import BenchError

STUDIO, RELAY = "10.77.32.1", "10.77.32.2"
GUESTS = ("10.77.32.10", "10.77.32.11")  # which the guest has by turns

# `seen`: UDP ports that the guest has sent from; `dead`: those that nothing passes from or to.
RULES = f"""add table inet bench
delete table inet bench
table inet bench {{
  set seen {{ type inet_service; size 65535; flags dynamic; }}
  set dead {{ type inet_service; }}
  chain wall {{ }}
  chain in {{ type filter hook input priority 0;
    iifname "{CABLE}" jump wall; iifname "{CABLE}" udp sport @dead drop;
    iifname "{CABLE}" meta l4proto udp add @seen {{ udp sport }}; }}
  chain out {{ type filter hook output priority 0; oifname "{CABLE}" udp dport @dead drop; }}
}}"""


def run(*line: str) -> str:
    """A command, to its end; -> what it says. Raises `BenchError`."""
    try:
        return netns.run(*line)
    except (OSError, subprocess.SubprocessError) as error:
        raise BenchError(f"{' '.join(line)}: {error} {getattr(error, 'stderr', '')}") from None


@contextlib.contextmanager
def networks() -> Iterator[tuple[str, str]]:
    """-> names of the guest's and of the studio's namespace, joined by a cable and with their addresses."""
    with contextlib.ExitStack() as stack:
        guest, studio = netns.pair(stack, {"guest": GUESTS[:1], "studio": (STUDIO, RELAY)})
        yield guest, studio


class Cable:
    """What happens to the guest's network."""

    def __init__(self, guest: str) -> None:
        self.guest = guest
        self._address, self._next = GUESTS

    def browser(self, scratch: Path, program: str) -> Path:
        """A program that starts `program` in the guest's namespace."""
        path = scratch / "browser"
        path.write_text(f'#!/bin/sh\nexec ip netns exec {self.guest} {program} "$@"\n')
        path.chmod(0o755)
        return path

    def clear(self, *, walled: bool) -> None:
        """Everything passes, or (`walled`) everything but UDP of the guest's."""
        run("nft", RULES)
        if walled:
            run("nft", "add", "rule", "inet", "bench", "wall", "meta", "l4proto", "udp", "drop")

    def move(self) -> None:
        """The guest has another address than before, as in another Wi-Fi."""
        run("ip", "-n", self.guest, "addr", "del", f"{self._address}/24", "dev", CABLE)
        run("ip", "-n", self.guest, "addr", "add", f"{self._next}/24", "dev", CABLE)
        self._address, self._next = self._next, self._address

    def cut(self) -> None:
        """What the guest has of UDP flows is dead, and nobody is told: as when a NAT on the way has forgotten them."""
        ports = ",".join(map(str, self._seen()))
        run("nft", "add", "element", "inet", "bench", "dead", f"{{ {ports} }}")

    def _seen(self) -> list[int]:
        said: dict[str, Any] = json.loads(run("nft", "-j", "list", "set", "inet", "bench", "seen"))
        elements = next(item["set"] for item in said["nftables"] if "set" in item).get("elem", [])
        found = [one if isinstance(one, int) else one["elem"]["val"] for one in elements]
        if not found:
            raise BenchError("the guest sends no UDP")
        return found


@contextlib.contextmanager
def relay(scratch: Path, port: int, secret: str) -> Iterator[None]:
    """Debian's coturn on the relay's address, by UDP and TCP."""
    argv = coturn(RELAY, port, secret, scratch)
    process = subprocess.Popen(argv, env=ENVIRON, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()
