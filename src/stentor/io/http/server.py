"""Sockets and servers. An address is taken before anything else is begun, so that "in use" is the first thing said."""

from __future__ import annotations

import asyncio
import asyncio.constants
import contextlib
import errno
import os
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from stentor.formats.problem import CONTENT_TYPE, problem

EXIT_PORT_IN_USE = 3
BACKLOG = 512
CONNECTIONS_MAX = 2_000
HEADERS_BYTES_MAX = 16_384
HEADERS_TIMEOUT_S = 5.0  # from accept, or the end of an answer, to the end of a request's headers
STALL_TIMEOUT_S = 120.0  # a client that does not take what it asked for is cut after so long
LINGER_S = 1.0  # from the answer to a request that is taken no further until its connection is closed
GRACE_S = 3  # answers still being sent at a stop are cut after so long
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class CannotListen(OSError):
    """That address cannot be had; the text is the line to show."""


class PortInUse(CannotListen):
    """Another process listens on it."""


def listen_tcp(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket. `setting` names the setting that chose the port. Raises `CannotListen`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno != errno.EADDRINUSE:
            line = f"cannot listen on {host}:{port}: {error.strerror}; change bind or {setting}"
            raise CannotListen(line) from None
        raise PortInUse(f"{host}:{port} is in use by another process; stop it or change {setting}") from None
    return sock


def listen_unix(path: Path) -> socket.socket:
    """A listening Unix socket, mode 0600, in place of one whose process is gone. Raises `PortInUse`, `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    if _answers(path):
        sock.close()
        raise PortInUse(f"{path} is in use by another process; stop it or change run_dir")
    path.unlink(missing_ok=True)
    mask = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(mask)
    sock.listen(BACKLOG)
    return sock


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


class Server:
    """An app on a listening socket, over TLS if a context is given. `serve()` runs in the caller's task group and takes
    no signals of its own."""

    def __init__(self, app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level="error",  # a line for each request that is none would let strangers fill the log
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=HEADERS_BYTES_MAX,
            timeout_graceful_shutdown=GRACE_S,
        )
        config.load()
        config.ssl = tls
        # uvicorn leaves handshakes asyncio's usual minute, and nothing else bounds who begins one and stops.
        asyncio.constants.SSL_HANDSHAKE_TIMEOUT = HEADERS_TIMEOUT_S
        self._listener = listener
        self._uvicorn = _Uvicorn(config)

    @property
    def port(self) -> int:
        """The TCP port; of use where 0 was asked for."""
        return int(self._listener.getsockname()[1])

    async def serve(self) -> None:
        """Serve until `stop()`; answers begun then have `GRACE_S` to finish."""
        try:
            await self._uvicorn.serve(sockets=[self._listener])
        finally:
            self._listener.close()

    def stop(self) -> None:
        self._uvicorn.should_exit = True


async def serve_until_signal(servers: Sequence[Server], *jobs: Callable[[], Awaitable[None]]) -> None:
    """Serve, with `jobs` running beside, until SIGTERM or SIGINT. Whatever fails ends all and is raised (as a group).

    At the end jobs are cancelled first: who streams to clients ends the streams, so that servers need not cut them.
    """
    stop = asyncio.Event()
    with _signals(stop.set):
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(_run(job)) for job in jobs]
            for server in servers:
                group.create_task(server.serve())
            await stop.wait()
            for task in running:
                task.cancel()
            for server in servers:
                server.stop()


async def _run(job: Callable[[], Awaitable[None]]) -> None:
    await job()


@contextlib.contextmanager
def _signals(call: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, call)
    try:
        yield
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:  # the role's own handlers stay; uvicorn's would end it by the signal
        yield


class _Connection(H11Protocol):
    """uvicorn's connection, with limits of time on headers and on taking the answer, a limit on connections, and
    problem+json for bad requests."""

    _patience: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _lingering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            self._refuse(503, "connections-full", "Too many connections.", b"Retry-After: 5\r\n")
            self.transport.close()
            return
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        # By the piece: the parser bounds what it has not understood yet, and not what it is given at once.
        for start in range(0, len(data), HEADERS_BYTES_MAX):
            if not self._lingering and not self.transport.is_closing():
                super().data_received(data[start : start + HEADERS_BYTES_MAX])
        if self._lingering:
            return
        if self._answering:
            self._cancel_patience()
        elif self._patience is None and not self.transport.is_closing():
            self._wait_for_headers()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_patience()
        self._cancel_stall()
        if self._lingering is not None:
            self._lingering.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(STALL_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._cancel_stall()
        super().resume_writing()

    def _cancel_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def on_response_complete(self) -> None:
        unread = self.cycle.more_body
        super().on_response_complete()
        if unread and not self.transport.is_closing():
            self._linger()  # the rest of the body may have no end

    def send_400_response(self, msg: str) -> None:
        if self._answering and self.cycle.response_started:
            self.transport.close()
            return
        if len(self.conn.trailing_data[0]) > HEADERS_BYTES_MAX:
            title = f"Request line and headers may have {HEADERS_BYTES_MAX} bytes."
            self._refuse(431, "headers-too-large", title)
        else:
            self._refuse(400, "request-malformed", msg)
        self._linger()

    def _wait_for_headers(self) -> None:
        self._patience = self.loop.call_later(HEADERS_TIMEOUT_S, self._on_late_headers)

    def _on_late_headers(self) -> None:
        if self.conn.trailing_data[0]:
            self._refuse(408, "headers-late", "The request did not arrive in time.")
            self._linger()
        else:  # opened ahead of need, as browsers do
            self.transport.close()

    def _cancel_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _refuse(self, status: int, code: str, title: str, headers: bytes = b"") -> None:
        body = problem(status, code, title)
        head = f"HTTP/1.1 {status} {code}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(head.encode() + headers + b"Connection: close\r\n\r\n" + body)

    def _linger(self) -> None:
        """Take no more, and close in a while: closed with bytes unread, the answer could be lost on its way."""
        self._cancel_patience()
        self._unset_keepalive_if_required()
        if self._answering:  # a handler that waits for the rest of the request
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.pause_reading()
        self.transport.write_eof()
        self._lingering = self.loop.call_later(LINGER_S, self.transport.close)
