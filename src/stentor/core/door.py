"""What the door answers: pages, the `now` object, tickets, or why not. No sockets, no clock.

GET|HEAD  /                        the shows: a page, or JSON for `Accept: application/json`
GET|HEAD  /s/{show}                the listener's page
GET|HEAD  /s/{show}/now            the signed `now` object
GET|POST  /s/{show}/join           {"ticket", "seq", "expires_ms"}
GET|HEAD  /s/{show}/listen.mp3     on to the edge, for players and pages without JavaScript
GET|HEAD  /s/{show}/listen.m3u     the same as a playlist
GET|HEAD  /assets/{hash}/{name}    files of the pages
GET|HEAD  /healthz
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from stentor.formats.problem import CONTENT_TYPE, problem
from stentor.model.board import Show
from stentor.model.http import Headers, Request, Response

_HTML = "text/html; charset=utf-8"
_ANY_ORIGIN = ("Access-Control-Allow-Origin", "*")
_NOT_KEPT = ("Cache-Control", "no-store")
_PREFLIGHT: Headers = (_ANY_ORIGIN, ("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS"))
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:[]")
_HOST_MAX = 255


class Ticket(NamedTuple):
    text: str
    seq: int
    expires_ms: int


class File(Protocol):
    """A file of the pages."""

    @property
    def content_type(self) -> str: ...

    @property
    def body(self) -> bytes: ...

    @property
    def gzipped(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class View:
    """What a door knows. Ports are 0 where one origin serves every role; `listener_page` has `{{show}}` left in it,
    `shows_page` `{{shows}}`. `mint` makes a ticket to a show."""

    shows: Mapping[str, Show]
    now_text: Callable[[str], str | None]
    mint: Callable[[str], Ticket]
    listener_page: str
    shows_page: str
    asset: Callable[[str, str], File | None]
    edge_port: int
    archive_port: int


def answer(request: Request, view: View) -> Response:
    """The whole of the door's manners."""
    parts = request.path.strip("/").split("/")
    if request.method == "OPTIONS":
        return Response(204, _PREFLIGHT)
    if request.method not in ("GET", "HEAD") and not (request.method == "POST" and parts[-1] == "join"):
        return refuse(405, "method-not-allowed", "Method Not Allowed", (("Allow", "GET, HEAD, OPTIONS"),))
    match parts:
        case [""]:
            return _shows(request, view)
        case ["healthz"]:
            return Response(200, (("Content-Type", "text/plain"), _NOT_KEPT), b"ok\n")
        case ["assets", tree, *name] if name:
            return _asset(view.asset(tree, "/".join(name)), request)
        case ["s", show] | ["s", show, _] if show not in view.shows:
            return refuse(404, "no-show", "No such show")
        case ["s", show]:
            return _page(view.listener_page.replace("{{show}}", html.escape(show)), request, view)
        case ["s", show, what]:
            return _of_show(show, what, request, view)
    return refuse(404, "not-found", "Not Found")


def _of_show(show: str, what: str, request: Request, view: View) -> Response:
    match what:
        case "now":
            return _now(view.now_text(show))
        case "join":
            return _join(view.mint(show))
        case "listen.mp3":
            return Response(307, (("Location", _mount(show, request, view)), _NOT_KEPT, _ANY_ORIGIN), b"")
        case "listen.m3u":
            body = f"#EXTM3U\n#EXTINF:-1,{view.shows[show].title}\n{_playlist_entry(show, request)}\n".encode()
            return Response(200, (("Content-Type", "audio/x-mpegurl"), _NOT_KEPT, _ANY_ORIGIN), body)
    return refuse(404, "not-found", "Not Found")


def _now(text: str | None) -> Response:
    if text is None:
        return refuse(503, "now-not-yet", "Nothing is known of this show yet", (("Retry-After", "1"),))
    headers = (("Content-Type", "application/json"), ("Cache-Control", "public, max-age=1"), _ANY_ORIGIN)
    return Response(200, headers, text.encode())


def _join(ticket: Ticket) -> Response:
    body = {"ticket": ticket.text, "seq": ticket.seq, "expires_ms": ticket.expires_ms}
    return Response(200, (("Content-Type", "application/json"), _NOT_KEPT, _ANY_ORIGIN), json.dumps(body).encode())


def _host(request: Request) -> str:
    """The Host header with its port, or nothing if it is not one: it is written into answers."""
    host = request.headers.get("host", "")
    return host if len(host) <= _HOST_MAX and _HOST_CHARACTERS.issuperset(host) else ""


def _hostname(request: Request) -> str:
    host = _host(request)
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


def _scheme(request: Request) -> str:
    return "https" if request.headers.get("x-forwarded-proto") == "https" else "http"


def _mount(show: str, request: Request, view: View) -> str:
    path = f"/live/{view.mint(show).text}/mp3"
    return f"{_scheme(request)}://{_hostname(request)}:{view.edge_port}{path}" if view.edge_port else path


def _playlist_entry(show: str, request: Request) -> str:
    """Players keep playlists: the entry is the address that gives a new ticket each time."""
    return f"{_scheme(request)}://{_host(request)}/s/{show}/listen.mp3"


def _shows(request: Request, view: View) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        listed = [
            {"show": show.id, "title": show.title, "starts_at_ms": show.starts_at_ms, "page": f"/s/{show.id}"}
            for show in view.shows.values()
        ]
        headers = (("Content-Type", "application/json"), ("Cache-Control", "public, max-age=5"), _ANY_ORIGIN)
        return Response(200, headers, json.dumps({"shows": listed}).encode())
    items = "\n".join(f'<li><a href="/s/{show.id}">{html.escape(show.title)}</a></li>' for show in view.shows.values())
    listing = f"<ul>\n{items}\n</ul>" if items else "<p>No show is announced.</p>"
    return _page(view.shows_page.replace("{{shows}}", listing), request, view)


def _page(text: str, request: Request, view: View) -> Response:
    config = json.dumps({"edge_port": view.edge_port, "archive_port": view.archive_port}).replace("<", "\\u003c")
    headers = (
        ("Content-Type", _HTML),
        ("Cache-Control", "public, max-age=60"),
        ("Content-Security-Policy", _policy(request, view)),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    )
    return Response(200, headers, text.replace("{{config}}", config).encode())


def _policy(request: Request, view: View) -> str:
    host = _hostname(request)
    ports = [port for port in (view.edge_port, view.archive_port) if port] if host else []
    others = "".join(f" http://{host}:{port} https://{host}:{port}" for port in ports)
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self'{others}; media-src 'self' blob:{others}; base-uri 'none'; form-action 'none'"
    )


def _asset(file: File | None, request: Request) -> Response:
    if file is None:
        return refuse(404, "not-found", "Not Found")
    headers: Headers = (
        ("Content-Type", file.content_type),
        ("Cache-Control", "public, max-age=31536000, immutable"),
        ("Vary", "Accept-Encoding"),
        ("X-Content-Type-Options", "nosniff"),
    )
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(200, (*headers, ("Content-Encoding", "gzip")), file.gzipped)
    return Response(200, headers, file.body)


def refuse(status: int, code: str, title: str, extra: Headers = ()) -> Response:
    """A problem+json that no cache keeps and every origin may read."""
    headers = (("Content-Type", CONTENT_TYPE), _NOT_KEPT, _ANY_ORIGIN, *extra)
    return Response(status, headers, problem(status, code, title))
