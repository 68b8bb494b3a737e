"""A port for encoders that speak Icecast's source protocol: PUT or SOURCE, a head, and a body without end.

An HTTP server proper waits for the end of a body; here each connection is one task on asyncio's streams. A connection
has `HEAD_S_MAX` for its head. When `WAITING_MAX` have not shown a password yet, the one that came first gives way.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Protocol

from stentor.formats import problem
from stentor.formats.icecast import HEAD_BYTES_MAX, Body, Head, Malformed, parse_head
from stentor.formats.problem import Refused

HEAD_S_MAX = 5.0
WAITING_MAX = 64
REFUSAL_DELAY_S = 1.0  # before a 401, so that passwords cannot be tried quickly
READ_BYTES = 4_096
LINGER_S_MAX = 1.0  # for a refused encoder to read the answer while it sends
LINGER_BYTES_MAX = 1 << 20
_REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
_METADATA = (
    b'<?xml version="1.0"?>\n<iceresponse><message>The title stays that of the show</message>'
    b"<return>1</return></iceresponse>\n"
)


class Stream(Protocol):
    """Whoever takes the audio of one encoder."""

    async def write(self, data: bytes) -> None:
        """Waits while there is no room."""

    def end(self) -> None:
        """The body came to its end, or broke off."""

    async def refused(self) -> Refused | None:
        """Returns when the stream is wanted no more; why, where the encoder is to be told."""


class Endpoint(Protocol):
    """What stands behind the port."""

    async def admit(self, password: str, content_type: str, user_agent: str) -> Stream | Refused:
        """Open a stream."""


class SourcePort:
    """The port. `serve` runs until it is cancelled."""

    def __init__(self, endpoint: Endpoint, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self._endpoint = endpoint
        self._listener, self._tls = listener, tls
        self._waiting: dict[asyncio.StreamWriter, None] = {}

    async def serve(self) -> None:
        handshake = {"ssl_handshake_timeout": HEAD_S_MAX} if self._tls else {}
        server = await asyncio.start_server(
            self._connected, sock=self._listener, ssl=self._tls, limit=HEAD_BYTES_MAX, **handshake
        )
        try:
            await asyncio.Event().wait()
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._waiting[writer] = None
        if len(self._waiting) > WAITING_MAX:
            next(iter(self._waiting)).transport.abort()
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # gone, as connections go
        finally:
            self._waiting.pop(writer, None)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await _read_head(reader)
        outcome = await self._answer(head) if isinstance(head, Head) else head
        if isinstance(outcome, Refused):
            await _refuse(reader, writer, outcome)
        elif isinstance(outcome, bytes):
            await _send(writer, outcome)
        else:
            assert isinstance(head, Head)
            self._waiting.pop(writer, None)
            await _carry(reader, writer, head, outcome)

    async def _answer(self, head: Head) -> Stream | Refused | bytes:
        """A stream where one was opened, else what is to be sent."""
        if head.method == "GET" and head.target.partition("?")[0] == "/admin/metadata":
            return _response(200, _METADATA, "text/xml")
        if head.method == "OPTIONS":
            return _response(204, b"", "", "Allow: PUT, SOURCE, OPTIONS\r\n")
        if head.method not in ("PUT", "SOURCE"):
            return Refused(405, "method-not-allowed", "This port takes encoders", "Allowed: PUT, SOURCE")
        try:
            Body(head)
        except Malformed as error:
            return Refused(400, "request-malformed", str(error))
        outcome = await self._endpoint.admit(head.password, head.content_type, head.headers.get("user-agent", ""))
        if isinstance(outcome, Refused) and outcome.status == 401:
            await asyncio.sleep(REFUSAL_DELAY_S)
        return outcome


async def _read_head(reader: asyncio.StreamReader) -> Head | Refused:
    try:
        async with asyncio.timeout(HEAD_S_MAX):
            return parse_head(await reader.readuntil(b"\r\n\r\n"))
    except TimeoutError:
        return Refused(408, "headers-late", "The request did not arrive in time", f"Within {HEAD_S_MAX:.0f} s")
    except asyncio.LimitOverrunError:
        return Refused(431, "headers-too-large", f"Request line and headers may have {HEAD_BYTES_MAX} bytes")
    except Malformed as error:
        return Refused(400, "request-malformed", str(error))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: Head, stream: Stream) -> None:
    """The body into the stream, until one of them ends."""
    going = b"HTTP/1.1 100 Continue\r\n\r\n" if head.expects_continue else b"HTTP/1.0 200 OK\r\n\r\n"
    reading: asyncio.Task[None] | None = None
    try:
        await _send(writer, going)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_pass_on(reader, Body(head), stream))
            refused = await stream.refused()
            reading.cancel()
    finally:
        stream.end()
    if head.expects_continue:
        if refused is not None:
            await _refuse(reader, writer, refused)
        else:
            await _send(writer, _response(200, b"", ""))


async def _pass_on(reader: asyncio.StreamReader, body: Body, stream: Stream) -> None:
    with contextlib.suppress(OSError, Malformed):  # to the stream, an end like any other
        while not body.ended and (data := await reader.read(READ_BYTES)):
            if audio := body.receive(data):
                await stream.write(audio)
    stream.end()


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    async with asyncio.timeout(LINGER_S_MAX):
        await writer.drain()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, refused: Refused) -> None:
    """Closed with bytes unread, the answer could be lost on its way."""
    body = problem.problem(refused.status, refused.code, refused.title, refused.detail)
    extra = f"Retry-After: {refused.retry_after_s}\r\n" if refused.retry_after_s else ""
    if refused.status == 401:
        extra += 'WWW-Authenticate: Basic realm="stentor"\r\n'
    with contextlib.suppress(TimeoutError):
        await _send(writer, _response(refused.status, body, problem.CONTENT_TYPE, extra))
        if writer.can_write_eof():
            writer.write_eof()
        async with asyncio.timeout(LINGER_S_MAX):
            taken = 0
            while taken < LINGER_BYTES_MAX and (data := await reader.read(READ_BYTES)):
                taken += len(data)


def _response(status: int, body: bytes, content_type: str, extra: str = "") -> bytes:
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Refused')}\r\n{kind}{extra}Content-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
