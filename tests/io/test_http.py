"""Apps and servers on real sockets of 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from stentor.io import http
from stentor.io.http import server as server_module
from stentor.io.tls import Certificate
from support.certs import certificate


async def _echo(request: Request) -> Response:
    body = await http.read_body(request)
    return PlainTextResponse(f"{http.bearer_token(request)}:{len(body)}")


async def _broken(_: Request) -> Response:
    raise RuntimeError("a secret of ours")


async def _refused(_: Request) -> Response:
    raise http.Problem(409, "seat-taken", "That seat is taken.", "Ada has it.", {"Retry-After": "1"})


async def _endless(_: Request) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        while True:
            yield b"tick\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(lines())


def _app(assets: Path | None = None) -> object:
    routes: list[Route | Mount] = [
        Route("/echo", _echo, methods=["POST"]),
        Route("/broken", _broken),
        Route("/refused", _refused),
        Route("/endless", _endless),
    ]
    if assets is not None:
        routes.append(Mount("/assets", http.Assets(directory=assets)))
    return http.application(routes, headers={"Content-Security-Policy": "default-src 'self'"})


@contextlib.asynccontextmanager
async def _serving(app: object) -> AsyncIterator[str]:
    server = http.Server(app, http.listen_tcp("127.0.0.1", 0, "test_port"))  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve())
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.stop()


async def _ask(method: str, path: str, *, app: object | None = None, **options: object) -> httpx.Response:
    async with _serving(app or _app()) as base, httpx.AsyncClient() as client:
        return await client.request(method, base + path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/echo", 405, "method-not-allowed"),
        ("GET", "/broken", 500, "internal-error"),
        ("GET", "/refused", 409, "seat-taken"),
    ],
)
def test_every_error_is_a_problem(method: str, path: str, status: int, code: str) -> None:
    answer = asyncio.run(_ask(method, path))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert "secret" not in answer.text


def test_a_problem_keeps_its_detail_and_headers() -> None:
    answer = asyncio.run(_ask("GET", "/refused"))
    assert answer.json()["detail"] == "Ada has it."
    assert answer.headers["retry-after"] == "1"


def test_security_headers_are_on_every_answer() -> None:
    for path in ("/nowhere", "/broken"):
        headers = asyncio.run(_ask("GET", path)).headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'self'"
        assert "server" not in headers


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer abc", "abc"), ("bearer abc", "abc"), ("Basic abc", ""), ("Bearer", ""), ("", "")],
)
def test_bearer_token(header: str, token: str) -> None:
    answer = asyncio.run(_ask("POST", "/echo", headers={"Authorization": header}, content=b"four"))
    assert answer.text == f"{token}:4"


def test_a_body_at_the_limit_passes_and_one_beyond_does_not() -> None:
    assert asyncio.run(_ask("POST", "/echo", content=b"x" * http.BODY_BYTES_MAX)).status_code == 200
    assert asyncio.run(_ask("POST", "/echo", content=b"x" * (http.BODY_BYTES_MAX + 1))).status_code == 413


def test_a_chunked_body_is_counted_as_it_comes() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    assert asyncio.run(_ask("POST", "/echo", content=pieces())).status_code == 413


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    text: str


async def _order(request: Request) -> Response:
    return http.json_response(await http.read_json(request, _Order), 201)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"text": "x"}', 201, None),
        (b'{"text": 5}', 422, "input-invalid"),
        (b'{"txet": "x"}', 422, "input-invalid"),
        (b"[[", 422, "input-invalid"),
        (b"", 400, "json-malformed"),
        (b'{"text": "\xff"}', 400, "json-malformed"),
        (b'{"text": "\\ud800"}', 400, "json-malformed"),
    ],
)
def test_json_in_and_out(body: bytes, status: int, code: str | None) -> None:
    app = http.application([Route("/order", _order, methods=["POST"])])
    answer = asyncio.run(_ask("POST", "/order", app=app, content=body))
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text


def test_errors_of_the_callers_own_can_be_answered() -> None:
    async def on_error(_: Request, error: Exception) -> Response:
        return http.problem_response(503, "disk-full", str(error))

    app = http.application([Route("/broken", _broken)], errors={RuntimeError: on_error})
    answer = asyncio.run(_ask("GET", "/broken", app=app))
    assert (answer.status_code, answer.json()["code"]) == (503, "disk-full")


def test_assets_are_revalidated(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text("let a = 1;")

    async def twice() -> tuple[httpx.Response, httpx.Response]:
        async with _serving(_app(tmp_path)) as base, httpx.AsyncClient() as client:
            first = await client.get(f"{base}/assets/page.js")
            return first, await client.get(f"{base}/assets/page.js", headers={"If-None-Match": first.headers["etag"]})

    first, second = asyncio.run(twice())
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    assert second.status_code == 304


def test_assets_stay_in_their_directory(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret").write_text("no")
    answer = asyncio.run(_ask("GET", "/assets/..%2fsecret", app=_app(tmp_path / "inside")))
    assert answer.status_code == 404


def test_a_directory_that_is_missing_has_no_files(tmp_path: Path) -> None:
    assert asyncio.run(_ask("GET", "/assets/page.js", app=_app(tmp_path / "none"))).status_code == 404


def test_a_port_in_use_is_said_in_one_line() -> None:
    with http.listen_tcp("127.0.0.1", 0, "desk_port") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(http.PortInUse, match=f"127.0.0.1:{port} is in use by another process.*desk_port"):
            http.listen_tcp("127.0.0.1", port, "desk_port")


def test_a_unix_socket_is_private_and_replaces_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "run" / "desk.sock"
    http.listen_unix(path).close()  # closed without unlinking, as by kill -9
    with http.listen_unix(path):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(http.PortInUse):
            http.listen_unix(path)


async def _raw(sent: bytes) -> bytes:
    async with _serving(_app()) as base:
        host, port = base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        answer = await reader.read()
        writer.close()
        return answer


def test_a_malformed_request_is_a_problem() -> None:
    answer = asyncio.run(_raw(b"\x16\x03\x01 hello\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ") and b"application/problem+json" in answer


def test_headers_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HEADERS_TIMEOUT_S", 0.05)
    answer = asyncio.run(_raw(b"GET / HTTP/1.1\r\nHost: x\r\n"))
    assert answer.startswith(b"HTTP/1.1 408 ") and b"headers-late" in answer


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "CONNECTIONS_MAX", 0)
    answer = asyncio.run(_raw(b""))
    assert answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After" in answer


def test_sigterm_ends_serving_cleanly_with_a_stream_open() -> None:
    cancelled = []

    async def job() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    async def reader(port: int) -> None:
        async with httpx.AsyncClient() as client, client.stream("GET", f"http://127.0.0.1:{port}/endless") as answer:
            async for _ in answer.aiter_lines():
                os.kill(os.getpid(), signal.SIGTERM)
                return

    async def run() -> None:
        server = http.Server(_app(), http.listen_tcp("127.0.0.1", 0, "test_port"))  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            group.create_task(reader(server.port))
            await http.serve_until_signal([server], job)

    asyncio.run(run())
    assert cancelled


def test_a_failing_job_ends_serving() -> None:
    async def job() -> None:
        raise ValueError("broken job")

    async def run() -> socket.socket:
        listener = http.listen_tcp("127.0.0.1", 0, "test_port")
        with pytest.raises(ExceptionGroup):
            await http.serve_until_signal([http.Server(_app(), listener)], job)  # type: ignore[arg-type]
        return listener

    assert asyncio.run(run()).fileno() == -1


def test_over_tls_the_answer_is_the_same_and_half_a_handshake_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "HEADERS_TIMEOUT_S", 0.3)
    monkeypatch.setattr("asyncio.constants.SSL_HANDSHAKE_TIMEOUT", 60.0)  # put back at the end
    chain, key = certificate(tmp_path)
    context = Certificate(chain, key).context
    trusting = ssl.create_default_context(cafile=chain)

    async def ask() -> tuple[httpx.Response, bytes]:
        listener = http.listen_tcp("127.0.0.1", 0, "test_port")
        server = http.Server(_app(), listener, context)  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve())
            async with httpx.AsyncClient(verify=trusting) as client:
                answer = await client.post(f"https://127.0.0.1:{server.port}/echo", json={})
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            async with asyncio.timeout(10):
                rest = await reader.read()
            writer.close()
            server.stop()
        return answer, rest

    answer, rest = asyncio.run(ask())
    assert answer.status_code == 200 and rest == b""
