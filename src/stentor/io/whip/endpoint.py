"""The WHIP endpoint (RFC 9725): SDP in, SDP out, one URL a session.

Non-trickle: the answer holds all candidates and PATCH is 405 (section 4.3). Bearer tokens (section 4.5) name the seat;
the session's URL is unguessable and needs none to be deleted. A client that connects again by itself names the session
it lost, `?resumes=<session>`, so that two clients with one token do not replace each other for ever.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from stentor.formats import problem
from stentor.formats.problem import Refused
from stentor.formats.sdp import SDP_BYTES_MAX
from stentor.formats.turn import IceServer, link_header

PATH = "/stage/whip"
SDP_TYPE = "application/sdp"
OFFER_S_MAX = 10.0  # from the end of the headers to the end of the offer

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Expose-Headers": "Link, Location, Retry-After",
    "Access-Control-Max-Age": "600",
}
_COMMON = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Link, Location, Retry-After"}
_NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Admitted:
    """A session was opened. `session` is the last, unguessable part of its URL."""

    session: str
    answer: str


class Endpoint(Protocol):
    """What stands behind the HTTP."""

    async def admit(self, token: str, offer: str, resumes: str) -> Admitted | Refused:
        """Open a session for whom `token` stands; `resumes` is the session that they lost, if any."""

    def ice_servers(self, token: str) -> list[IceServer]:
        """The relays that whoever holds `token` may use."""

    async def leave(self, session: str) -> bool:
        """End a session; -> whether there was one."""


def create_app(endpoint: Endpoint) -> Starlette:
    """`POST|OPTIONS /stage/whip`, `DELETE|OPTIONS /stage/whip/{session}`; everything else is a problem."""

    def links(token: str) -> dict[str, str]:
        servers = endpoint.ice_servers(token) if token else []
        return {"Link": link_header(servers)} if servers else {}

    async def post(request: Request) -> Response:
        token = _bearer(request)
        if token is None:
            return _refusal(Refused(401, "token-missing", "A bearer token is needed"))
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != SDP_TYPE:
            return _refusal(Refused(415, "not-sdp", f"The body must be {SDP_TYPE}"))
        offer = await _offer(request)
        if isinstance(offer, Refused):
            return _refusal(offer)
        outcome = await endpoint.admit(token, offer, request.query_params.get("resumes", ""))
        if isinstance(outcome, Refused):
            return _refusal(outcome)
        headers = {**_COMMON, **_NO_STORE, **links(token), "Location": f"{PATH}/{outcome.session}"}
        return Response(outcome.answer, 201, headers, SDP_TYPE)

    async def delete(request: Request) -> Response:
        if await endpoint.leave(request.path_params["session"]):
            return Response(None, 200, _COMMON)
        return _refusal(Refused(404, "no-session", "There is no such session, or it has ended"))

    async def options(request: Request) -> Response:
        token = _bearer(request)  # a browser's preflight has none; whoever asks by themselves is told of relays
        return Response(None, 204, {**_CORS, **_NO_STORE, **links(token or ""), "Accept-Post": SDP_TYPE})

    return Starlette(
        routes=[
            Route(PATH, post, methods=["POST"]),
            Route(PATH, options, methods=["OPTIONS"]),
            Route(PATH + "/{session}", delete, methods=["DELETE"]),
            Route(PATH + "/{session}", options, methods=["OPTIONS"]),
            Route(PATH, _NotAllowed("POST, OPTIONS")),
            Route(PATH + "/{session}", _NotAllowed("DELETE, OPTIONS")),
        ],
        exception_handlers={HTTPException: _other},
    )


class _NotAllowed:
    """405, with the methods that there are. An instance, not a function: such a route takes every method."""

    def __init__(self, allow: str) -> None:
        self._allow = allow

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        refusal = Refused(405, "method-not-allowed", "Not here", f"Allowed: {self._allow}")
        response = _refusal(refusal)
        response.headers["Allow"] = self._allow
        await response(scope, receive, send)


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def _offer(request: Request) -> str | Refused:
    body = b""
    try:
        async with asyncio.timeout(OFFER_S_MAX):
            async for part in request.stream():
                body += part
                if len(body) > SDP_BYTES_MAX:
                    return Refused(413, "sdp-too-large", "The offer is too large", f"At most {SDP_BYTES_MAX} bytes")
        return body.decode()
    except TimeoutError:
        return Refused(408, "sdp-late", "The offer did not arrive in time", f"Within {OFFER_S_MAX:.0f} s")
    except UnicodeDecodeError:
        return Refused(400, "sdp-malformed", "The offer is not UTF-8")
    except ClientDisconnect:
        return Refused(400, "sdp-cut", "The offer did not arrive whole")


def _refusal(refused: Refused) -> Response:
    headers = {**_COMMON, **_NO_STORE}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refused.retry_after_s:
        headers["Retry-After"] = str(refused.retry_after_s)
    body = problem.problem(refused.status, refused.code, refused.title, refused.detail)
    return Response(body, refused.status, headers, problem.CONTENT_TYPE)


async def _other(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _refusal(Refused(status, "not-found" if status == 404 else "http-error", "There is nothing here"))
