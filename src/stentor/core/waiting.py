"""What the door answers about the line of a show. No sockets, no clock.

GET|HEAD  /s/{show}/place/{token}  a place as JSON: how its wait stands, or its ticket
GET|HEAD  /s/{show}/wait           the line as a page without JavaScript, or JSON for `Accept: application/json`
POST      /s/{show}/wait           takes a place, and leads to
GET|HEAD  /s/{show}/wait/{token}   its page, which looks again by itself and plays at its turn
GET|HEAD  /s/{show}/draw           what the draw was made of, as JSON
GET|HEAD  /s/{show}/places         the places that were drawn, 8 bytes each: seq u32, issued u32, big-endian; ?from=<how
                                   many to leave out>; where there are more, a Link (RFC 8288) leads to the next
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from stentor.formats import challenge, page, waiting
from stentor.formats.challenge import Needed
from stentor.formats.page import ANY_ORIGIN, FOR_A_SECOND, JSON, NOT_KEPT, Origins
from stentor.formats.problem import Refused, refusal
from stentor.formats.waiting import Ticket, Waits, Want, Words
from stentor.model.board import Gate, Line, Phase
from stentor.model.http import File, Headers, Request, Response

REFRESH_S_MIN = 2
REFRESH_S_MAX = 60
_SPREAD = 2_654_435_769  # 2^32 over the golden ratio: neighbours in line look at different times
_VARY = ("Vary", "Accept")
_BYTES = ("Content-Type", "application/octet-stream")
_OVER = (Phase.ENDED, Phase.CANCELLED)
_LAMPS = {
    Phase.OPEN: ("hold", "Doors open"),
    Phase.DRAWN: ("hold", "Doors open"),
    Phase.LIVE: ("live", "On air"),
    Phase.HELD: ("hold", "Late"),
    Phase.ENDED: ("off", "Off air"),
    Phase.CANCELLED: ("off", "Cancelled"),
}
_DRAW_FIELDS = ("commit", "base_s", "beacon_name", "key", "beacon", "root", "places")
_FIRST_DIGITS_MAX = 10
_NO_NUMBER = refusal(400, "bad-from", "Bad Request", "from is a number of places")
_NOT_DRAWN = refusal(404, "not-drawn", "There is no draw of this show, or it is still to come")


class About(NamedTuple):
    """What is known of the show itself. Times are Unix milliseconds."""

    id: str
    title: str
    phase: Phase
    opens_at_ms: int
    starts_at_ms: int
    notice: str = ""
    reason: str = ""
    verdict: str = ""  # board.Verdict; "" where nobody judges


class Drawn(NamedTuple):
    """Records of places that were drawn; `next_first`: where the next page begins, 0 if this is the last."""

    records: bytes
    next_first: int


@dataclass(frozen=True, slots=True)
class View:
    """What a door knows of lines. `join` as in core/door.py; `look` tells how it stands with a place (text, or "" for
    whoever has none) and changes nothing. `page` fills in the page; `draw` is the line with what the draw is, or will
    be, made of; `places` is a page of what was drawn, from the place of that number on, None before that.
    `asks`: whoever has no place has to do something for one (core/challenge.py), so nothing plays before that."""

    origins: Origins
    join: Callable[[str, str, Want], Ticket | Waits | Refused]
    look: Callable[[str, str], Waits | Refused]
    about: Callable[[str], About]
    page: Callable[[dict[str, str]], File | None]
    draw: Callable[[str], Line | None]
    places: Callable[[str, int], Drawn | Refused | None]
    asks: Callable[[], bool] = lambda: False


def answer(request: Request, show: str, what: tuple[str, ...], view: View, now_ms: int) -> Response:
    """The answer to a request for `what` of the line of `show`, a show that there is; `now_ms` is Unix time."""
    match what:
        case ["place", place]:
            return _place(view.join(show, place, Want.HERE))
        case ["wait"] if request.method == "POST":
            return _take(request, show, view, now_ms)
        case ["wait"]:
            return _wait(request, show, "", view, now_ms)
        case ["wait", place]:
            return _wait(request, show, place, view, now_ms)
        case ["draw"]:
            return _draw(view.draw(show))
        case ["places"]:
            return _places(request, show, view)
    return refusal(404, "not-found", "Not Found")


def _place(found: Ticket | Waits | Refused) -> Response:
    if isinstance(found, Refused):
        return found.response()
    return Response(200, (JSON, NOT_KEPT, ANY_ORIGIN), found.body())


def _take(request: Request, show: str, view: View, now_ms: int) -> Response:
    joined = view.join(show, "", Want.PLACED if view.asks() or challenge.wait_stamp(request) else Want.IN)
    if page.wants_json(request):
        return _place(joined)
    if isinstance(joined, Refused):
        return _refused_page(request, show, joined, view, now_ms)
    place = f"/{joined.place}" if isinstance(joined, Waits) else ""  # let in at once: the page without one has sound
    return Response(303, (("Location", f"/s/{show}/wait{place}"), NOT_KEPT))


def _draw(line: Line | None) -> Response:
    if line is None:
        return _NOT_DRAWN
    body = {name: getattr(line, name) for name in _DRAW_FIELDS}
    kept = page.FOR_EVER if line.root else FOR_A_SECOND
    return Response(200, (JSON, kept, ANY_ORIGIN), json.dumps(body).encode())


def _places(request: Request, show: str, view: View) -> Response:
    text = request.query.get("from", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= _FIRST_DIGITS_MAX):
        return _NO_NUMBER
    drawn = view.places(show, int(text))
    if isinstance(drawn, Refused):
        return drawn.response()
    if drawn is None:
        return _NOT_DRAWN
    link = (("Link", f'</s/{show}/places?from={drawn.next_first}>; rel="next"'),) if drawn.next_first else ()
    return Response(200, (_BYTES, page.FOR_EVER, ANY_ORIGIN, *link), drawn.records)


# The page.


def _wait(request: Request, show: str, place: str, view: View, now_ms: int) -> Response:
    about, waits, stamp = view.about(show), view.look(show, place), challenge.wait_stamp(request)
    kept = NOT_KEPT if place or stamp else FOR_A_SECOND
    if page.wants_json(request):
        if isinstance(waits, Refused):
            return waits.response()
        return _place(view.join(show, place, Want.HERE)) if place else _public(waits)
    values = _head(about, "" if about.phase in _OVER else _refresh(waits, about, now_ms))
    asked = stamp or (None if view.asks() else "")
    body = _over(about) if about.phase in _OVER else _body(show, place, waits, about, now_ms, asked)
    filled = view.page(values | {"body": body})
    shown = page.page(filled, request, view.origins, kept, with_form=True)
    headers: Headers = shown.headers if place else (*shown.headers, _VARY)
    status = waits.status if isinstance(waits, Refused) and shown.status == 200 else shown.status
    return Response(status, headers, shown.body)


def refused(request: Request, show: str, why: Refused, view: View, now_ms: int) -> Response:
    """For whoever has sent the form, and is not let in."""
    return why.response() if page.wants_json(request) else _refused_page(request, show, why, view, now_ms)


def _refused_page(request: Request, show: str, refused: Refused, view: View, now_ms: int) -> Response:
    about = view.about(show)
    body = _body(show, "", refused, about, now_ms)
    shown = page.page(view.page(_head(about, "") | {"body": body}), request, view.origins, NOT_KEPT, with_form=True)
    headers = refused.response().headers
    retry = tuple((name, value) for name, value in headers if name == "Retry-After")
    return Response(refused.status if shown.status == 200 else shown.status, (*shown.headers, *retry), shown.body)


def challenged(request: Request, show: str, needed: Needed | Refused, view: View, now_ms: int) -> Response:
    """For whoever has sent the form, and has to do something first. A page without JavaScript can only wait: it comes
    back by itself, with a stamp that is then old enough."""
    if not isinstance(needed, Needed):
        return refused(request, show, needed, view, now_ms)
    if page.wants_json(request):
        return needed.response()
    address = html.escape(f"/s/{show}/wait?stamp={needed.wait_stamp}")
    again = f'<meta http-equiv="refresh" content="{needed.wait_s}; url={address}">'
    lines = (
        f"{needed.title}.",
        f"Leave this page open for {waiting.countdown_words(needed.wait_s)}: then you can go on.",
    )
    filled = view.page(_head(view.about(show), again) | {"body": _sentences(lines)})
    shown = page.page(filled, request, view.origins, NOT_KEPT, with_form=True)
    headers: Headers = (*shown.headers, ("Retry-After", str(needed.wait_s)))
    return Response(needed.status if shown.status == 200 else shown.status, headers, shown.body)


def _public(waits: Waits) -> Response:
    return Response(200, (JSON, FOR_A_SECOND, _VARY, ANY_ORIGIN), waits.body())


def _head(about: About, refresh: str) -> dict[str, str]:
    state, lamp = _LAMPS.get(about.phase, ("off", "Stand by"))
    notice = html.escape(about.notice)
    said = f'<aside class="notice"><p class="eyebrow">From the crew</p><p>{notice}</p></aside>' if notice else ""
    words = waiting.VERDICT_WORDS.get(about.verdict, "") if about.phase not in _OVER else ""
    said += f'<p class="status">{words}</p>' if words else ""
    return {
        "show": html.escape(about.id),
        "title": html.escape(about.title),
        "lamp": state,
        "lamp_word": lamp,
        "notice": said,
        "refresh": refresh,
    }


def _refresh(waits: Waits | Refused, about: About, now_ms: int) -> str:
    """When the page is to be asked for again: nobody's at the same moment, and not while it plays."""
    if isinstance(waits, Refused):
        return ""
    if waits.turn and not _is_early(waits, about):
        return ""
    seconds = waits.next_poll_ms / 1000 * (0.8 + 0.4 * (waits.seq * _SPREAD % 2**32) / 2**32)
    if _is_early(waits, about):
        seconds = max(seconds, (about.opens_at_ms - now_ms) / 2000)
    return f'<meta http-equiv="refresh" content="{round(min(REFRESH_S_MAX, max(REFRESH_S_MIN, seconds)))}">'


