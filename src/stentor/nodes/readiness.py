"""Is this machine ready for a show? Each finding that is not good comes with the line that mends it."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from stentor.io import machine
from stentor.io.codec import Encoder
from stentor.io.net.sockets import BACKLOG
from stentor.io.processes import Child
from stentor.io.processes.watch import taken
from stentor.io.tls import Certificate, TlsError
from stentor.io.webrtc import local_addresses
from stentor.model.rendition import RENDITIONS
from stentor.nodes.priority import MEDIA_NICE
from stentor.nodes.serve import pid_files
from stentor.settings import Settings

GIB = 2**30
DATA_FREE_BYTES_MIN = 2 * GIB  # a show of 3 h with stems of four speakers has about 0.7
RUN_FREE_BYTES_MIN = GIB // 16
SYNC_S_MAX = 0.2  # the tape waits in memory meanwhile; live does not
SYNCS = 20
CERTIFICATE_DAYS_MIN = 14
SPARE_DESCRIPTORS = 64
_PORTS = {"door": "door", "edge": "edge", "desk": "desk", "studio": "studio", "archive": "archive", "source": "studio"}


class Level(StrEnum):
    GOOD = "good"
    WARN = "warn"  # a show will do, with less
    BAD = "bad"  # it will not


class Finding(NamedTuple):
    what: str
    level: Level
    text: str
    mend: str = ""


Check = Callable[[Settings], Iterator[Finding]]


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which an operator would mend them. Takes about a second."""
    return [finding for check in CHECKS for finding in check(settings)]


def _ports(settings: Settings) -> Iterator[Finding]:
    ours = {child.name.partition("-")[0] for child in _children(settings)}
    used = {name: role for name, role in _PORTS.items() if getattr(settings, f"{name}_port")}
    bad = [finding for name, role in used.items() if role not in ours and (finding := _port(settings, name))]
    ports = ", ".join(str(getattr(settings, f"{name}_port")) for name in used)
    yield from bad or [Finding("ports", Level.GOOD, f"{ports} are free, or ours")]


def _port(settings: Settings, what: str) -> Finding | None:
    port, name = getattr(settings, f"{what}_port"), f"{what}_port"
    kinds = (socket.SOCK_STREAM, *((socket.SOCK_DGRAM,) if what == "studio" else ()))
    try:
        held = taken(settings.bind, port, kinds)
    except OSError as error:
        text = f"{port} ({name}): {settings.bind} cannot be listened on: {error.strerror}"
        return Finding("ports", Level.BAD, text, "set bind to an address of this machine")
    mend = f"stop it (ss -tulpn 'sport = :{port}' tells who it is), or set {name}"
    return Finding("ports", Level.BAD, f"{port} ({name}) is taken by another program", mend) if held else None


def _children(settings: Settings) -> list[Child]:
    found = pid_files(settings).find()
    for child in found:
        child.close()
    return found


def _directories(settings: Settings) -> Iterator[Finding]:
    run, data = settings.run_dir, settings.data_dir
    if not machine.on_tmpfs(run):
        yield Finding(
            "run_dir",
            Level.BAD,
            f"{run} is on a disk, which live audio must not wait for",
            "set run_dir to a place below /dev/shm",
        )
    elif machine.free_bytes(run) < RUN_FREE_BYTES_MIN:
        yield Finding("run_dir", Level.BAD, f"{run} has less than 64 MiB free", "mount -o remount,size=256M /dev/shm")
    else:
        yield Finding("run_dir", Level.GOOD, f"{run} is in memory")
    yield _data(data)


def _data(data: Path) -> Finding:
    try:
        longest_s = machine.sync_s(data, SYNCS)
    except OSError as error:
        return Finding(
            "data_dir",
            Level.BAD,
            f"{data} cannot be written: {error.strerror}",
            f"chown {os.geteuid()} {data}, or set data_dir",
        )
    free = machine.free_bytes(data)
    text = f"{data.resolve()}: {free / GIB:.1f} GiB free, a write is safe within {1000 * longest_s:.0f} ms"
    if free < DATA_FREE_BYTES_MIN:
        return Finding("data_dir", Level.BAD, text, "make room, or set data_dir to a larger disk")
    if longest_s > SYNC_S_MAX:
        return Finding(
            "data_dir", Level.WARN, text, "set data_dir to a faster disk; live does not wait for it, the tape does"
        )
    return Finding("data_dir", Level.GOOD, text)


