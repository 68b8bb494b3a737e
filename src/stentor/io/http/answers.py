"""Applications whose every error is problem+json (RFC 9457), and what their handlers share."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TypeVar

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stentor.formats.problem import CONTENT_TYPE, problem

BODY_BYTES_MAX = 64 * 1024
BODY_TIMEOUT_S = 10.0  # from the end of the headers to the end of the body

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

T = TypeVar("T")
ErrorHandler = Callable[[Request, Exception], Awaitable[Response]]
_log = structlog.get_logger()


class Problem(Exception):
    """Raised by a handler whose request cannot be served; becomes the answer. Arguments as of `problem_response`."""

    def __init__(
        self, status: int, code: str, title: str, detail: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {title}")
        self.response = problem_response(status, code, title, detail, headers)


def problem_response(
    status: int, code: str, title: str, detail: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """`code` is stable and for programs, `title` for people, `detail` says what was wrong with this request."""
    body = problem(status, code, title, detail)
    return Response(body, status, dict(headers or {}), media_type=CONTENT_TYPE)


def application(
    routes: Sequence[BaseRoute],
    *,
    headers: Mapping[str, str] | None = None,
    middleware: Sequence[Middleware] = (),
    errors: Mapping[type[Exception], ErrorHandler] | None = None,
) -> ASGIApp:
    """An app of these routes. Each answer carries `SECURITY_HEADERS` overlaid by `headers`, unless it sets its own.

    `errors` answers for exceptions of the caller's that handlers let through.
    """
    handlers = {
        Problem: _on_problem,
        HTTPException: _on_http_exception,
        ClientDisconnect: _on_disconnect,
        Exception: _on_bug,
        **(errors or {}),
    }
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)  # type: ignore[arg-type]
    app.router.redirect_slashes = False
    return _Guard(app, SECURITY_HEADERS | dict(headers or {}))


def bearer_token(request: Request) -> str:
    """The token of `Authorization: Bearer` (RFC 6750 section 2.1), "" if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def read_body(request: Request, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The whole body. Raises `Problem` 413 above `bytes_max`, 408 if it takes longer than `BODY_TIMEOUT_S`."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > bytes_max:
        raise _too_large(bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.stream():
                body += piece
                if len(body) > bytes_max:
                    raise _too_large(bytes_max)
    except TimeoutError:
        raise Problem(408, "body-late", "The request did not arrive in time.") from None
    return bytes(body)


async def read_json(request: Request, kind: type[T], bytes_max: int = BODY_BYTES_MAX) -> T:
    """The body as a `kind`. Raises `Problem`: 400 if it is not JSON, 422 with the reason if it is not a `kind`."""
    body = await read_body(request, bytes_max)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, "input-invalid", "The request is not valid.", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "json-malformed", "The request is not JSON.", str(error)) from None


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, dict(headers or {}), media_type="application/json")


def _too_large(bytes_max: int) -> Problem:
    return Problem(413, "body-too-large", "The request is too large.", f"A body has at most {bytes_max} bytes.")


async def _on_problem(_: Request, error: Problem) -> Response:
    return error.response


async def _on_http_exception(_: Request, error: HTTPException) -> Response:
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "-")
    detail = error.detail if error.detail != phrase else ""
    return problem_response(error.status_code, code, f"{phrase}.", detail, error.headers)


async def _on_bug(_: Request, __: Exception) -> Response:
    return problem_response(500, "internal-error", "Something is wrong on our side.")


async def _on_disconnect(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=400)  # nobody is left to read it


class _Guard:
    """Outermost: fills in default headers, and logs what Starlette raises again after it has answered 500."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_filled(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._filled(message.get("headers", []))}
            await send(message)

        try:
            await self._app(scope, receive, send_filled)
        except Exception:
            # As text: renderers that show local variables would show tokens.
            _log.error("request failed", path=scope.get("path"), traceback=traceback.format_exc())

    def _filled(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        present = {name.lower() for name, _ in headers}
        return [*headers, *(pair for pair in self._headers if pair[0] not in present)]
