"""The requests of a WHIP client, and the look-up of a speaker's link."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx

from stentor.formats.turn import IceServer, parse_links
from stentor.io.whip.endpoint import PATH, SDP_TYPE

TIMEOUT_S = 10.0
RETRY_AFTER_S_MAX = 60.0


class WhipError(Exception):
    """A request that failed. `fatal`: the same request will fail again (a wrong token, a bad offer)."""

    def __init__(self, reason: str, *, fatal: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.fatal = fatal
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class SeatInfo:
    """What a speaker's link leads to."""

    whip_url: str
    token: str


class WhipClient:
    """An HTTP connection. All methods raise `WhipError` with a reason fit for people."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False)

    async def __aenter__(self) -> WhipClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def resolve(self, url: str, token: str = "") -> SeatInfo:
        """A WHIP URL as it is, or the one that a link `http://host:8002/crew/speak#token` leads to."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise WhipError(f"{parts._replace(fragment='').geturl()} is not an http or https address", fatal=True)
        token = token or parts.fragment
        if not token:
            raise WhipError("a token is needed: in the link after #, or with --token", fatal=True)
        plain = urlunsplit(parts._replace(fragment=""))
        if "/crew/" not in parts.path + "/":
            return SeatInfo(plain, token)
        response = await self._send("GET", urljoin(plain, "/crew/api/seat"), token)
        try:
            port = int(response.json()["studio_port"])
        except (ValueError, KeyError, TypeError, json.JSONDecodeError):
            raise WhipError("the desk's answer names no studio_port", fatal=True) from None
        if not port:  # one public origin for all roles
            return SeatInfo(urljoin(plain, PATH), token)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return SeatInfo(f"{parts.scheme}://{host}:{port}{PATH}", token)

    async def post(self, url: str, token: str, offer: str, lost_url: str = "") -> tuple[str, str]:
        """-> answer, session URL. `lost_url` is that of the session which this one goes on from."""
        query = "?resumes=" + lost_url.rpartition("/")[2] if lost_url else ""
        response = await self._send("POST", url + query, token, offer.encode())
        location = response.headers.get("location")
        if response.status_code != 201 or not location:
            raise WhipError(f"the studio answered {response.status_code} without a session", fatal=True)
        return response.text, urljoin(url, location)

    async def relays(self, url: str, token: str) -> list[IceServer]:
        """The relays that the studio names, for offers with candidates there; none from one that is not asked so."""
        try:
            response = await self._send("OPTIONS", url, token)
        except WhipError as error:
            if not error.fatal:
                raise
            return []
        return parse_links(response.headers.get("link", ""))

    async def delete(self, session_url: str, token: str) -> None:
        await self._send("DELETE", session_url, token)

    async def _send(self, method: str, url: str, token: str, body: bytes | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} | ({"Content-Type": SDP_TYPE} if body is not None else {})
        try:
            response = await self._http.request(method, url, headers=headers, content=body)
        except httpx.InvalidURL as error:
            raise WhipError(f"{url}: {error}", fatal=True) from None
        except httpx.HTTPError as error:
            raise WhipError(f"{urlsplit(url).netloc} does not answer: {error or type(error).__name__}") from None
        if response.is_success:
            return response
        raise _failure(response)


def _failure(response: httpx.Response) -> WhipError:
    try:
        reason = str(response.json()["title"])
    except (ValueError, KeyError, TypeError):
        reason = response.reason_phrase
    try:
        wait_s = min(RETRY_AFTER_S_MAX, max(0.0, float(response.headers.get("retry-after", "0"))))
    except ValueError:
        wait_s = 0.0
    fatal = 400 <= response.status_code < 500 and response.status_code not in (408, 425, 429)
    return WhipError(f"{response.status_code} {reason}", fatal=fatal, retry_after_s=wait_s)
