"""A listener without a browser: reads a stream, keeps account of it, and goes on where it was when a connection breaks.

The server's clock is taken from `Stentor-Now-Ms` at each answer, so lateness is right to within half a round trip.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import httpx

from stentor.clients import links
from stentor.clients.ear import Ear
from stentor.clients.links import InLine, Link, Refused
from stentor.core.heard import Heard, NotAStream, Whole
from stentor.formats import chunks
from stentor.model.grid import Grid
from stentor.model.rendition import BY_NAME, Rendition

TIMEOUT = httpx.Timeout(5.0, read=10.0)
RETRY_S_MIN, RETRY_S_MAX = 0.1, 2.0
TRIES_MAX = 40  # connections without a chunk, one after another: about a minute
EMPTY_MAX = 3  # whole answers without a chunk, one after another: the show has ended
_RETRY_JITTER = (0.8, 1.2)


@dataclass(slots=True)
class Listener:
    """One listener. `run` returns when the show has ended or there is no use in going on; `report` may be asked for at
    any time. `on_chunk` gets each chunk when it is whole."""

    link: Link
    rendition: Rendition
    out: BinaryIO | None = None
    ear: Ear | None = None
    on_chunk: Callable[[Whole], None] = lambda _: None
    heard: Heard | None = None
    joins: int = 0
    answers: int = 0
    refusals: int = 0
    first_byte_ms: float | None = None
    ended: bool = False
    problem: str = ""  # why there was no use in going on
    _trouble: str = ""  # what the last connection failed of
    _mount: str = ""
    _given_back: bool = False  # a ticket, since the last chunk
    _place: str = ""  # in line, as the door gave it
    _tries: int = 0
    _empty: int = 0
    _clock_s: float = 0.0  # the server's Unix time less our monotonic clock
    _begun_s: float = field(default=0.0)

    async def run(self) -> None:
        """Listen. Ends early by cancellation alone."""
        self._mount = self.link.mount
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            while not self.ended and not self.problem:
                delay_s = await self._attempt(client)
                await asyncio.sleep(0 if self.ended or self.problem else delay_s * random.uniform(*_RETRY_JITTER))

    async def _attempt(self, client: httpx.AsyncClient) -> float:
        """One connection from ticket to its end; -> seconds to wait before the next."""
        self._tries += 1
        try:
            if not self._mount:
                self._mount = await links.join(client, self.link.page, self._place)
                self.joins += 1
            await self._stream(client)
            self._empty = self._empty + 1 if self._tries else 0
            self.ended = self._empty >= EMPTY_MAX or await self._is_over(client, refused=False)
        except InLine as line:
            self._place, self._trouble = line.place, str(line)
            self.ended = await self._is_over(client, refused=True)
            return line.retry_after_s
        except Refused as refusal:
            self._refused(refusal)
            self.ended = not refusal.final and await self._is_over(client, refused=True)
            return refusal.retry_after_s
        except NotAStream as error:
            self.problem = f"not a stream of {self.rendition.name}: {error}"
        except httpx.RequestError as error:
            self._trouble = str(error) or type(error).__name__
            self.problem = self._trouble if self._tries >= TRIES_MAX else ""
        finally:
            if self.heard is not None:
                self.heard.receive_break()
        return min(RETRY_S_MIN * 2.0**self._tries, RETRY_S_MAX)

    def _refused(self, refusal: Refused) -> None:
        """A ticket that is not taken is given back once; anything else that will not change ends the listening."""
        self.refusals += 1
        self._trouble = str(refusal)
        if not refusal.final:
            return
        if self._place and not self._mount:  # it is none any more
            self._place = ""
            return
        if self._given_back or not (self.link.page and self._mount):
            self.problem = str(refusal)
        self._given_back = True
        if self.link.page:
            self._mount = ""

    async def _is_over(self, client: httpx.AsyncClient, *, refused: bool) -> bool:
        """Whether the show's `now` object says that nothing comes any more; `refused`: the edges had no stream."""
        if not self.link.page:
            return False
        with suppress(Refused, httpx.RequestError):
            fields = await links.now(client, self.link.page)
            heard_all = 0 < fields.get("end_n", 0) <= (self.heard.next_n if self.heard else 0)
            return heard_all or (refused and fields.get("phase") in ("ended", "cancelled"))
        return False

    async def _stream(self, client: httpx.AsyncClient) -> None:
        resume = {"from": self.heard.next_n} if self.heard is not None and self.heard.next_n else {}
        self._begun_s = time.monotonic()
        async with client.stream("GET", f"{self._mount}/{self.rendition.name}", params=resume) as response:
            if response.status_code != httpx.codes.OK:
                links.check(response, await response.aread())
            heard = self._answered(response.headers)
            self._mount = links.renewed(self._mount, response.headers.get("stentor-ticket", ""))
            async for data in response.aiter_raw():
                if self.first_byte_ms is None:
                    self.first_byte_ms = 1000 * (time.monotonic() - self._begun_s)
                for whole in heard.receive(data, time.monotonic() + self._clock_s):
                    self._take(whole)

    def _answered(self, headers: httpx.Headers) -> Heard:
        """Note what the answer says of grid, clock and place; lay the account at the first answer."""
        names = ("stentor-t0-ms", "stentor-chunk-ms", "stentor-n", "stentor-head", "stentor-now-ms")
        try:
            t0_ms, chunk_ms, n, head, now_ms = (int(headers[name]) for name in names)
        except (KeyError, ValueError) as error:
            raise Refused(f"the answer lacks a header of a stream: {error}", final=True) from None
        grid = Grid(t0_ms * 1_000_000, 0, chunk_ms * 48)
        if self.heard is None or self.heard.grid != grid:
            self._lay(grid)
        assert self.heard is not None
        self.heard.rendition = BY_NAME.get(
            headers.get("stentor-rendition", ""), self.rendition
        )  # the low one, at times
        self.answers += 1
        self._clock_s = now_ms / 1000 - time.monotonic()
        self.heard.receive_answer(n, head)
        return self.heard

    def _lay(self, grid: Grid) -> None:
        """A first account, or a new one for a show that was laid anew."""
        self.heard = Heard(self.rendition, grid)
        if self.out is not None:
            self.out.write(chunks.header(self.rendition))

    def _take(self, whole: Whole) -> None:
        self._tries, self._trouble, self._given_back = 0, "", False
        if self.out is not None:
            self.out.write(whole.data)
        if self.ear is not None:
            self.ear.receive(whole)
        self.on_chunk(whole)

    @property
    def fine(self) -> bool:
        """Whether audio came, and all of it."""
        heard = self.heard
        if heard is None or not heard.count or self.problem:
            return False
        return not (heard.missing or heard.doubles or heard.misplaced)

    def report(self) -> dict[str, Any]:
        """For `--json`. Times in milliseconds, `audio_s` in seconds."""
        heard = self.heard or Heard(self.rendition, Grid(0, 0, 24_000))
        late = {f"p{percent}": heard.late_percentile_ms(percent) for percent in (50, 99)}
        late["max"] = heard.late_percentile_ms(100)
        return {
            "rendition": self.rendition.name,
            "fine": self.fine,
            "chunks": heard.count,
            "first_n": heard.first_n,
            "last_n": max(0, heard.next_n - 1),
            "audio_s": heard.count * heard.grid.chunk_s,
            "bytes": heard.bytes_got,
            "missing": heard.missing,
            "doubles": heard.doubles,
            "misplaced": heard.misplaced,
            "late_ms": {name: round(value, 1) if value is not None else None for name, value in late.items()},
            "first_byte_ms": round(self.first_byte_ms, 1) if self.first_byte_ms is not None else None,
            "joins": self.joins,
            "reconnects": max(0, self.answers - 1),
            "refusals": self.refusals,
            "ended": self.ended,
            "problem": self.problem or ("" if self.ended and self.fine else self._trouble),
            **(self.ear.report() if self.ear is not None else {}),
        }
