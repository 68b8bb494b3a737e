"""Answers with a body of known size of which a client may ask for a part (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stentor.formats import ranges
from stentor.io.http.answers import problem_response


@dataclass(frozen=True, slots=True)
class Body:
    """`etag`: opaque, without quotes; equal for equal bytes only. `read(first, last)`, both included, may block."""

    size: int
    etag: str
    content_type: str
    read: Callable[[int, int], Iterator[bytes]]
    headers: Mapping[str, str] = field(default_factory=dict)


def ranged_response(request: Request, body: Body) -> Response:
    """200 with all of it, 206 with the range asked for, 304 or 416."""
    etag = f'"{body.etag}"'
    headers = {**body.headers, "Accept-Ranges": "bytes", "ETag": etag}
    if etag in (tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range", "") if request.headers.get("if-range", etag) == etag else ""
    span = ranges.parse(wanted, body.size)
    if isinstance(span, ranges.Unsatisfiable):
        title = "The range is beyond the end of the file."
        return problem_response(416, "range-unsatisfiable", title, headers={"Content-Range": span.content_range})
    if span is not None:
        headers["Content-Range"] = ranges.content_range(span, body.size)
    return _answer(request, body, span, headers)


def _answer(request: Request, body: Body, span: tuple[int, int] | None, headers: dict[str, str]) -> Response:
    status = 200 if span is None else 206
    first, last = span or (0, body.size - 1)
    headers["Content-Length"] = str(last + 1 - first)
    if request.method == "HEAD" or not body.size:
        return Response(b"", status, headers, media_type=body.content_type)
    return StreamingResponse(body.read(first, last), status, headers, media_type=body.content_type)
