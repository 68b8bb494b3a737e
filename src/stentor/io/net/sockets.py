"""Listening sockets. Options set here are inherited by every accepted socket, which saves calls at each join."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct

BACKLOG = 16_384  # of a crowd in one instant; the kernel takes less where net.core.somaxconn is lower
_AT_ONCE = struct.pack("ii", 1, 0)  # `struct linger`
_LAST_DATA_MS = struct.Struct("=I")
_INFO_BYTES = 56  # of `struct tcp_info`, up to that field
_ESTABLISHED = 1  # the first byte of `struct tcp_info`
RCVBUF_BYTES = 16_384  # of a request we read little, of a listener nothing


def listen(address: str, port: int, sndbuf_bytes: int = 0) -> socket.socket:
    """A non-blocking listening socket that shares its port with other workers (SO_REUSEPORT).

    `sndbuf_bytes` bounds what the kernel holds for a stalled peer; 0 leaves that to the kernel. Raises `OSError`.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RCVBUF_BYTES)
        if sndbuf_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf_bytes)
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def accept(listener: socket.socket, family: int) -> tuple[socket.socket, str]:
    """A connection, non-blocking, and its peer's address. `family`: the listener's.

    What `socket.accept` does, without its detours by way of enums, which take as long as the system call. Raises
    `OSError`, `BlockingIOError` if nobody waits.
    """
    descriptor, address = listener._accept()  # type: ignore[attr-defined]
    sock = socket.socket(family, socket.SOCK_STREAM, 0, fileno=descriptor)
    sock.setblocking(False)
    return sock, address[0]


def waited_s(sock: socket.socket) -> float:
    """Seconds since the peer last sent something, or came: so long a fresh connection has waited to be accepted.

    By the ticks of the kernel's clock (4 ms at 250 Hz): `tcpi_last_data_recv` of tcp(7).
    """
    return float(_LAST_DATA_MS.unpack(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)[-4:])[0]) / 1e3


def has_hung_up(sock: socket.socket) -> bool:
    """Whether the peer of a fresh connection has closed it, whatever it sent before."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED


def abort(sock: socket.socket) -> None:
    """Close with a reset. A peer that takes nothing, or that the kernel drops, never answers a FIN: thousands of such
    sockets would live on with what they have to send, and say it again all at the same time."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    sock.close()


def raise_descriptor_limit() -> int:
    """As many descriptors as this process may have; -> how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
