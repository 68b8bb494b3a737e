"""Players of low-latency HLS on one event loop: each reloads its playlist part by part and takes every part."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

PART = re.compile(rb'#EXT-X-PART:DURATION=[\d.]+,INDEPENDENT=YES,URI="s(\d+)p(\d+)\.m4s"')
START_AT_ONCE = 200  # connections begun together, within every server's backlog


class PlayersError(RuntimeError):
    """A player got an answer that it should not."""


@dataclass(slots=True)
class Player:
    """`newest`: (msn, part) of the last part taken; `parts`, `bytes`: taken since the start."""

    newest: tuple[int, int] = (-1, -1)
    parts: int = 0
    bytes: int = 0


@dataclass
class Players:
    """`count` players of the playlist `live.m3u8` in the directory `base` of an origin on 127.0.0.1:`port`."""

    port: int
    base: str
    count: int
    segment_parts: int
    all: list[Player] = field(default_factory=list)

    async def run(self) -> None:
        """Until cancelled. Raises `PlayersError`, `OSError`."""
        gate = asyncio.Semaphore(START_AT_ONCE)
        self.all = [Player() for _ in range(self.count)]
        async with asyncio.TaskGroup() as group:
            for player in self.all:
                group.create_task(self._play(player, gate))

    def slowest(self) -> tuple[int, int]:
        """The newest part that everybody has."""
        return min((player.newest for player in self.all), default=(-1, -1))

    async def _play(self, player: Player, gate: asyncio.Semaphore) -> None:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            await self._take(player, reader, writer, "")
        try:
            while True:
                msn, part = player.newest
                msn, part = (msn + 1, 0) if part == self.segment_parts - 1 else (msn, part + 1)
                await self._take(player, reader, writer, f"?_HLS_msn={msn}&_HLS_part={part}&_HLS_skip=YES")
        finally:
            writer.close()

    async def _take(
        self, player: Player, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, query: str
    ) -> None:
        """A reload, and the newest part that it lists."""
        playlist = await self._get(reader, writer, f"live.m3u8{query}")
        msn, part = map(int, PART.findall(playlist)[-1])
        if (msn, part) <= player.newest:
            raise PlayersError(f"a reload was answered too early: {player.newest}, then {msn, part}")
        player.bytes += len(await self._get(reader, writer, f"s{msn}p{part}.m4s"))
        player.newest = (msn, part)
        player.parts += 1

    async def _get(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> bytes:
        writer.write(f"GET {self.base}/{name} HTTP/1.1\r\nHost: hls\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        found = re.search(rb"content-length: (\d+)", head)
        if not head.startswith(b"http/1.1 200") or found is None:
            raise PlayersError(f"{name}: {head.splitlines()[0].decode()}")
        return await reader.readexactly(int(found[1]))
