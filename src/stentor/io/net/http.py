"""HTTP/1.1 on bytes: requests read with httptools within limits, responses written whole.

Clients of one kind send the same bytes behind the target of each request. What httptools made of them is remembered, so
most requests are not parsed again; whatever is not plainly one whole request without a body goes to httptools.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qsl

import httptools

from stentor.formats.problem import refusal
from stentor.model.http import Headers, Request, Response

QUERY_FIELDS_MAX = 16
BODY_BYTES_MAX = 4_096  # no request of edge or door needs a body; a small one is read and dropped
PIPELINED_MAX = 16  # whole requests in one read
KNOWN_MAX = 256  # kinds of clients that are remembered
KNOWN_BYTES_MAX = 2_048  # of what one kind sends behind the target
_LISTED = "x-forwarded-for"  # a list, to which proxies may add a line each (RFC 9110, 5.3)
_NO_FIELDS: Mapping[str, str] = MappingProxyType({})
STARTS_MAX = 64  # kinds of answers of which the first lines are kept
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_NO_CONTENT = 204
_PLAIN = re.compile(rb"(GET|HEAD|POST|OPTIONS) (/[\w.~%/?=&+:@,;-]*)")  # method and target that need no parser
_VERSION = b" HTTP/1."
_END = b"\r\n\r\n"


class _Misuse(Exception):
    """Raised inside the parser's callbacks, which have no other way to stop it."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.response = refusal(status, code, _PHRASES[status], detail)


class RequestReader:
    """Requests out of the bytes of one connection, from `source`. `headers_bytes_max` bounds a request's line and
    headers.

    `refused` is None until the peer's bytes are no request that we take; then it is the answer that says why, and the
    connection cannot be read any further. `idle`: no byte of a request has come since the last whole one. `over`: the
    peer has said that none comes behind that.
    """

    __slots__ = ("_max", "_parser", "idle", "over", "refused", "source")

    def __init__(self, headers_bytes_max: int, source: str = "") -> None:
        self.source = source
        self._max = headers_bytes_max
        self._parser: _Parser | None = None  # made when there is something to parse
        self.over = False
        self.idle = True
        self.refused: Response | None = None

    def close(self) -> None:
        """Let go of the parser, which refers back to itself: else only the garbage collector would free it."""
        if self._parser is not None:
            self._parser.close()

    def feed(self, data: bytes) -> list[Request]:
        """-> the requests that are now whole; look at `refused` after it."""
        assert self.refused is None
        if self.over:
            if data.strip(b"\r\n"):
                self.refused = _Misuse(400, "bad-request", "there is something behind the last request").response
            return []
        try:
            known = self._look_up(data) if self.idle else None
        except _Misuse as error:
            self.refused = error.response
            return []
        if known is not None:
            self.over = not known.keep_alive
            return [known]
        return self._parse(data)

    def _look_up(self, data: bytes) -> Request | None:
        """The request that `data` is, if all behind its target has been seen before or can be from now on."""
        at = data.find(_VERSION)
        plain = _PLAIN.fullmatch(data, 0, at) if at > 0 else None
        rest = (
            _behind_target(data[at:]) if plain and data.endswith(_END) and len(data) - at <= KNOWN_BYTES_MAX else None
        )
        if plain is None or rest is None or len(plain[2]) + rest.size > self._max:
            return None
        path, query = _target(plain[2])
        return Request(plain[1].decode(), path, query, rest.headers, rest.keep_alive, self.source)

    def _parse(self, data: bytes) -> list[Request]:
        parser = self._parser
        if parser is None:
            parser = self._parser = _Parser(self._max, self.source)
        done, self.refused = parser.feed(data)
        self.idle = parser.idle
        self.over = bool(done) and not done[-1].keep_alive
        return done


