"""What the archive answers: the past of a show while it runs, and its replay once it has ended.

Handlers are plain functions: Starlette runs them, and reads the bodies they return, in threads, so that a disk that
has to be waited for holds up one answer and nothing else.
"""

from __future__ import annotations

import re
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stentor.core.playlist import NAMES, PAST_NAME, SEGMENT_S
from stentor.core.playlist import RENDITIONS as HLS_RENDITIONS
from stentor.core.replay import KINDS
from stentor.formats import m3u8, proof
from stentor.io.http import Problem, application
from stentor.io.http.ranged import Body, ranged_response
from stentor.model.rendition import Rendition
from stentor.nodes import archive_hls
from stentor.nodes.recorded import Recorded
from stentor.nodes.shelf import Shelf

CHUNKS_MAX = 40  # in one answer
_SHOW = re.compile(r"[a-z0-9-]{1,32}")
_SPAN = re.compile(r"(\d{1,9})-(\d{1,9})(?:\.m4s)?")  # some players go by how a name ends
_SEGMENT = re.compile(r"(\d{4})\.tape")
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_FOR_NOW = {"Cache-Control": "no-store"}
_FOR_AN_HOUR = {"Cache-Control": "public, max-age=3600"}
_LAST_CHUNK = "Stentor-Last"  # the newest chunk in an answer of chunks
_EXPOSED = ["Accept-Ranges", "Content-Length", "Content-Range", "Content-Disposition", "ETag", _LAST_CHUNK]
_OPEN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": ", ".join(_EXPOSED)}


