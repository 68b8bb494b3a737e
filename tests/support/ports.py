"""Ports for servers of tests. Several workers test at once, and a server that is killed has to get its port again: so
they are ports that nobody is given by chance."""

from __future__ import annotations

import itertools
import os
import secrets
import socket
from collections.abc import Iterator
from functools import cache

from stentor.clients.installation import ROLES
from stentor.io.processes.watch import taken

# Below those that Linux gives to connections and to port 0 (/proc/sys/net/ipv4/ip_local_port_range), above those of
# which browsers are afraid.
PORTS = range(11_000, 32_000)
KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)


@cache
def _own() -> Iterator[int]:
    """The ports of this worker of pytest-xdist, again and again, from a place that is another in each run."""
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    own = PORTS[int(worker.removeprefix("gw")) :: int(workers)]
    first = secrets.randbelow(len(own))
    return itertools.cycle([*own[first:], *own[:first]])


def free_ports(count: int) -> list[int]:
    """Ports that nobody holds, by TCP or UDP, and that no other test of this run is given."""
    return list(itertools.islice((port for port in _own() if not taken("", port, KINDS)), count))


def ports_of_roles() -> dict[str, int]:
    """A port for each role and for encoders: fields of `Settings`."""
    names = [f"{role}_port" for role in (*ROLES, "source")]
    return dict(zip(names, free_ports(len(names)), strict=True))
