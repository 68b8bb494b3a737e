"""What an edge answers to a request: a mount to listen to, the `now` object, or why not. No sockets, no clock.

GET|HEAD /live/{ticket}/{rendition}   ?from=<n>  ?burst=<k>
GET|HEAD /live/{ticket}/index.m3u8    the listener's own playlist of playlists
GET|HEAD /live/{ticket}/beacon        still listening: sent by pages that play HLS
GET|HEAD /live/{pull token}/{rendition}/{file}   HLS, the same for everybody: core/playlist.py
GET|HEAD /live/{show}/now
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from stentor.formats import icy, ranges, ticket
from stentor.formats.now import response as now_response
from stentor.formats.problem import refusal
from stentor.formats.query import BadNumber, number
from stentor.model.grid import SAMPLE_RATE, Grid
from stentor.model.http import Headers, Request, Response
from stentor.model.rendition import BY_NAME, Rendition

RETRY_AFTER_S = 5
_SUFFIXES = (".mp3", ".mp4", ".m4a")
_ENDLESS = 2**62  # stands for the size of a stream in the arithmetic of ranges
_PROBE = (0, 1)  # what Safari asks for before it plays
_ANY_ORIGIN = ("Access-Control-Allow-Origin", "*")
TICKET_HEADER = "Stentor-Ticket"  # of the answer: the ticket by which this listener may come back
_EXPOSED = (
    "Stentor-T0-Ms, Stentor-Chunk-Ms, Stentor-N, Stentor-Head, Stentor-Now-Ms, Stentor-Group, Stentor-Rendition, "
    f"{TICKET_HEADER}, icy-metaint, icy-name"
)
_PREFLIGHT: Headers = (
    _ANY_ORIGIN,
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
    ("Access-Control-Allow-Headers", "Range, Icy-MetaData"),
    ("Access-Control-Max-Age", "86400"),
)


INDEX_NAME = "index.m3u8"
BEACON_NAME = "beacon"
_NO_ADMISSION = {code: refusal(403, code, "This ticket does not admit") for code in ticket.Refusal}
# What no honest player brings, however old its ticket; a revoked one was good, and an expired one too.
FORGERIES = frozenset(ticket.Refusal) - {ticket.Refusal.EXPIRED, ticket.Refusal.REVOKED}
_NO_RENDITION = refusal(404, "no-rendition", "Not Found", f"the renditions are {', '.join(BY_NAME)}")


class No(NamedTuple):
    """Somebody is not admitted. Codes are few, whatever is asked: they can be counted."""

    code: str
    response: Response


class Listen(NamedTuple):
    """An admitted request for a mount."""

    token: ticket.Token
    rendition: Rendition
    from_n: int | None = None
    burst: int | None = None
    icy: bool = False
    probe: bool = False


class Index(NamedTuple):
    """An admitted request for the playlist of playlists."""

    token: ticket.Token


class Beacon(NamedTuple):
    """Who plays HLS is still there."""

    token: ticket.Token


class Pull(NamedTuple):
    """A request below a show's pull token, which is yet to be compared."""

    token: str
    rendition: Rendition
    name: str


@dataclass(frozen=True, slots=True)
class View:
    """What an edge knows: the tag of the show that is on, or None; whether it has no room for a seq; keys of tickets by
    id, and the edge group that they are of; whether a ticket is revoked; the `now` object of a show."""

    show_tag: Callable[[], bytes | None]
    full: Callable[[int], bool]
    keys: Mapping[int, bytes]
    group: int
    revoked: Callable[[ticket.Token], bool]
    now_text: Callable[[str], str | None]


def answer(request: Request, view: View, now: int) -> Listen | Index | Beacon | Pull | No | Response:
    """Admit, or say why not. `now` in Unix seconds."""
    if request.method == "OPTIONS":
        return Response(204, _PREFLIGHT)
    if request.method not in ("GET", "HEAD"):
        return refusal(405, "method-not-allowed", "Method Not Allowed", extra=(("Allow", "GET, HEAD, OPTIONS"),))
    parts = request.path.split("/", 5)
    if len(parts) == 5 and parts[1] == "live":
        return _pull(*parts[2:])
    if len(parts) != 4 or parts[:2] != ["", "live"]:
        return refusal(404, "not-found", "Not Found")
    if parts[3] == "now":
        text = view.now_text(parts[2])
        return now_response(text) if text else refusal(404, "no-show", "No such show")
    return _admit(parts[2], parts[3], request, view, now)


