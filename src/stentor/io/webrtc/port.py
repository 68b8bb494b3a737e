"""One UDP port for all peers.

A datagram's first byte tells what it is (RFC 7983). STUN requests name their peer in USERNAME (RFC 8445 section
7.2.2); everything else is known by the address it comes from, which a peer claims by answering a request whose
integrity it has checked. Bytes from an address that nobody claims are dropped without an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Sequence
from typing import Any, Protocol

from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol

from stentor.formats.turn import IceServer
from stentor.io.webrtc.relay import relayed

DATAGRAM_BYTES_MAX = 2048
DATAGRAMS_PER_WAKE = 64
RECEIVE_BUFFER_BYTES = 1 << 20
ADDRESSES_PER_PEER = 16
_BINDING_REQUEST, _BINDING_SUCCESS = b"\x00\x01", b"\x01\x01"
_STUN_HEADER_BYTES, _USERNAME = 20, 0x0006

Address = tuple[str, int]


class Owner(Protocol):
    """Who takes the media of a peer."""

    def receive_media(self, data: bytes) -> None:
        """One SRTP or SRTCP datagram. Must not raise."""


class _Link:
    """The transport that an ICE agent believes it has: one peer's share of one socket."""

    def __init__(self, lane: _Lane, owner: Owner, protocol: StunProtocol) -> None:
        self.owner = owner
        self.protocol = protocol
        self.addresses: set[Address] = set()
        self._lane = lane
        self._closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._lane.address if name == "sockname" else default

    def is_closing(self) -> bool:
        return self._closed

    def sendto(self, data: bytes, address: Address) -> None:
        if self._closed:
            return
        kind = data[:2]
        if kind == _BINDING_SUCCESS:
            self._lane.claim(address, self)
        elif kind == _BINDING_REQUEST:
            self._lane.claim(address, self, only_if_free=True)
        self._lane.send(data, address)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._lane.forget(self)
        asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close


class _Lane:
    """One socket."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise OSError(f"cannot receive media (UDP) on {host}:{port}: {error.strerror}") from None
        self.address: Address = self._socket.getsockname()[:2]
        self._by_username: dict[str, _Link] = {}
        self._by_address: dict[Address, _Link] = {}
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def link(self, owner: Owner, connection: Connection, candidates: Sequence[Candidate]) -> StunProtocol:
        """Give a peer's ICE agent its share of this socket."""
        protocol = StunProtocol(connection)
        link = _Link(self, owner, protocol)
        protocol.local_candidate = candidates[0]
        protocol.connection_made(link)  # type: ignore[arg-type]
        self._by_username[connection.local_username] = link
        return protocol

    def claim(self, address: Address, link: _Link, *, only_if_free: bool = False) -> None:
        holder = self._by_address.get(address)
        if holder is link or (holder is not None and only_if_free) or len(link.addresses) >= ADDRESSES_PER_PEER:
            return
        if holder is not None:
            holder.addresses.discard(address)
        self._by_address[address] = link
        link.addresses.add(address)

    def forget(self, link: _Link) -> None:
        for address in link.addresses:
            del self._by_address[address]
        link.addresses.clear()
        self._by_username = {name: held for name, held in self._by_username.items() if held is not link}

    def send(self, data: bytes, address: Address) -> None:
        with contextlib.suppress(OSError):  # a full socket or no route: the packet is lost, as on any network
            self._socket.sendto(data, address)

    def _readable(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKE):
            try:
                data, address = self._socket.recvfrom(DATAGRAM_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EBADF:
                    return
                continue  # an ICMP error of an earlier send
            if data:
                self._dispatch(data, address[:2])

    def _dispatch(self, data: bytes, address: Address) -> None:
        first = data[0]
        link = self._by_address.get(address)
        if 127 < first < 192:
            if link is not None:
                link.owner.receive_media(data)
            return
        if first < 2 and data[:2] == _BINDING_REQUEST:
            link = self._by_username.get(_username(data), link)
        if link is not None:
            with contextlib.suppress(Exception):  # the agent asserts what a peer may well break
                link.protocol.datagram_received(data, address)


def _username(message: bytes) -> str:
    """The receiver's half of a STUN message's USERNAME; empty without one."""
    at = _STUN_HEADER_BYTES
    while at + 4 <= len(message):
        kind, size = struct.unpack_from(">HH", message, at)
        if kind == _USERNAME:
            return message[at + 4 : at + 4 + size].partition(b":")[0].decode("ascii", "replace")
        at += 4 + (size + 3) // 4 * 4
    return ""


class Port:
    """The port, open. `advertise` replaces the addresses that peers are told, where a NAT stands before them."""

    def __init__(self, addresses: Sequence[str], port: int, advertise: Sequence[str] = ()) -> None:
        """Needs a running loop. Raises `OSError` if the port cannot be had on one of the addresses."""
        self._lanes: list[_Lane] = []
        try:
            for address in addresses:
                self._lanes.append(_Lane(address, port))
        except OSError:
            self.close()
            raise
        self._advertise = tuple(advertise)

    @property
    def addresses(self) -> list[Address]:
        """What the sockets are bound to."""
        return [lane.address for lane in self._lanes]

    def close(self) -> None:
        for lane in self._lanes:
            lane.close()
        self._lanes.clear()

    def attach(self, owner: Owner, connection: Connection, relays: Sequence[IceServer] = ()) -> None:
        """Make `connection` gather its candidates here and at the relays, and nowhere else."""

        async def gather_candidates() -> None:
            connection._local_candidates_start = True
            for lane in self._lanes:
                candidates = self._candidates(lane)
                connection._protocols.append(lane.link(owner, connection, candidates))
                connection._local_candidates += candidates
            made = await asyncio.gather(*(relayed(connection, owner.receive_media, relay) for relay in relays))
            for protocol in filter(None, made):
                connection._protocols.append(protocol)
                connection._local_candidates.append(protocol.local_candidate)
            connection._local_candidates_end = True

        connection.gather_candidates = gather_candidates  # type: ignore[method-assign]

    def _candidates(self, lane: _Lane) -> list[Candidate]:
        host, port = lane.address
        same_family = [address for address in self._advertise if (":" in address) == (":" in host)]
        return [_host_candidate(address, port, rank) for rank, address in enumerate(same_family or [host])]


def _host_candidate(host: str, port: int, rank: int) -> Candidate:
    priority = candidate_priority(1, "host", 65_535 - rank)
    return Candidate(candidate_foundation("host", "udp", host), 1, "udp", priority, host, port, "host")
