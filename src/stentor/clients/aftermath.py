"""What can be said of a show that has ended: when its replay was up, whether its tape holds, whether it is what was
heard."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx

from stentor.clients import links
from stentor.core.heard import Heard
from stentor.model.grid import Grid
from stentor.model.rendition import Rendition

REPLAY_S_MAX = 20.0
VERIFY_S_MAX = 60.0
LOOK_S = 0.05
CHUNKS_MAX = 40  # chunks in one answer of the archive


class Archived:
    """One show in the archive at `url` (`http://host:8004/archive/<show>`)."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client, self.url = client, url

    async def replay(self) -> dict[str, Any]:
        """Wait until the replay is up; -> `url`, `bytes`, `after_ms` from this call. Raises `TimeoutError`."""
        begun_s, url = time.monotonic(), f"{self.url}/replay.m4a"
        while not await self._is_up(url):
            if time.monotonic() > begun_s + REPLAY_S_MAX:
                raise TimeoutError(f"no replay after {REPLAY_S_MAX:.0f} s: {url}")
            await asyncio.sleep(LOOK_S)
        after_ms = round(1000 * (time.monotonic() - begun_s))
        response = await self._client.get(url)
        return {"url": url, "bytes": len(response.content), "after_ms": after_ms}

    async def _is_up(self, url: str) -> bool:
        try:
            return (await self._client.head(url)).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def info(self) -> dict[str, Any]:
        """First and last n, t0, chunk length. Raises `links.Refused`, `httpx.RequestError`."""
        return await links.fetch_object(self._client, "GET", f"{self.url}/info")

    async def differences(self, rendition: Rendition, heard: Mapping[int, bytes]) -> tuple[int, list[int]]:
        """Hold what was heard (SHA-256 of each chunk by n) against the tape.

        -> how many chunks were heard of those on the tape; which of them have other bytes there. Raises as `info`.
        """
        info = await self.info()
        grid = Grid(info["t0_ms"] * 1_000_000, 0, info["chunk_ms"] * 48)
        recorded = sorted(n for n in heard if info["first_n"] <= n <= info["last_n"])
        different = []
        for _, numbers in groupby(recorded, lambda n: n // CHUNKS_MAX):
            wanted = list(numbers)
            taped = await self._chunks(rendition, grid, wanted[0], wanted[-1])
            different += [n for n in wanted if taped.get(n) != heard[n]]
        return len(recorded), different

    async def _chunks(self, rendition: Rendition, grid: Grid, first: int, last: int) -> dict[int, bytes]:
        """SHA-256 of each chunk that the archive has from `first` to `last`."""
        data = await links.fetch(self._client, "GET", f"{self.url}/{rendition.name}/{first}-{last}")
        cutter = Heard(rendition, grid)
        cutter.receive_answer(first, last)
        return {whole.n: sha256(whole.data).digest() for whole in cutter.receive(data, 0.0)}


async def verify(tape: Path) -> dict[str, Any]:
    """`stentor verify` on the tape's directory; -> what it says, with `verified`. Raises `TimeoutError`."""
    argv = (sys.executable, "-m", "stentor.cli", "verify", str(tape), "--json")
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(VERIFY_S_MAX):
        out, _ = await process.communicate()
    try:
        said = json.loads(out)
    except ValueError:
        said = {}
    return {**said, "verified": process.returncode == 0}
