"""ICE servers as WHIP announces them, and passwords that a relay grants for a while.

The `Link` headers of RFC 9725 section 4.6; credentials of draft-uberti-behave-turn-rest-00, which coturn calls
use-auth-secret: the name holds the Unix time of its end, the password is its HMAC-SHA1 under the shared secret.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass

HEADER_CHARS_MAX = 4_096
SERVERS_MAX = 8
_URL = re.compile(r"(turns?|stuns?):(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?")
_LINK = re.compile(r'<([^<>\s]+)>((?:\s*;\s*[a-z-]+="[^"]*")*)')
_PARAMETER = re.compile(r'([a-z-]+)="([^"]*)"')
_PORTS = {"turn": 3478, "stun": 3478, "turns": 5349, "stuns": 5349}


@dataclass(frozen=True, slots=True)
class IceServer:
    """A relay, and what it takes to use it."""

    url: str
    username: str = ""
    credential: str = ""

    @property
    def parts(self) -> tuple[str, str, int, str] | None:
        """Scheme, host, port, transport; None for an address that is none."""
        match = _URL.fullmatch(self.url)
        if match is None:
            return None
        scheme, host, port, transport = match.groups()
        return scheme, host.strip("[]"), int(port or _PORTS[scheme]), transport or "udp"


def granted(urls: str, secret: str, name: str, expires_at: int) -> list[IceServer]:
    """The relays of a comma-separated list, with credentials for `name` until Unix time `expires_at`."""
    username = f"{expires_at}:{name}"
    credential = base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()
    found = [url.strip() for url in urls.split(",") if url.strip()]
    return [IceServer(url, username, credential) for url in found]


def link_header(servers: list[IceServer]) -> str:
    """The value of `Link`."""
    return ", ".join(
        f'<{server.url}>; rel="ice-server"; username="{server.username}"; credential="{server.credential}"; '
        'credential-type="password"'
        for server in servers
    )


def parse_links(header: str) -> list[IceServer]:
    """The ICE servers in a `Link` header; what is none is left out."""
    return list(_servers(header[:HEADER_CHARS_MAX]))[:SERVERS_MAX]


def _servers(header: str) -> Iterator[IceServer]:
    for url, rest in _LINK.findall(header):
        fields = dict(_PARAMETER.findall(rest))
        server = IceServer(url, fields.get("username", ""), fields.get("credential", ""))
        if fields.get("rel") == "ice-server" and server.parts is not None:
            yield server
