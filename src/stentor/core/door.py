"""What the door answers: pages, the `now` object, tickets, or why not. No sockets, no clock.

GET|HEAD  /                        the shows: a page, or JSON for `Accept: application/json`
GET|HEAD  /s/{show}                the listener's page
GET|HEAD  /s/{show}/now            the signed `now` object
POST      /s/{show}/join           {"ticket", "seq", "expires_ms"}, or 202 and a place in line; ?place=<token>
GET|HEAD  /s/{show}/listen.mp3     on to the edge, for players and pages without JavaScript; ?place=<token>
GET|HEAD  /s/{show}/listen.m3u     a playlist of the line above; or listen.pls
          /s/{show}/place/…        the line: core/waiting.py; also wait, draw, places
GET|HEAD  /assets/{hash}/{name}    files of the pages
GET|HEAD  /healthz
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stentor.formats import now as now_format
from stentor.formats import page, radio
from stentor.formats.page import ANY_ORIGIN, JSON, NOT_KEPT, Origins
from stentor.formats.problem import Refused, refusal
from stentor.formats.waiting import Ticket, Waits, Want
from stentor.model.board import Phase, Show
from stentor.model.http import File, Headers, Request, Response

__all__ = ["Origins", "Ticket", "View", "answer"]

RETRY_AFTER_S = 2
_METHODS = ("GET", "HEAD")
_POSTED = ("join", "wait")
_PREFLIGHT: Headers = (
    ANY_ORIGIN,
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS"),
    ("Access-Control-Max-Age", "86400"),
)
_PLAYLISTS = {"listen.m3u": (radio.M3U_TYPE, radio.m3u), "listen.pls": (radio.PLS_TYPE, radio.pls)}
_NO_HOST = refusal(400, "no-host", "Bad Request", "without a Host header it is not known where to send you on to")


@dataclass(frozen=True, slots=True)
class View:
    """What a door knows. `join` lets somebody into a show by the text of a place or "", or tells their wait, or why
    neither. `line` answers what is asked of a show's line. `listener_page` takes a show's id, `shows_page` a listing in
    HTML; None: the file is missing. `asset` takes the hash and the name."""

    shows: Mapping[str, Show]
    origins: Origins
    now_text: Callable[[str], str | None]
    join: Callable[[str, str, Want], Ticket | Waits | Refused]
    line: Callable[[Request, str, tuple[str, ...]], Response]
    listener_page: Callable[[str], File | None]
    shows_page: Callable[[str], File | None]
    asset: Callable[[str, str], File | None]


def answer(request: Request, view: View) -> Response:
    """The answer to any request."""
    parts = request.path.strip("/").split("/")
    if request.method == "OPTIONS":
        return Response(204, _PREFLIGHT)
    if request.method not in _METHODS and not (request.method == "POST" and parts[2:] in ([name] for name in _POSTED)):
        return refusal(405, "method-not-allowed", "Method Not Allowed", extra=(("Allow", "GET, HEAD, OPTIONS"),))
    match parts:
        case [""]:
            return _shows(request, view)
        case ["healthz"]:
            return Response(200, (("Content-Type", "text/plain"), NOT_KEPT), b"ok\n")
        case ["assets", tree, *name]:
            return _asset(view.asset(tree, "/".join(name)), request)
        case ["s", show, *what] if len(what) < 3:
            return _of_show(show, what, request, view)
    return refusal(404, "not-found", "Not Found")


def _of_show(show: str, what: list[str], request: Request, view: View) -> Response:
    """A show is known by what the desk announces, or by its `now` object, which outlives the desk's announcement."""
    text = view.now_text(show)
    if text is None and show not in view.shows:
        return refusal(404, "no-show", "No such show")
    match what:
        case []:
            return page.page(view.listener_page(show), request, view.origins)
        case ["now"] if text is None:
            return refusal(503, "now-not-yet", "Nothing is known of this show yet", retry_after_s=RETRY_AFTER_S)
        case ["now"]:
            return now_format.response(str(text))
        case ["join"]:
            if request.method != "POST":
                return _only_posted(show)
            return _join(view.join(show, request.query.get("place", ""), Want.IN))
        case ["listen.mp3"]:
            return _listen(show, request, view)
        case ["listen.m3u" | "listen.pls"]:
            return _playlist(show, what[0], request, view)
    return view.line(request, show, tuple(what))


