"""HTTP for the roles that run on asyncio (desk, studio, archive): Starlette applications on uvicorn servers.

`application` makes an app whose every error is problem+json, `listen_tcp` and `listen_unix` take an address before any
work is begun, `Server` serves inside the caller's task group, `serve_until_signal` does so until SIGTERM.
"""

from stentor.io.http.answers import (
    BODY_BYTES_MAX,
    ErrorHandler,
    Problem,
    application,
    bearer_token,
    json_response,
    problem_response,
    read_body,
    read_json,
)
from stentor.io.http.assets import Assets
from stentor.io.http.server import (
    EXIT_PORT_IN_USE,
    CannotListen,
    PortInUse,
    Server,
    listen_tcp,
    listen_unix,
    serve_until_signal,
)

__all__ = [
    "BODY_BYTES_MAX",
    "EXIT_PORT_IN_USE",
    "Assets",
    "CannotListen",
    "ErrorHandler",
    "PortInUse",
    "Problem",
    "Server",
    "application",
    "bearer_token",
    "json_response",
    "listen_tcp",
    "listen_unix",
    "problem_response",
    "read_body",
    "read_json",
    "serve_until_signal",
]
