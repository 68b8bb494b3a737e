"""What the door answers: pages, the `now` object, tickets, or why not. No sockets, no clock.

GET|HEAD  /                        the shows: a page, or JSON for `Accept: application/json`
GET|HEAD  /s/{show}                the listener's page
GET|HEAD  /s/{show}/now            the signed `now` object
GET|POST  /s/{show}/join           {"ticket", "seq", "expires_ms"}
GET|HEAD  /s/{show}/listen.mp3     on to the edge, for players and pages without JavaScript
GET|HEAD  /s/{show}/listen.m3u     a playlist of the line above; or listen.pls
GET|HEAD  /assets/{hash}/{name}    files of the pages
GET|HEAD  /healthz
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from stentor.formats import now as now_format
from stentor.formats import radio
from stentor.formats.problem import refusal
from stentor.model.board import Phase, Show
from stentor.model.http import File, Headers, Request, Response

RETRY_AFTER_S = 2
_METHODS = ("GET", "HEAD")
_ANY_ORIGIN = ("Access-Control-Allow-Origin", "*")
_NOT_KEPT = ("Cache-Control", "no-store")
_FOR_EVER = ("Cache-Control", "public, max-age=31536000, immutable")
_FOR_A_MINUTE = ("Cache-Control", "public, max-age=60")
_NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
_JSON = ("Content-Type", "application/json")
_PREFLIGHT: Headers = (
    _ANY_ORIGIN,
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS"),
    ("Access-Control-Max-Age", "86400"),
)
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:[]")
_HOST_MAX = 255
_PLAYLISTS = {"listen.m3u": (radio.M3U_TYPE, radio.m3u), "listen.pls": (radio.PLS_TYPE, radio.pls)}
_NO_HOST = refusal(400, "no-host", "Bad Request", "without a Host header it is not known where to send you on to")


class Ticket(NamedTuple):
    text: str
    seq: int
    expires_ms: int


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


@dataclass(frozen=True, slots=True)
class View:
    """What a door knows. `mint` makes a ticket to a show, `mint_lasting` one for an address that players keep; None: it
    cannot at the moment. `listener_page` takes a show's id, `shows_page` a listing in HTML; None: the file is missing.
    `asset` takes the hash and the name."""

    shows: Mapping[str, Show]
    origins: Origins
    now_text: Callable[[str], str | None]
    mint: Callable[[str], Ticket | None]
    mint_lasting: Callable[[str], Ticket | None]
    listener_page: Callable[[str], File | None]
    shows_page: Callable[[str], File | None]
    asset: Callable[[str, str], File | None]


def answer(request: Request, view: View) -> Response:
    """The answer to any request."""
    parts = request.path.strip("/").split("/")
    if request.method == "OPTIONS":
        return Response(204, _PREFLIGHT)
    if request.method not in _METHODS and not (request.method == "POST" and parts[-1] == "join"):
        return refusal(405, "method-not-allowed", "Method Not Allowed", extra=(("Allow", "GET, HEAD, OPTIONS"),))
    match parts:
        case [""]:
            return _shows(request, view)
        case ["healthz"]:
            return Response(200, (("Content-Type", "text/plain"), _NOT_KEPT), b"ok\n")
        case ["assets", tree, *name]:
            return _asset(view.asset(tree, "/".join(name)), request)
        case ["s", show, *what] if len(what) < 2:
            return _of_show(show, *what, request=request, view=view)
    return refusal(404, "not-found", "Not Found")


def _of_show(show: str, what: str = "", *, request: Request, view: View) -> Response:
    """A show is known by what the desk announces, or by its `now` object, which outlives the desk's announcement."""
    text = view.now_text(show)
    if text is None and show not in view.shows:
        return refusal(404, "no-show", "No such show")
    match what:
        case "":
            return _page(view.listener_page(show), request, view)
        case "now" if text is None:
            return refusal(503, "now-not-yet", "Nothing is known of this show yet", retry_after_s=RETRY_AFTER_S)
        case "now":
            return now_format.response(str(text))
        case "join" | "listen.mp3":
            return _admit(show, what, request, view)
        case "listen.m3u" | "listen.pls":
            return _playlist(show, what, request, view)
    return refusal(404, "not-found", "Not Found")


