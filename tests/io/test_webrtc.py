"""Two peers on loopback, and the port between them."""

import asyncio
import struct
import threading

import pytest

from stentor.formats import rtp
from stentor.io.webrtc import NegotiationError, Peer, Port, State, addresses, hooks, local_addresses, route_address
from stentor.io.webrtc.port import ADDRESSES_PER_PEER, _username

TOC = bytes([31 << 3])


def test_the_private_api_that_the_stage_reaches_into_is_there():
    assert hooks.missing() == []


def test_a_vanished_hook_fails_at_import_with_its_name(monkeypatch):
    monkeypatch.setattr(hooks, "_COROUTINES", ((hooks.aioice.ice.Connection, "gone", ["self"]),))
    with pytest.raises(ImportError, match=r"Connection\.gone.*pyproject"):
        hooks.check()


def test_addresses(monkeypatch):
    assert local_addresses("192.0.2.2") == ["192.0.2.2"]
    monkeypatch.setattr(addresses, "get_host_addresses", lambda **_: [])
    assert local_addresses("0.0.0.0") == ["127.0.0.1"]  # a machine with nothing else
    monkeypatch.setattr(addresses, "get_host_addresses", lambda **_: ["192.0.2.2", "fe80::1", "fd00::2"])
    assert local_addresses("0.0.0.0") == ["192.0.2.2", "fd00::2"]
    assert route_address("127.0.0.1", 1) == "127.0.0.1"


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of tests
            await asyncio.sleep(0.005)


class Pair:
    """A caller on a port of its own and an answerer on a shared one."""

    def __init__(self, shared: Port) -> None:
        self.port = Port(["127.0.0.1"], 0)
        self.to_caller: list[rtp.Packet] = []
        self.to_answerer: list[rtp.Packet] = []
        self.caller = Peer(self.port, self.to_caller.append)
        self.answerer = Peer(shared, self.to_answerer.append)

    async def connect(self) -> None:
        await self.caller.accept(await self.answerer.answer(await self.caller.offer()))
        await until(lambda: self.caller.state is self.answerer.state is State.CONNECTED)

    async def close(self) -> None:
        await self.caller.close()
        await self.answerer.close()
        self.port.close()


def test_media_both_ways_over_one_port_for_all():
    async def scenario():
        shared = Port(["127.0.0.1"], 0)
        pairs = [Pair(shared) for _ in range(3)]
        await asyncio.gather(*(pair.connect() for pair in pairs))
        for index, pair in enumerate(pairs):
            assert pair.caller.send(TOC + bytes([index]), 960)
            assert pair.answerer.send(TOC + bytes([index, 1]), 960)
        await until(lambda: all(pair.to_caller and pair.to_answerer for pair in pairs))
        for pair in pairs:
            assert pair.caller.report(64, 0, 0, 0) and pair.answerer.report(0, 0, 0, 0)
        await until(lambda: all(pair.answerer.reported_loss == 0.25 for pair in pairs))
        for index, pair in enumerate(pairs):
            assert [packet.payload for packet in pair.to_answerer] == [TOC + bytes([index])]
            assert [packet.payload for packet in pair.to_caller] == [TOC + bytes([index, 1])]
        assert not [thread for thread in threading.enumerate() if "decoder" in thread.name]
        await asyncio.gather(*(pair.close() for pair in pairs))
        (lane,) = shared._lanes
        assert not lane._by_address and not lane._by_username
        shared.close()

    asyncio.run(scenario())


def test_numbers_and_timestamps_go_up():
    async def scenario():
        shared = Port(["127.0.0.1"], 0)
        pair = Pair(shared)
        assert not pair.caller.send(TOC, 960)  # before it stands
        await pair.connect()
        for samples in (960, 960, 480):
            pair.caller.send(TOC, samples)
        await until(lambda: len(pair.to_answerer) == 3)
        first, second, third = pair.to_answerer
        assert rtp.difference(second.timestamp, first.timestamp) == rtp.difference(third.timestamp, second.timestamp)
        assert (second.sequence - first.sequence, third.sequence - second.sequence) == (1, 1)
        await pair.close()
        shared.close()

    asyncio.run(scenario())


def test_closing_one_side_is_seen_by_the_other():
    async def scenario():
        shared = Port(["127.0.0.1"], 0)
        pair = Pair(shared)
        await pair.connect()
        await pair.caller.close()
        await until(lambda: pair.answerer.state is State.GONE)
        assert not pair.answerer.send(TOC, 960)
        await pair.close()
        shared.close()

    asyncio.run(scenario())