def _tls(settings: Settings) -> Iterator[Finding]:
    if not settings.tls_chain:
        if settings.public_url.startswith("https://"):
            yield Finding("tls", Level.GOOD, f"left to the proxy at {settings.public_url}")
        elif _is_loopback(settings.bind):
            yield Finding("tls", Level.GOOD, "not needed: everything is on this machine")
        else:
            yield Finding(
                "tls",
                Level.BAD,
                "browsers give no microphone to a page without it",
                "set tls_chain and tls_key, or public_url for a proxy that has a certificate",
            )
        return
    try:
        held = Certificate(Path(settings.tls_chain), Path(settings.tls_key))
    except TlsError as error:
        yield Finding("tls", Level.BAD, str(error), "set tls_chain and tls_key to the files of one certificate")
        return
    days = (held.expires - datetime.now(UTC)).days
    level = Level.BAD if held.problem else Level.WARN if days < CERTIFICATE_DAYS_MIN else Level.GOOD
    yield Finding(
        "tls",
        level,
        held.problem or f"the certificate is good for {days} days",
        "" if level is Level.GOOD else "renew it; every role takes up new files by itself",
    )


def _is_loopback(bind: str) -> bool:
    return bind == "localhost" or ipaddress.ip_address(bind).is_loopback


def _addresses(settings: Settings) -> Iterator[Finding]:
    offered = [part.strip() for part in settings.advertise.split(",") if part.strip()] or local_addresses(settings.bind)
    text = f"speakers are offered {', '.join(offered)}"
    if _is_loopback(settings.bind) or any(ipaddress.ip_address(one).is_global for one in offered):
        yield Finding("advertise", Level.GOOD, text)
    else:
        mend = "set advertise to the public address, if guests come from outside"
        yield Finding("advertise", Level.WARN, f"{text}: none of it can be reached from the internet", mend)


def _clock(settings: Settings) -> Iterator[Finding]:
    if machine.clock_synchronised():
        yield Finding("clock", Level.GOOD, "kept right")
    else:
        yield Finding(
            "clock",
            Level.WARN,
            "nothing keeps it right: the show begins when this clock says so",
            "timedatectl set-ntp true, or install chrony",
        )


def _descriptors(settings: Settings) -> Iterator[Finding]:
    needed = settings.listeners_max + settings.requests_max + SPARE_DESCRIPTORS
    found = machine.descriptors_max()
    text = f"{found} a process; an edge wants {needed}"
    mend = f"LimitNOFILE={needed} in the unit, ulimit -Hn {needed}, or more edges with fewer listeners_max"
    yield (
        Finding("descriptors", Level.GOOD, text) if found >= needed else Finding("descriptors", Level.WARN, text, mend)
    )


def _kernel(settings: Settings) -> Iterator[Finding]:
    wanted = {"net.core.somaxconn": (BACKLOG, "a crowd that comes at once is turned away")}
    if settings.edges > 1 or settings.doors > 1:
        wanted["net.ipv4.tcp_migrate_req"] = (1, "a reload may turn away who is just connecting")
    low = 0
    for name, (least, what) in wanted.items():
        value = machine.kernel_parameter(name)
        if value is not None and value < least:
            low += 1
            yield Finding("kernel", Level.WARN, f"{name} is {value}: {what}", f"sysctl -w {name}={least}")
    if not low:
        yield Finding("kernel", Level.GOOD, "parameters are as they should be")


def _rights(settings: Settings) -> Iterator[Finding]:
    if machine.may_raise_priority():
        yield Finding("priority", Level.GOOD, f"studio, usher and edges run at nice {MEDIA_NICE}")
    else:
        text = "studio, usher and edges get no more than anybody else"
        yield Finding("priority", Level.WARN, text, "AmbientCapabilities=CAP_SYS_NICE in the unit")
    problem = machine.nft_problem()
    if problem:
        mend = "apt-get install nftables, and AmbientCapabilities=CAP_NET_ADMIN for the usher"
        yield Finding("nft", Level.WARN, f"the kernel cannot be told to drop an attacker's packets: {problem}", mend)
    else:
        yield Finding("nft", Level.GOOD, "can be used")


def _codecs(settings: Settings) -> Iterator[Finding]:
    try:
        for rendition in RENDITIONS:
            Encoder(rendition)
    except (ValueError, OSError) as error:
        yield Finding(
            "codecs",
            Level.BAD,
            f"{rendition.name} cannot be encoded: {error}",
            "install the pinned packages: make demo",
        )
    else:
        yield Finding("codecs", Level.GOOD, ", ".join(rendition.name for rendition in RENDITIONS))


CHECKS: tuple[Check, ...] = (
    _ports, _directories, _tls, _addresses, _clock, _descriptors, _kernel, _rights, _codecs,
)  # fmt: skip