def _admit(show: str, what: str, request: Request, view: View) -> Response:
    if what == "listen.mp3" and not _is_placed(request, view):
        return _NO_HOST
    ticket = (view.mint_lasting if what == "listen.mp3" else view.mint)(show)
    if ticket is None:
        return refusal(503, "no-tickets", "No tickets at the moment", retry_after_s=RETRY_AFTER_S)
    if what == "listen.mp3":
        location = _edge(request, view.origins) + f"/live/{ticket.text}/mp3"
        return Response(307, (("Location", location), _NOT_KEPT, _ANY_ORIGIN))
    body = {"ticket": ticket.text, "seq": ticket.seq, "expires_ms": ticket.expires_ms}
    return Response(200, (_JSON, _NOT_KEPT, _ANY_ORIGIN), json.dumps(body).encode())


def _playlist(show: str, what: str, request: Request, view: View) -> Response:
    """Players keep playlists: the address in it is the one that gives a new ticket each time."""
    if not _is_placed(request, view):
        return _NO_HOST
    origin = view.origins.public_url or f"{view.origins.scheme}://{_host(request)}"
    content_type, write = _PLAYLISTS[what]
    headers = (("Content-Type", content_type), _NOT_KEPT, _ANY_ORIGIN)
    return Response(200, headers, write(f"{origin}/s/{show}/listen.mp3", _title(show, view)).encode())


def _title(show: str, view: View) -> str:
    """As the desk announces it, or as the `now` object of a show that the desk forgot has it."""
    if show in view.shows:
        return view.shows[show].title
    return str(json.loads(view.now_text(show) or "{}").get("title", ""))


def _is_placed(request: Request, view: View) -> bool:
    """Whether an address can be given that leads here."""
    return bool(view.origins.public_url or _hostname(request))


def _host(request: Request) -> str:
    """The Host header with its port, or nothing if it is not one: it is written into answers."""
    host = request.headers.get("host", "")
    return host if len(host) <= _HOST_MAX and _HOST_CHARACTERS.issuperset(host) else ""


def _hostname(request: Request) -> str:
    host = _host(request)
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


def _edge(request: Request, origins: Origins) -> str:
    return origins.public_url or f"{origins.scheme}://{_hostname(request)}:{origins.edge_port}"


def _shows(request: Request, view: View) -> Response:
    listed = [_public(show, view.now_text(show.id)) for show in view.shows.values()]
    if "application/json" in request.headers.get("accept", ""):
        headers = (_JSON, ("Cache-Control", "public, max-age=5"), ("Vary", "Accept"), _ANY_ORIGIN)
        return Response(200, headers, json.dumps({"shows": listed}).encode())
    items = "".join(
        f'<li><a href="{show["page"]}">{html.escape(str(show["title"]))}</a> {show["phase"]}</li>' for show in listed
    )
    return _page(view.shows_page(f"<ul>{items}</ul>" if items else "<p>No show is announced.</p>"), request, view)


def _public(show: Show, text: str | None) -> dict[str, str | int]:
    """What everybody may know of a show."""
    phase = json.loads(text)["phase"] if text else Phase.ANNOUNCED
    times = {"starts_at_ms": show.starts_at_ms, "opens_at_ms": show.opens_at_ms}
    return {"id": show.id, "title": show.title, **times, "phase": phase, "page": f"/s/{show.id}"}


def _page(file: File | None, request: Request, view: View) -> Response:
    if file is None:
        return refusal(503, "page-missing", "The page is missing in this installation")
    policy = ("Content-Security-Policy", _policy(_hostname(request), view.origins))
    return _file(file, request, (_FOR_A_MINUTE, policy, ("Referrer-Policy", "no-referrer")))


def _policy(hostname: str, origins: Origins) -> str:
    """Scripts and styles only from here; besides, audio from the edge and the archive."""
    ports = () if origins.public_url or not hostname else (origins.edge_port, origins.archive_port)
    others = "".join(f" http://{hostname}:{port} https://{hostname}:{port}" for port in ports)
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self'{others}; media-src 'self' blob:{others}; base-uri 'none'; form-action 'none'"
    )


def _asset(file: File | None, request: Request) -> Response:
    return _file(file, request, (_FOR_EVER, _ANY_ORIGIN)) if file else refusal(404, "not-found", "Not Found")


def _file(file: File, request: Request, extra: Headers) -> Response:
    headers: Headers = (("Content-Type", file.content_type), *extra, _NO_SNIFFING)
    if not file.gzipped:
        return Response(200, headers, file.body)
    headers += (("Vary", "Accept-Encoding"),)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(200, headers, file.body)
    return Response(200, (*headers, ("Content-Encoding", "gzip")), file.gzipped)
