"""The port for encoders, with ffmpeg and raw clients in front of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import wraps

from stentor.io.http import listen_tcp
from stentor.nodes.source import Sources
from support.stages import Studio, studio

HZ = 700.0
FORMATS = {
    "mp3": ("audio/mpeg", "-c:a libmp3lame -b:a 128k -f mp3"),
    "opus": ("application/ogg", "-c:a libopus -b:a 64k -f ogg -page_duration 200000"),
    "pages": ("audio/ogg", "-c:a libopus -b:a 64k -f ogg"),  # of a second
    "aac": ("audio/aac", "-c:a aac -b:a 96k -f adts"),
    "flac": ("audio/flac", "-c:a flac -f flac"),
}


def scenario(test):
    """Run a coroutine test to its end, within a minute."""

    @wraps(test)
    def run(**arguments):
        asyncio.run(asyncio.wait_for(test(**arguments), 60))

    return run


class Encoders:
    """The source port of a studio. What is started here is ended with it."""

    def __init__(self, made: Studio, port: int) -> None:
        self.made, self.port = made, port
        self.sources = Sources(made.stage)
        self._processes: list[asyncio.subprocess.Process] = []

    def url(self, name: str, scheme: str = "icecast") -> str:
        return f"{scheme}://source:{self.made.seat(name)}@127.0.0.1:{self.port}/live"

    async def ffmpeg(self, to: str, form: str, *options: str, content_type: str = "") -> asyncio.subprocess.Process:
        announced, encoding = FORMATS[form]
        line = f"-nostdin -loglevel error -re -f lavfi -i sine=frequency={HZ}:sample_rate=44100 -ac 2 {encoding}"
        argv = ("ffmpeg", *line.split(), "-content_type", content_type or announced, *options, to)
        return await self.start(*argv)

    async def start(self, *argv: str, **environ: str) -> asyncio.subprocess.Process:
        """An encoder; what it says can be read from its stderr."""
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.DEVNULL, stderr=-1, env=os.environ | environ
        )
        self._processes.append(process)
        return process

    async def answer(self, head: str, body: bytes = b"") -> bytes:
        """Send this, and read until the port closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with suppress(OSError):
            writer.write(head.encode() + b"\r\n" + body)
            return await reader.read()
        return b""

    def head(self, name: str, *lines: str, method: str = "SOURCE", content_type: str = "audio/mpeg") -> str:
        basic = base64.b64encode(f"source:{self.made.seat(name)}".encode()).decode()
        first = f"{method} /live HTTP/1.0\r\nAuthorization: Basic {basic}\r\nContent-Type: {content_type}\r\n"
        return first + "".join(f"{line}\r\n" for line in lines)

    async def end(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


@asynccontextmanager
async def encoders(tls: ssl.SSLContext | None = None, **changes) -> AsyncIterator[Encoders]:
    async with studio(**changes) as made:
        listener = listen_tcp("127.0.0.1", 0, "source_port")
        held = Encoders(made, listener.getsockname()[1])
        serving = asyncio.ensure_future(held.sources.serve(listener, tls))
        try:
            yield held
        finally:
            await held.end()
            serving.cancel()


def code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


async def sound(form: str, seconds: float) -> bytes:
    """So much of a tone, encoded."""
    line = f"-nostdin -loglevel error -f lavfi -i sine=frequency={HZ} -t {seconds} {FORMATS[form][1]} -"
    process = await asyncio.create_subprocess_exec("ffmpeg", *line.split(), stdout=-1)
    return (await process.communicate())[0]
