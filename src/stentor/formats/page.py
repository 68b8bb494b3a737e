"""Pages and their files as answers: who may keep them, what they may load, and where the other roles are."""

from __future__ import annotations

import json
from typing import NamedTuple

from stentor.formats.problem import refusal
from stentor.model.http import File, Headers, Request, Response

ANY_ORIGIN = ("Access-Control-Allow-Origin", "*")
NOT_KEPT = ("Cache-Control", "no-store")
FOR_A_SECOND = ("Cache-Control", "public, max-age=1")
FOR_A_MINUTE = ("Cache-Control", "public, max-age=60, stale-if-error=86400")  # a cache may stand in for a dead door
FOR_EVER = ("Cache-Control", "public, max-age=31536000, immutable")
JSON = ("Content-Type", "application/json")
_NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
_NO_REFERRER = ("Referrer-Policy", "no-referrer")
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:[]")
_HOST_MAX = 255


class Origins(NamedTuple):
    """Where the other roles are. `public_url` is empty where every role has a port on the host of the request."""

    public_url: str
    edge_port: int
    archive_port: int
    scheme: str = "http"

    @property
    def config(self) -> str:
        """What the listener's page has to know, as JSON that may stand in HTML: ports, or 0 for its own origin."""
        ports = (0, 0) if self.public_url else (self.edge_port, self.archive_port)
        return json.dumps(dict(zip(("edge_port", "archive_port"), ports, strict=True)))

    def edge(self, request: Request) -> str:
        return self.public_url or f"{self.scheme}://{hostname(request)}:{self.edge_port}"


def wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def host(request: Request) -> str:
    """The Host header with its port, or nothing if it is not one: it is written into answers."""
    value = request.headers.get("host", "")
    return value if len(value) <= _HOST_MAX and _HOST_CHARACTERS.issuperset(value) else ""


def hostname(request: Request) -> str:
    value = host(request)
    return value[: value.find("]") + 1] if value.startswith("[") else value.partition(":")[0]


def page(
    filled: File | None,
    request: Request,
    origins: Origins,
    kept: tuple[str, str] = FOR_A_MINUTE,
    *,
    with_form: bool = False,
) -> Response:
    """An HTML page under a strict policy. `with_form`: it has a form, which it sends to its own origin."""
    if filled is None:
        return refusal(503, "page-missing", "The page is missing in this installation")
    policy = ("Content-Security-Policy", _policy(hostname(request), origins, with_form))
    return file(filled, request, (kept, policy, _NO_REFERRER))


def _policy(name: str, origins: Origins, with_form: bool) -> str:
    """Scripts and styles only from here; besides, audio from the edge and the archive."""
    ports = () if origins.public_url or not name else (origins.edge_port, origins.archive_port)
    others = "".join(f" http://{name}:{port} https://{name}:{port}" for port in ports)
    forms = "'self'" if with_form else "'none'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self'{others}; media-src 'self' blob:{others}; base-uri 'none'; "
        f"form-action {forms}"
    )


def file(filled: File, request: Request, extra: Headers) -> Response:
    """A file, compressed for those who take it so."""
    headers: Headers = (("Content-Type", filled.content_type), *extra, _NO_SNIFFING)
    if not filled.gzipped:
        return Response(200, headers, filled.body)
    headers += (("Vary", "Accept-Encoding"),)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(200, headers, filled.body)
    return Response(200, (*headers, ("Content-Encoding", "gzip")), filled.gzipped)