def is_put_off(path: str) -> bool:
    """Whether who asks for `path` waits behind others when not all can come in: with a ticket that is not, by its own
    word, of somebody who comes back. What it says is checked later, as ever."""
    parts = path.split("/", 3)
    return len(parts) == 4 and ticket.claimed_class(parts[2]) not in (None, ticket.Class.RECONNECT)


def _pull(token: str, name: str, file: str) -> Pull | Response:
    rendition = BY_NAME.get(name)
    return _NO_RENDITION if rendition is None else Pull(token, rendition, file)


def _admit(text: str, name: str, request: Request, view: View, now: int) -> Listen | Index | Beacon | No | Response:
    rendition = BY_NAME.get(name) or BY_NAME.get(_without_suffix(name))
    if rendition is None and name not in (INDEX_NAME, BEACON_NAME):
        return _NO_RENDITION
    tag = view.show_tag()
    if tag is None:
        return _not_now("no-show", "Nothing is on at the moment")
    token = check(text, view, tag, now)
    if isinstance(token, ticket.Refusal):
        return No(token, _NO_ADMISSION[token])
    if rendition is None:
        return Beacon(token) if name == BEACON_NAME else Index(token)
    if view.full(token.seq):
        return _not_now("edge-full", "No room at the moment")
    return _listen(token, rendition, request)


def _not_now(code: str, title: str) -> No:
    return No(code, refusal(503, code, title, retry_after_s=RETRY_AFTER_S))


def check(text: str, view: View, tag: bytes, now: int) -> ticket.Token | ticket.Refusal:
    """The token of a ticket that admits to the show with that tag, or why it does not."""
    token = ticket.check(text, view.keys, tag, now, group=view.group)
    if isinstance(token, ticket.Token) and view.revoked(token):
        return ticket.Refusal.REVOKED
    return token


def _listen(token: ticket.Token, rendition: Rendition, request: Request) -> Listen | Response:
    try:
        from_n, burst = number(request.query, "from"), number(request.query, "burst")
    except BadNumber as error:
        return refusal(400, "bad-query", "Bad Request", str(error))
    wants_titles = not rendition.framed and request.headers.get("icy-metadata", "").strip() == "1"
    wanted = request.headers.get("range")
    return Listen(
        token, rendition, from_n, burst, wants_titles, wanted is not None and ranges.parse(wanted, _ENDLESS) == _PROBE
    )


def _without_suffix(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)


def head(listen: Listen, grid: Grid, n: int, newest: int, now_ns: int, title: str, group: int = 1) -> Response:
    """The head of an endless answer whose body begins with chunk `n`; `group`: as many chunks may come at a time.

    `now_ns` is CLOCK_MONOTONIC: a player is told the time by the clock of the grid, which nobody sets.
    """
    now_ms = (grid.t0_wall_ns + now_ns - grid.t0_mono_ns) // 1_000_000
    headers = [
        ("Content-Type", listen.rendition.content_type),
        ("Cache-Control", "no-store"),
        _ANY_ORIGIN,
        ("Access-Control-Expose-Headers", _EXPOSED),
        ("Stentor-T0-Ms", str(grid.t0_wall_ns // 1_000_000)),
        ("Stentor-Chunk-Ms", str(grid.chunk_samples * 1000 // SAMPLE_RATE)),
        ("Stentor-N", str(n)),
        ("Stentor-Head", str(newest)),
        ("Stentor-Now-Ms", str(now_ms)),
        ("Stentor-Group", str(group)),
        ("Stentor-Rendition", listen.rendition.name),  # it may be the low one of what was asked for
    ]
    if not listen.rendition.framed:
        headers.append(("icy-name", icy.printable(title)))  # VLC asks for titles only where it has seen one
    if listen.icy:
        headers.append(("icy-metaint", str(icy.METAINT)))
    return Response(200, tuple(headers), None)


def heard_beacon(lasting: str) -> Response:
    """The answer to a beacon; `lasting` is the ticket to come back by, "": none."""
    own = (("Access-Control-Expose-Headers", TICKET_HEADER), (TICKET_HEADER, lasting)) if lasting else ()
    return Response(204, (("Cache-Control", "no-store"), _ANY_ORIGIN, *own))


def probe(listen: Listen, start: bytes) -> Response:
    """The answer to Safari's `Range: bytes=0-1`: two bytes of a body without an end, which begins with `start`."""
    headers = (
        ("Content-Type", listen.rendition.content_type),
        ("Cache-Control", "no-store"),
        _ANY_ORIGIN,
        ("Accept-Ranges", "bytes"),
        ("Content-Range", "bytes 0-1/*"),
    )
    return Response(206, headers, start[:2])
