"""A candidate at a TURN relay (RFC 8656), for who cannot be reached by UDP directly. Only offering sides need one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from aioice import stun, turn
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol

from stentor.formats.turn import IceServer

ALLOCATE_S_MAX = 4.0
Receive = Callable[[bytes], None]


class _RelayedProtocol(StunProtocol):
    """Passes media by the ICE agent, as the port does."""

    def __init__(self, connection: Connection, receive_media: Receive) -> None:
        super().__init__(connection)
        self._receive_media = receive_media

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        assert isinstance(data, bytes)
        if data and 127 < data[0] < 192:
            self._receive_media(data)
        elif data:
            with contextlib.suppress(Exception):  # the agent asserts what a peer may well break
                super().datagram_received(data, addr)


async def relayed(connection: Connection, receive_media: Receive, server: IceServer) -> StunProtocol | None:
    """A protocol whose candidate is the relay's; None where the relay cannot be had."""
    parts = server.parts
    if parts is None or not parts[0].startswith("turn"):
        return None
    scheme, host, port, transport = parts
    try:
        async with asyncio.timeout(ALLOCATE_S_MAX):
            relay, protocol = await turn.create_turn_endpoint(
                lambda: _RelayedProtocol(connection, receive_media),
                (host, port),
                server.username,
                server.credential,
                ssl=scheme == "turns",
                transport=transport,
            )
    except (OSError, stun.TransactionError):  # a timeout is an OSError
        return None
    protocol.local_candidate = _candidate(relay)
    return protocol


def _candidate(relay: turn.TurnTransport) -> Candidate:
    host, port = relay.get_extra_info("sockname")[:2]
    related_host, related_port = relay.get_extra_info("related_address")[:2]
    return Candidate(
        foundation=candidate_foundation("relay", "udp", host),
        component=1,
        transport="udp",
        priority=candidate_priority(1, "relay"),
        host=host,
        port=port,
        type="relay",
        related_address=related_host,
        related_port=related_port,
    )