def _only_posted(show: str) -> Response:
    """Whoever follows every link, to show a preview of it, say, takes no place."""
    detail = f"a ticket or a place is given to POST; in a browser, it is to be had at /s/{show}/wait"
    return refusal(405, "post-to-join", "Method Not Allowed", detail, extra=(("Allow", "POST, OPTIONS"),))


def _join(joined: Ticket | Waits | Refused) -> Response:
    if isinstance(joined, Refused):
        return joined.response()
    status = 200 if isinstance(joined, Ticket) else 202
    return Response(status, (JSON, NOT_KEPT, ANY_ORIGIN), joined.body())


def _listen(show: str, request: Request, view: View) -> Response:
    """A player cannot wait in line: whoever came by a page brings the place that they have from there."""
    if not _is_placed(request, view):
        return _NO_HOST
    joined = view.join(show, request.query.get("place", ""), Want.KEPT)
    if isinstance(joined, Refused):
        return joined.response()
    if isinstance(joined, Waits):
        detail, retry_s = f"a place in it is to be had at /s/{show}/wait", -(-joined.next_poll_ms // 1000)
        return refusal(503, "waiting-room", "There is a line for this show", detail, retry_after_s=retry_s)
    location = view.origins.edge(request) + f"/live/{joined.text}/mp3"
    return Response(307, (("Location", location), NOT_KEPT, ANY_ORIGIN))


def _playlist(show: str, what: str, request: Request, view: View) -> Response:
    """Players keep playlists: the address in it is the one that gives a new ticket each time."""
    if not _is_placed(request, view):
        return _NO_HOST
    origin = view.origins.public_url or f"{view.origins.scheme}://{page.host(request)}"
    content_type, write = _PLAYLISTS[what]
    headers = (("Content-Type", content_type), NOT_KEPT, ANY_ORIGIN)
    return Response(200, headers, write(f"{origin}/s/{show}/listen.mp3", _title(show, view)).encode())


def _title(show: str, view: View) -> str:
    """As the desk announces it, or as the `now` object of a show that the desk forgot has it."""
    if show in view.shows:
        return view.shows[show].title
    return str(json.loads(view.now_text(show) or "{}").get("title", ""))


def _is_placed(request: Request, view: View) -> bool:
    """Whether an address can be given that leads here."""
    return bool(view.origins.public_url or page.hostname(request))


def _shows(request: Request, view: View) -> Response:
    listed = [_public(show, view.now_text(show.id)) for show in view.shows.values()]
    if page.wants_json(request):
        headers = (JSON, ("Cache-Control", "public, max-age=5"), ("Vary", "Accept"), ANY_ORIGIN)
        return Response(200, headers, json.dumps({"shows": listed}).encode())
    items = "".join(
        f'<li><a href="{show["page"]}">{html.escape(str(show["title"]))}</a> {show["phase"]}</li>' for show in listed
    )
    listing = f"<ul>{items}</ul>" if items else "<p>No show is announced.</p>"
    return page.page(view.shows_page(listing), request, view.origins)


def _public(show: Show, text: str | None) -> dict[str, str | int]:
    """What everybody may know of a show."""
    phase = json.loads(text)["phase"] if text else Phase.ANNOUNCED
    times = {"starts_at_ms": show.starts_at_ms, "opens_at_ms": show.opens_at_ms}
    return {"id": show.id, "title": show.title, **times, "phase": phase, "page": f"/s/{show.id}"}


def _asset(file: File | None, request: Request) -> Response:
    if file is None:
        return refusal(404, "not-found", "Not Found")
    return page.file(file, request, (page.FOR_EVER, ANY_ORIGIN))
