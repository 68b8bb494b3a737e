"""Bodies of which a part can be had, on real sockets; the answers to ranges are in tests/scenario/test_archive.py."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stentor.io import http
from stentor.io.http import server as server_module
from stentor.io.http.ranged import Body, ranged_response

BLOCK = bytes(64 * 1024)
BLOCKS = 400


class Blocks:
    """A body far larger than socket buffers; counts what was read of it."""

    def __init__(self) -> None:
        self.read = 0

    def handler(self, request: Request) -> Response:
        return ranged_response(request, Body(BLOCKS * len(BLOCK), "x", "audio/mp4", self._blocks))

    def _blocks(self, _first: int, _last: int) -> Iterator[bytes]:
        for _ in range(BLOCKS):
            self.read += 1
            yield BLOCK


def empty(request: Request) -> Response:
    return ranged_response(request, Body(0, "none", "audio/mpeg", lambda *_: iter(())))


async def ask(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return reader, writer


def serve_one(app: object, client: object) -> None:
    async def run() -> None:
        server = http.Server(app, http.listen_tcp("127.0.0.1", 0, "test_port"))  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve())
            try:
                await client(server.port)  # type: ignore[operator]
            finally:
                server.stop()

    asyncio.run(run())


def test_a_client_that_takes_nothing_is_cut_and_little_is_read_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "STALL_TIMEOUT_S", 0.2)
    blocks = Blocks()

    async def client(port: int) -> None:
        reader, _ = await ask(port, "/")
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(BLOCKS * len(BLOCK))

    serve_one(http.application([Route("/", blocks.handler)]), client)
    assert blocks.read < BLOCKS


def test_an_empty_body() -> None:
    async def client(port: int) -> None:
        reader, writer = await ask(port, "/")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head and b"content-length: 0" in head.lower()
        writer.close()

    serve_one(http.application([Route("/", empty)]), client)