def _is_early(waits: Waits, about: About) -> bool:
    """Before the doors open there is nothing to hear, and no line either."""
    return waits.state is Gate.FREE and about.phase is Phase.ANNOUNCED


def _over(about: About) -> str:
    if about.phase is Phase.CANCELLED:
        return _sentences(("This show was cancelled" + (f": {about.reason}" if about.reason else "."),))
    return _sentences(("The show has ended.",)) + f'<p><a href="/s/{html.escape(about.id)}">Its recording</a></p>'


def _body(show: str, place: str, waits: Waits | Refused, about: About, now_ms: int, stamp: str | None = "") -> str:
    """`stamp` goes into the form; None: there has to be one for the form, but there is none yet."""
    if isinstance(waits, Refused):
        again = f'<p><a class="button" href="/s/{html.escape(show)}/wait">Back to the line</a></p>'
        return _sentences((waits.title + ".", waits.detail)) + again
    if _is_early(waits, about):
        left = waiting.countdown_words((about.opens_at_ms - now_ms) / 1000)
        return _figures(Words("Until the doors open", left, "", ("This page looks again by itself.",)))
    if waits.turn and not place and stamp != "":
        return _form(show, waits, stamp or "")
    if waits.turn:
        return _player(show, place)
    if place:
        return _figures(waiting.say(waits, now_ms))
    return _figures(waiting.say_public(waits, now_ms)) + _form(show, waits, stamp or "")


def _player(show: str, place: str) -> str:
    words = _sentences(("It is your turn. If you hear nothing, press play.",)) if place else ""
    source = html.escape(f"/s/{show}/listen.mp3" + (f"?place={place}" if place else ""))
    starts = "autoplay" if place else 'preload="none"'
    return f'{words}<audio controls {starts} src="{source}"></audio>'


def _form(show: str, waits: Waits, stamp: str) -> str:
    if waits.state is Gate.CLOSED:
        return ""
    label = "Come in" if waits.turn else "Take part in the draw" if waits.state is Gate.GATHERING else "Get in line"
    action = html.escape(f"/s/{show}/wait" + (f"?stamp={stamp}" if stamp else ""))
    return f'<form method="post" action="{action}"><button class="button strong">{label}</button></form>'


def _figures(words: Words) -> str:
    figure = f'<p class="figure"><span class="eyebrow">{words.label}</span> <strong>{words.figure}</strong>'
    return f"{figure} <span>{words.unit}</span></p>{_sentences(words.lines)}"


def _sentences(lines: tuple[str, ...]) -> str:
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines if line)
