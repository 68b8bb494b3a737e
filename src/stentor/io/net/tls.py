"""TLS on the epoll loop: a socket that reads and writes like a plain one that does not block.

The handshake happens inside the first reads: whoever waits for a request waits for it too, under the same time limit.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any


class TlsSocket(ssl.SSLSocket):
    """`BlockingIOError` wherever TLS wants the network, whichever way.

    After a `send` that raised it, the same bytes have to be offered again, for their record is sealed already.
    """

    def recv(self, size: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(size, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        except ssl.SSLEOFError:
            return b""

    def send(self, data: Any, flags: int = 0) -> int:
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def shutdown(self, how: int) -> None:
        """Say the end in TLS, then in TCP."""
        if how != socket.SHUT_RD:
            with contextlib.suppress(OSError, ValueError):
                self._say_end()
        super().shutdown(how)

    def _say_end(self) -> None:
        """`unwrap` sends close_notify and then waits for the peer's, which does not come at once."""
        self.unwrap()


def wrap(sock: socket.socket, context: ssl.SSLContext) -> TlsSocket:
    """The server's side of a fresh connection; the handshake has not begun. Raises `OSError`."""
    context.sslsocket_class = TlsSocket
    wrapped = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    assert isinstance(wrapped, TlsSocket)
    return wrapped


def has_answered_hello(sock: socket.socket) -> bool:
    """Whether the peer's hello has come and been answered, and with it the part of a handshake that takes time."""
    return isinstance(sock, ssl.SSLSocket) and sock.cipher() is not None