class Archive:
    """The handlers, by what they answer with."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def _show(self, request: Request) -> Recorded:
        show = request.path_params["show"]
        found = self._shelf.find(show) if _SHOW.fullmatch(show) else None
        if found is None:
            raise Problem(404, "no-show", "There is no recording of this show.")
        if found.meta is None:
            raise Problem(500, "tape-unreadable", "The recording cannot be read.", found.reader.findings[0].reason)
        return found

    def _ended(self, request: Request) -> Recorded:
        found = self._show(request)
        if not found.ended and found.reader.fault is not None:
            raise Problem(500, "tape-broken", "The recording is damaged.", found.reader.fault.reason)
        if not found.ended:
            raise Problem(404, "show-not-ended", "The show has not ended: its replay is up the moment it has.")
        return found

    def replay(self, request: Request) -> Response:
        found, suffix = self._ended(request), request.path_params["suffix"]
        if suffix not in KINDS:
            raise Problem(404, "no-file", "There is no such file.", f"Files are replay.{', replay.'.join(KINDS)}.")
        try:
            file = found.replay(suffix)
        except ValueError as error:
            raise Problem(500, "replay-impossible", "This file cannot be made of the tape.", str(error)) from None
        headers = {**_FOREVER, **_saved_as(f"{request.path_params['show']}-replay.{suffix}")}
        etag = f"{found.reader.chain.hex()[:32]}-{suffix}"
        read = partial(found.replay_blocks, file)
        return ranged_response(request, Body(file.size, etag, file.kind.content_type, read, headers))

    def info(self, request: Request) -> Response:
        found = self._show(request)
        return Response(msgspec.json.encode(found.info()), media_type="application/json", headers=_FOR_NOW)

    def proof(self, request: Request) -> Response:
        found = self._ended(request)
        rendition = self._rendition(found, request)
        body = proof.encode(found.proof(rendition.name))
        headers = {**_FOREVER, **_saved_as(f"{request.path_params['show']}-{rendition.name}.json")}
        return Response(body, media_type="application/json", headers=headers)

    def _rendition(self, found: Recorded, request: Request) -> Rendition:
        rendition = found.rendition(request.path_params["rendition"])
        if rendition is None:
            raise Problem(404, "no-rendition", "The show has no such rendition.")
        return rendition

    def header(self, request: Request) -> Response:
        found = self._show(request)
        rendition = self._rendition(found, request)
        body = found.reader.headers.get(rendition.id, b"")
        return Response(body, media_type=rendition.content_type, headers=_FOREVER)

    def chunks(self, request: Request) -> Response:
        found = self._show(request)
        rendition = self._rendition(found, request)
        first, last, settled = self._span(found, request)
        body = b"".join(found.read_chunk(rendition, n) for n in range(first, last + 1))
        return Response(
            body,
            media_type=rendition.content_type,
            headers={**(_FOREVER if settled else _FOR_NOW), _LAST_CHUNK: str(last)},
        )

    def _span(self, found: Recorded, request: Request) -> tuple[int, int, bool]:
        """-> (first, last) of the chunks asked for that are recorded; whether the answer will stay the same."""
        match = _SPAN.fullmatch(request.path_params["span"])
        first, last = (int(match[1]), int(match[2])) if match else (1, 0)
        if not 0 <= last - first < CHUNKS_MAX:
            raise Problem(400, "bad-span", "Ask for chunks as first-last.", f"At most {CHUNKS_MAX} at once.")
        assert found.meta is not None
        oldest, newest = found.meta.first_n, found.last_n
        if max(first, oldest) > min(last, newest):
            raise Problem(404, "not-recorded", "These chunks are not recorded.", f"Recorded are {oldest}..{newest}.")
        return max(first, oldest), min(last, newest), last <= newest or found.ended

    def index(self, request: Request) -> Response:
        body = archive_hls.multivariant(self._show(request))
        return Response(body, media_type=m3u8.CONTENT_TYPE, headers=_FOR_AN_HOUR)

    def playlist(self, request: Request) -> Response:
        found = self._show(request)
        text = archive_hls.media(found, self._hls(found, request))
        if text is None:
            again = {**_FOR_NOW, "Retry-After": str(SEGMENT_S)}
            raise Problem(404, "not-recorded", "Nothing is recorded yet.", "A segment takes some seconds.", again)
        fresh = {"Cache-Control": f"public, max-age={text.fresh_s}"} if text.fresh_s else _FOREVER
        return _either(request, text, {**fresh, "Vary": "Accept-Encoding"})

    def _hls(self, found: Recorded, request: Request) -> Rendition:
        rendition = self._rendition(found, request)
        if rendition not in HLS_RENDITIONS:
            raise Problem(404, "no-playlist", "This rendition is not to be had as HLS.")
        return rendition

    def segment(self, request: Request) -> Response:
        found = self._show(request)
        match = _SEGMENT.fullmatch(request.path_params["file"])
        segment = int(match[1]) if match else -1
        if not 0 <= segment < found.reader.segments:
            raise Problem(404, "no-segment", "The tape has no such segment.")
        size, read = found.files.size(segment), partial(found.segment_blocks, segment)
        assert found.meta is not None
        etag = f"{found.meta.t0_wall_ns:x}-{segment}-{size}"  # a segment only grows
        headers = _FOREVER if found.ended else _FOR_NOW
        return ranged_response(request, Body(size, etag, "application/octet-stream", read, headers))


def _either(request: Request, text: archive_hls.Text, headers: dict[str, str]) -> Response:
    """As it is, or small where that is accepted."""
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(text.body, media_type=m3u8.CONTENT_TYPE, headers=headers)
    return Response(text.gzipped, media_type=m3u8.CONTENT_TYPE, headers={**headers, "Content-Encoding": "gzip"})


def _saved_as(name: str) -> dict[str, str]:
    """Links to another origin cannot ask for a download by themselves; players do not mind."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _elsewhere(request: Request) -> Response:
    """Preflights, which browsers send before they ask another origin for a range; nothing else is here."""
    if request.method != "OPTIONS":
        raise Problem(404, "not-found", "There is nothing here.")
    allowed = {"Access-Control-Allow-Headers": "Range, If-Range, If-None-Match", "Access-Control-Max-Age": "86400"}
    return Response(status_code=204, headers={**allowed, "Access-Control-Allow-Methods": "GET, HEAD"})


def build_app(shelf: Shelf) -> ASGIApp:
    archive = Archive(shelf)
    routes = [
        Route("/archive/{show}/replay.{suffix}", archive.replay),
        Route("/archive/{show}/info", archive.info),
        Route("/archive/{show}/proof/{rendition}.json", archive.proof),
        Route("/archive/{show}/tape/{file}", archive.segment),
        Route(f"/archive/{{show}}/{PAST_NAME}", archive.index),
        Route(f"/archive/{{show}}/{{rendition}}/{PAST_NAME}", archive.playlist),
        Route(f"/archive/{{show}}/{{rendition}}/{NAMES.header}", archive.header),
        Route("/archive/{show}/{rendition}/header", archive.header),
        Route("/archive/{show}/{rendition}/{span}", archive.chunks),
        Route("/archive/{path:path}", _elsewhere, methods=["GET", "HEAD", "OPTIONS"]),
    ]
    return application(routes, headers=_OPEN)