class _Parser:
    """httptools with its callbacks, for one connection."""

    __slots__ = ("_body_bytes", "_done", "_fed", "_headers", "_max", "_parser", "_source", "_url", "idle", "size")

    def __init__(self, headers_bytes_max: int, source: str) -> None:
        self._source = source
        self._max = headers_bytes_max
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._done: list[Request] = []
        self._fed = 0
        self._url = b""
        self.idle = True
        self.size = 0  # of what counts against the limit, in the newest request

    def close(self) -> None:
        self._parser = None

    def feed(self, data: bytes) -> tuple[list[Request], Response | None]:
        """-> the requests that are now whole, and why no more can be read, if so."""
        assert self._parser is not None
        refused = None
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
            refused = error.__context__.response
        except httptools.HttpParserError as error:
            refused = _Misuse(400, "bad-request", str(error)).response
        except _Misuse as error:
            refused = error.response
        done, self._done = self._done, []
        return done, refused

    def on_message_begin(self) -> None:
        self.idle = False
        self._url = b""
        self._headers: dict[str, str] = {}
        self.size = 0
        self._body_bytes = 0

    def on_url(self, part: bytes) -> None:
        self._url += part
        self._count(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        key = name.decode("latin-1").lower()
        if key == "host" and key in self._headers:
            raise _Misuse(400, "bad-host", "more than one Host header")
        text = value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key == _LISTED and key in self._headers else text

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > self._max:
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


class _Rest(NamedTuple):
    """What the bytes behind a target say. `size` is what they count against the limit of a request."""

    headers: Mapping[str, str]
    keep_alive: bool
    size: int


@lru_cache(KNOWN_MAX)
def _behind_target(rest: bytes) -> _Rest | None:
    """What httptools makes of ` HTTP/1.1`, headers and the empty line, if they make one whole request without a body,
    and nothing is behind it; else None.

    None of this depends on the method, if it is one of those that `_PLAIN` takes, or on the target.
    """
    if rest.index(_END) + len(_END) != len(rest):
        return None
    parser = _Parser(KNOWN_BYTES_MAX, "")
    requests, refused = parser.feed(b"GET /" + rest)
    parser.close()
    if len(requests) != 1 or refused or not parser.idle or "upgrade" in requests[0].headers:
        return None
    return _Rest(MappingProxyType(requests[0].headers), requests[0].keep_alive, parser.size - len("/"))  # type: ignore[arg-type]


def _too_large(limit: int) -> _Misuse:
    return _Misuse(431, "headers-too-large", f"request line and headers may have {limit} bytes")


@lru_cache(KNOWN_MAX)
def _fields(query: bytes) -> Mapping[str, str]:
    """What the query says; players of HLS ask for the same in their thousands. Raises `ValueError`."""
    return MappingProxyType(dict(parse_qsl(query.decode("ascii"), max_num_fields=QUERY_FIELDS_MAX)))


def _target(url: bytes) -> tuple[str, Mapping[str, str]]:
    """-> path and query of a request target in origin form, absolute form or `*` (RFC 9112, 3.2)."""
    try:
        if url[:1] == b"/":
            path, _, query = url.partition(b"?")
        elif url == b"*":
            path, query = url, b""
        else:
            parsed = httptools.parse_url(url)
            path, query = parsed.path or b"/", parsed.query or b""
        return path.decode("ascii"), _fields(query) if query else _NO_FIELDS
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


_OWN = ("Location", "Stentor-Ticket")


def encode(response: Response, *, keep_alive: bool = False, head: bool = False) -> bytes:
    """The bytes of a response; for a HEAD request (`head`) without its body."""
    status, headers, body = response
    length = f"Content-Length: {len(body)}\r\n" if body is not None and status != _NO_CONTENT else ""
    connection = "keep-alive" if keep_alive and body is not None else "close"
    start = f"{_lines(status, headers)}Date: {_Clock.date()}\r\n{length}Connection: {connection}\r\n\r\n".encode()
    return start if head or body is None else start + body


def _lines(status: int, headers: Headers) -> str:
    """What stands for one person only (a ticket, a place) is not kept: neither would it be asked for again."""
    own = any(name in _OWN for name, _ in headers)
    return _start.__wrapped__(status, headers) if own else _start(status, headers)


@lru_cache(STARTS_MAX)
def _start(status: int, headers: Headers) -> str:
    """The lines of which most answers of one kind have the same."""
    return "\r\n".join([f"HTTP/1.1 {status} {_PHRASES[status]}", *(f"{name}: {value}" for name, value in headers), ""])


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
