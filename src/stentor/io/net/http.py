"""HTTP/1.1 on bytes: requests read with httptools within limits, responses written whole."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qsl

import httptools

from stentor.formats.problem import refusal
from stentor.model.http import Request, Response

QUERY_FIELDS_MAX = 16
BODY_BYTES_MAX = 4_096  # no request of edge or door needs a body; a small one is read and dropped
PIPELINED_MAX = 16  # whole requests in one read
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_NO_CONTENT = 204


class _Misuse(Exception):
    """Raised inside the parser's callbacks, which have no other way to stop it."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.response = refusal(status, code, _PHRASES[status], detail)


class RequestReader:
    """Requests out of the bytes of one connection, from `source`. `headers_bytes_max` bounds a request's line and
    headers.

    `refused` is None until the peer's bytes are no request that we take; then it is the answer that says why, and the
    connection cannot be read any further.
    """

    __slots__ = (
        "_body_bytes",
        "_done",
        "_fed",
        "_headers",
        "_max",
        "_parser",
        "_size",
        "_source",
        "_url",
        "idle",
        "refused",
    )

    def __init__(self, headers_bytes_max: int, source: str = "") -> None:
        self._source = source
        self._max = headers_bytes_max
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._done: list[Request] = []
        self._fed = 0
        self._url = b""
        self.idle = True  # no byte of a request has come since the last whole one
        self.refused: Response | None = None

    def close(self) -> None:
        """Let go of the parser, which refers back here: without this only the garbage collector would free the two."""
        self._parser = None

    def feed(self, data: bytes) -> list[Request]:
        """-> the requests that are now whole; look at `refused` after it."""
        assert self._parser is not None and self.refused is None
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
            if not self.idle and self._fed > self._max + BODY_BYTES_MAX:
                raise _too_large(self._max)
        except httptools.HttpParserUpgrade:
            self._done[-1:] = [request._replace(keep_alive=False) for request in self._done[-1:]]
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _Misuse):
                raise
            self.refused = error.__context__.response
        except httptools.HttpParserError as error:
            self.refused = _Misuse(400, "bad-request", str(error)).response
        except _Misuse as error:
            self.refused = error.response
        done, self._done = self._done, []
        return done

    def on_message_begin(self) -> None:
        self.idle = False
        self._url = b""
        self._headers: dict[str, str] = {}
        self._size = 0
        self._body_bytes = 0

    def on_url(self, part: bytes) -> None:
        self._url += part
        self._count(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        key = name.decode("latin-1").lower()
        if key == "host" and key in self._headers:
            raise _Misuse(400, "bad-host", "more than one Host header")
        self._headers[key] = value.decode("latin-1")

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self._max:
            raise _too_large(self._max)

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        if "host" not in self._headers and self._parser.get_http_version() == "1.1":
            raise _Misuse(400, "bad-host", "no Host header")

    def on_body(self, part: bytes) -> None:
        self._body_bytes += len(part)
        if self._body_bytes > BODY_BYTES_MAX:
            raise _Misuse(413, "body-too-large", f"a body may have {BODY_BYTES_MAX} bytes")

    def on_message_complete(self) -> None:
        assert self._parser is not None
        self.idle = True
        self._fed = 0
        if len(self._done) == PIPELINED_MAX:
            raise _Misuse(400, "pipeline-too-long", f"at most {PIPELINED_MAX} requests at once")
        path, query = _target(self._url)
        method = self._parser.get_method().decode()
        keep_alive = self._parser.should_keep_alive()
        self._done.append(Request(method, path, query, self._headers, keep_alive, self._source))


def _too_large(limit: int) -> _Misuse:
    return _Misuse(431, "headers-too-large", f"request line and headers may have {limit} bytes")


def _target(url: bytes) -> tuple[str, dict[str, str]]:
    """-> path and query of a request target in origin form, absolute form or `*` (RFC 9112, 3.2)."""
    try:
        if url[:1] == b"/":
            path, _, query = url.partition(b"?")
        elif url == b"*":
            path, query = url, b""
        else:
            parsed = httptools.parse_url(url)
            path, query = parsed.path or b"/", parsed.query or b""
        fields = parse_qsl(query.decode("ascii"), max_num_fields=QUERY_FIELDS_MAX) if query else ()
        return path.decode("ascii"), dict(fields)
    except (httptools.HttpParserError, ValueError) as error:
        raise _Misuse(400, "bad-target", str(error)) from None


class _Clock:
    """The Date header (RFC 9110, 6.6.1), written once a second."""

    second = 0
    text = ""

    @classmethod
    def date(cls) -> str:
        now = int(time.time())
        if now != cls.second:
            cls.second, cls.text = now, formatdate(now, usegmt=True)
        return cls.text


def encode(response: Response, *, keep_alive: bool = False, head: bool = False) -> bytes:
    """The bytes of a response; for a HEAD request (`head`) without its body."""
    status, headers, body = response
    lines = [f"HTTP/1.1 {status} {_PHRASES[status]}", f"Date: {_Clock.date()}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None and status != _NO_CONTENT:
        lines.append(f"Content-Length: {len(body)}")
    lines.append(f"Connection: {'keep-alive' if keep_alive and body is not None else 'close'}")
    head_bytes = "\r\n".join([*lines, "", ""]).encode()
    return head_bytes if head or body is None else head_bytes + body


class Ready:
    """A response that many get, encoded once. It must have a body."""

    __slots__ = ("_body", "_closing", "_keeping")

    def __init__(self, response: Response) -> None:
        assert response.body is not None
        self._keeping = encode(response, keep_alive=True, head=True)
        self._closing = encode(response, head=True)
        self._body = response.body

    def bytes_for(self, *, keep_alive: bool, head: bool) -> bytes:
        start = self._keeping if keep_alive else self._closing
        return start if head else start + self._body
