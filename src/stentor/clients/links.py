"""Links that a listener can follow, and the way from a show's page to a mount."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from stentor.formats import challenge

BODY_BYTES_MAX = 256 * 1024  # of a page or an answer in JSON
RETRY_AFTER_S_MAX = 10.0
POLL_MS = 5_000  # of who waits in line and is told nothing else

_PAGE = re.compile(r"/s/([\w-]{1,64})/?")
_MOUNT = re.compile(r"(/live/[\w-]{1,128})(?:/([\w-]{1,16})(?:\.\w{1,4})?)?/?")
_TICKET = re.compile(r"[\w-]{1,128}")
_EDGE_PORT = re.compile(r'"edge_port":\s*(\d{1,5})')


class BadLink(ValueError):
    """The link is none that a listener can follow; the text says why."""


class Refused(Exception):
    """An answer that is not what was asked for. `final`: to ask again would not help."""

    def __init__(self, reason: str, *, final: bool, retry_after_s: float = 1.0) -> None:
        super().__init__(reason)
        self.final, self.retry_after_s = final, retry_after_s


class Asked(Refused):
    """Whoever joins has to do some work first; `fields` say which (formats/challenge.py)."""

    def __init__(self, reason: str, fields: dict[str, Any]) -> None:
        super().__init__(reason, final=True)
        self.fields = fields


class InLine(Refused):
    """Seats are taken, and `place` is the place in line to come again with."""

    def __init__(self, place: str, poll_ms: int) -> None:
        super().__init__("waiting in line", final=False, retry_after_s=min(poll_ms / 1000, RETRY_AFTER_S_MAX))
        self.place = place


@dataclass(frozen=True, slots=True)
class Link:
    """A show's page (`page` is its URL), or one mount without its rendition (`mount`); the other is empty."""

    page: str
    mount: str
    rendition: str = ""  # named by a mount's link

    @classmethod
    def parse(cls, url: str) -> Link:
        """Raises `BadLink`."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadLink(f"{url!r} is not an http or https address")
        origin = f"{parts.scheme}://{parts.netloc}"
        if match := _PAGE.fullmatch(parts.path):
            return cls(f"{origin}/s/{match[1]}", "")
        if match := _MOUNT.fullmatch(parts.path):
            return cls("", origin + match[1], match[2] or "")
        raise BadLink(f"{url!r} is neither a show's page (/s/<show>) nor a mount (/live/<ticket>/<rendition>)")


def renewed(mount: str, ticket: str) -> str:
    """The URL of a mount with the ticket that its edge gave to come back by; as it is, if that is none."""
    return f"{mount.rpartition('/')[0]}/{ticket}" if _TICKET.fullmatch(ticket) else mount


def check(response: httpx.Response, body: bytes) -> None:
    """Raises `Refused` unless the answer is a 200, or a 202: whoever asked has a place in line."""
    if response.status_code in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        return
    reason = f"{response.status_code} from {response.url.host}:{response.url.port or ''}"
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        reason = _problem(body) or reason
    if response.status_code == HTTPStatus.PRECONDITION_REQUIRED:
        raise Asked(reason, _fields(body))
    wait = response.headers.get("retry-after", "")
    later = min(float(wait), RETRY_AFTER_S_MAX) if wait.isdecimal() else 1.0
    raise Refused(reason, final=response.status_code < 500 and response.status_code != 429, retry_after_s=later)


def _problem(body: bytes) -> str:
    fields = _fields(body)
    return f"{fields['title']} ({fields['code']})" if {"title", "code"} <= fields.keys() else ""


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


async def fetch(client: httpx.AsyncClient, method: str, url: str) -> bytes:
    """The body of an answer, at most `BODY_BYTES_MAX`. Raises `Refused`, `httpx.RequestError`."""
    async with client.stream(method, url) as response:
        body = b""
        async for data in response.aiter_bytes():
            body += data
            if len(body) > BODY_BYTES_MAX:
                raise Refused(f"{url} answers with more than {BODY_BYTES_MAX} bytes", final=True)
    check(response, body)
    return body


async def fetch_object(client: httpx.AsyncClient, method: str, url: str) -> dict[str, Any]:
    """An answer that is a JSON object. Raises as `fetch`."""
    try:
        fields = json.loads(await fetch(client, method, url))
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise Refused(f"{url} answers with something that is not a JSON object", final=True)
    return fields


async def now(client: httpx.AsyncClient, page: str) -> dict[str, Any]:
    """The show's `now` object, its signature not checked. Raises as `fetch`."""
    return await fetch_object(client, "GET", f"{page}/now")


async def join(client: httpx.AsyncClient, page: str, place: str = "") -> str:
    """Ask the door for a ticket, with the place in line that it gave before; -> the URL of the mount without its
    rendition. Raises `InLine`, and as `fetch`."""
    config = _EDGE_PORT.search((await fetch(client, "GET", page)).decode(errors="replace"))
    url = f"{page}/join"
    try:
        answer = await fetch_object(client, "POST", f"{url}?place={place}" if place else url)
    except Asked as asked:
        solved = await asyncio.to_thread(challenge.solve, asked.fields)
        if not solved:
            raise
        answer = await fetch_object(client, "POST", f"{url}?{solved}")
    ticket, given = answer.get("ticket"), str(answer.get("place", ""))
    if not ticket:
        if _TICKET.fullmatch(given):
            raise InLine(given, int(answer.get("next_poll_ms", 0)) or POLL_MS)
        raise Refused(f"no ticket from {page}/join", final=False)
    origin = httpx.URL(page)
    port = int(config[1]) if config else 0  # 0: the edges stand behind the page's own origin
    return str((origin.copy_with(port=port) if port else origin).copy_with(path=f"/live/{ticket}"))
