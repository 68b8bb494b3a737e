"""What a speaker's side may get wrong, beside a speaker who gets everything right and is heard all the while."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import numpy as np
import pytest

from stentor.clients import speak as speak_module
from stentor.formats import sdp
from stentor.io.webrtc import Peer
from support.stages import Studio, Tone, impaired_port, strength, studio, until

CORPUS = Path(__file__).parents[1] / "fuzz" / "sdp"
ANN, BOB = 500.0, 900.0
HEARD = 0.1  # of tones at 0.2
SDP_TYPE = "application/sdp"


def scenario(test):
    """Run a coroutine test to its end, within a minute."""

    def run():
        asyncio.run(asyncio.wait_for(test(), 60))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def post(made: Studio, token: str, offer: bytes, content_type: str = SDP_TYPE) -> tuple[int, str, str]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    async with httpx.AsyncClient() as http:
        answer = await http.post(made.url, content=offer, headers=headers)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    fields = answer.json()
    return answer.status_code, fields["code"], fields["title"] + ": " + fields.get("detail", "")


def corpus(name: str) -> bytes:
    return (CORPUS / f"{name}.sdp").read_bytes()


@scenario
async def test_offers_that_cannot_be_taken_are_refused_with_the_reason():
    cases = {
        b"": "found: none",
        b"\x00garbage\r\n" * 50: "found: none",
        b"v=0\r\n": "found: none",
        corpus("data-only"): "found: application",
        corpus("video-only"): "found: video",
        corpus("audio-and-video"): "found: audio, video",
        corpus("no-fingerprint"): "fingerprint",
        corpus("no-opus"): "no Opus",
        corpus("numbers"): "",
    }
    async with studio() as made:
        await made.join("ann", Tone(ANN), on_air=True)
        token = made.seat("bob")
        for offer, reason in cases.items():
            status, code, said = await post(made, token, offer)
            assert (status, code) == (400, "sdp-refused") and reason in said, (offer[:80], said)
        assert (await post(made, token, b"\xff\xfe"))[:2] == (400, "sdp-malformed")
        assert (await post(made, token, bytes(sdp.SDP_BYTES_MAX + 1)))[:2] == (413, "sdp-too-large")
        for content_type in ("text/plain", "application/json", "application/trickle-ice-sdpfrag", ""):
            assert (await post(made, token, corpus("chromium"), content_type))[:2] == (415, "not-sdp")
        assert made.present() == {"ann"} and len(made.stage._by_session) == 1
        await made.join("bob", Tone(BOB), on_air=True)
        await made.settle()
        program = await made.listen()
        assert strength(program, ANN) > HEARD and strength(program, BOB) > HEARD


@scenario
async def test_links_that_do_not_admit_are_refused_with_the_reason():
    async with studio() as made:
        await made.join("ann", Tone(ANN), on_air=True)
        made.seat("old", expires_at=1)
        made.seat("out", removed=True)
        revoked = made.seat("rob")
        made.seat("rob", token_hash="0" * 64)  # a new link was made for the seat
        offer = corpus("chromium")
        assert (await post(made, "nobody", offer))[:2] == (401, "token-unknown")
        assert (await post(made, revoked, offer))[:2] == (401, "token-unknown")
        assert (await post(made, "token-of-old", offer))[:2] == (403, "invite-expired")
        assert (await post(made, "token-of-out", offer))[:2] == (403, "seat-removed")
        assert made.present() == {"ann"} and strength(await made.listen(), ANN) > HEARD


def test_sequence_numbers_and_timestamps_wrap_on_the_wire(near_the_wrap):
    asyncio.run(asyncio.wait_for(wrapping(), 60))


async def wrapping():
    async with studio() as made:
        ann = await made.join("ann", Tone(ANN), on_air=True)
        (connected,) = made.stage._by_session.values()
        jitter = connected.link.voice.jitter
        await until(lambda: jitter._highest >= 0x20000)  # counting begins in 0x10000
        await made.settle()
        assert strength(await made.listen(), ANN) > HEARD
        assert jitter.counters.restarts == jitter.counters.garbage == jitter.counters.duplicates == 0
        assert jitter.counters.received > jitter.counters.lost
        assert strength(await ann.hears(), ANN) < HEARD / 10


@pytest.fixture
def near_the_wrap(monkeypatch):
    """Every peer begins to count a second before its sequence numbers and timestamps wrap."""
    begin = Peer.__init__

    def late(self, *arguments, **named):
        begin(self, *arguments, **named)
        self._sequence, self._timestamp = 0xFFFF - 25, 0xFFFFFFFF - 25 * 960

    monkeypatch.setattr(Peer, "__init__", late)


def test_a_fifth_of_all_packets_lost_costs_sound_and_not_delay(monkeypatch):
    """Most of it is heard, and what waits in the buffer does not grow with time."""
    monkeypatch.setattr(speak_module, "Port", impaired_port(0.20, late=0.05, double=0.05))

    @scenario
    async def lossy():
        async with studio() as made:
            await made.join("ann", Tone(ANN, 0.3), on_air=True)
            (connected,) = made.stage._by_session.values()
            heard, depths = [], []
            for _ in range(10):
                heard.append(await made.listen(0.5))
                depths.append(connected.link.voice.jitter.depth_samples)
            loud = sorted(np.mean(np.abs(window.reshape(-1, 960)).max(axis=1) > 0.1) for window in heard[2:])
            assert np.mean(loud[4:]) > 0.6, f"{loud}: half of them, a busy machine stands still at times"
            assert max(depths[5:]) < 0.3 * 48_000, depths

    lossy()
