"""Requests and responses as values, so that what a role answers can be decided, and tested, without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Headers = tuple[tuple[str, str], ...]


class Request(NamedTuple):
    """One whole request. `path` is as sent, without the query; header names are in lower case. `source` is the address
    that it comes from, as far as the connection tells."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    keep_alive: bool = False
    source: str = ""


class Response(NamedTuple):
    """One answer. A `body` of None goes on without end: no Content-Length, and the connection closes after it."""

    status: int
    headers: Headers = ()
    body: bytes | None = b""


class File(NamedTuple):
    """A file to serve. `gzipped` is empty where that would not make it smaller."""

    content_type: str
    body: bytes
    gzipped: bytes = b""