def test_an_exception_of_the_owner_does_not_end_the_connection():
    async def scenario():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
        shared = Port(["127.0.0.1"], 0)
        pair = Pair(shared)
        pair.answerer._receive = lambda packet: 1 / 0
        await pair.connect()
        pair.caller.send(TOC, 960)
        await until(lambda: bool(reported))
        assert isinstance(reported[0], ZeroDivisionError)
        pair.answerer._receive = pair.to_answerer.append
        pair.caller.send(TOC, 960)
        await until(lambda: bool(pair.to_answerer))
        await pair.close()
        shared.close()

    asyncio.run(scenario())


def test_the_answer_holds_all_that_the_caller_needs():
    async def scenario():
        shared = Port(["127.0.0.1"], 0, ["203.0.113.7", "203.0.113.8"])
        caller_port = Port(["127.0.0.1"], 0)
        caller, answerer = Peer(caller_port, print), Peer(shared, print)
        answer = await answerer.answer(await caller.offer())
        port = shared.addresses[0][1]
        candidates = [line.split() for line in answer.splitlines() if line.startswith("a=candidate")]
        assert [(c[4], int(c[5])) for c in candidates] == [("203.0.113.7", port), ("203.0.113.8", port)]
        assert int(candidates[0][3]) > int(candidates[1][3])
        assert "useinbandfec=1" in answer and "a=end-of-candidates" in answer and "PCMU" not in answer
        for peer, its_port in ((caller, caller_port), (answerer, shared)):
            await peer.close()
            its_port.close()

    asyncio.run(scenario())


def test_names_in_an_offer_are_not_looked_up(monkeypatch):
    """Chromium hides addresses behind .local names: the caller's own checks show where it is."""

    async def lookup(subscriber):
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(hooks.aioice.ice, "get_or_create_mdns_protocol", lookup)

    async def scenario():
        shared = Port(["127.0.0.1"], 0)
        pair = Pair(shared)
        offer = (await pair.caller.offer()).replace(" 127.0.0.1 ", " 9b36eaac-bb2e-49bb-bb78-21c41c499900.local ")
        assert ".local" in offer
        await pair.caller.accept(await pair.answerer.answer(offer))
        await until(lambda: pair.answerer.state is State.CONNECTED)
        await pair.close()
        shared.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda sdp: "", "one audio section"),
        (lambda sdp: "hello", "one audio section"),
        (lambda sdp: sdp.replace("m=audio", "m=video"), "one audio section"),
        (lambda sdp: sdp.replace("opus/48000/2", "speex/48000/2"), "no Opus"),
        (lambda sdp: sdp.replace("a=ice-ufrag", "a=x"), "ICE"),
        (lambda sdp: sdp.replace("a=rtcp-mux\r\n", ""), "RTCP"),
        (lambda sdp: sdp.replace("a=setup:actpass", "a=setup:x"), "description"),
        (lambda sdp: sdp.replace("a=mid:0", "a=extmap:x"), "description"),
        (lambda sdp: sdp.replace("a=fingerprint", "a=f"), "fingerprint"),
    ],
)
def test_offers_that_cannot_be_taken(damage, reason):
    async def scenario():
        port = Port(["127.0.0.1"], 0)
        caller, answerer = Peer(port, print), Peer(port, print)
        with pytest.raises(NegotiationError, match=reason):
            await answerer.answer(damage(await caller.offer()))
        await caller.close()
        await answerer.close()
        port.close()

    asyncio.run(scenario())


def test_a_port_in_use_is_an_error():
    async def scenario():
        port = Port(["127.0.0.1"], 0)
        with pytest.raises(OSError):
            Port(["127.0.0.1"], port.addresses[0][1])
        port.close()

    asyncio.run(scenario())


def stun(username: bytes) -> bytes:
    attribute = struct.pack(">HH", 6, len(username)) + username + bytes(-len(username) % 4)
    return struct.pack(">HHI", 1, len(attribute), 0x2112A442) + bytes(12) + attribute


def test_the_username_in_a_request():
    assert _username(stun(b"abcd:efgh")) == "abcd"
    assert _username(stun(b"")) == _username(b"\0\1") == ""
    assert _username(stun(b"abcd:efgh")[:25]) == "a"


def test_a_strangers_request_claims_no_address():
    async def scenario():
        shared = Port(["127.0.0.1"], 0)
        pair = Pair(shared)
        await pair.connect()
        (lane,) = shared._lanes
        claimed = dict(lane._by_address)
        name = pair.answerer._ice.local_username.encode()
        for port in range(1, 40):
            lane._dispatch(stun(name + b":x"), ("127.0.0.1", 40_000 + port))
        assert lane._by_address == claimed
        (link,) = set(claimed.values())
        for port in range(1, 40):
            lane.claim(("127.0.0.1", port), link)
        assert len(link.addresses) == ADDRESSES_PER_PEER
        await pair.close()
        assert not lane._by_address
        shared.close()

    asyncio.run(scenario())
