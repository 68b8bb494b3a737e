"""Speakers over real WebRTC: who hears whom."""

import asyncio

import httpx
import numpy as np
import pytest

from stentor.clients import speak as speak_module
from stentor.io.whip import WhipError
from support.stages import Tone, impaired_port, strength, studio, until

ANN, BOB, CAT = 500.0, 900.0, 1300.0
HEARD, SILENT = 0.1, 0.004  # of tones at 0.2


def scenario(test):
    """Run a coroutine test to its end, within a minute."""

    def run(*arguments, **named):
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 60))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@scenario
async def test_each_hears_the_program_without_themselves():
    async with studio() as made:
        ann = await made.join("ann", Tone(ANN), on_air=True)
        bob = await made.join("bob", Tone(BOB), on_air=True)
        cat = await made.join("cat", Tone(CAT))
        await made.settle()
        program, by_ann, by_cat = await asyncio.gather(made.listen(), ann.hears(), cat.hears())
        assert strength(program, ANN) > HEARD and strength(program, BOB) > HEARD
        assert strength(program, CAT) < SILENT  # backstage
        assert strength(by_ann, BOB) > HEARD and strength(by_ann, ANN) < SILENT
        assert strength(by_cat, ANN) > HEARD and strength(by_cat, CAT) < SILENT
        assert strength(await bob.hears(), BOB) < SILENT
        assert made.stage.anyone_on_air()
        levels = made.stage.levels()
        assert levels.keys() == {"ann", "bob", "cat", "program"}
        assert all(-20 < level < 0 for level in levels.values())


@scenario
async def test_going_on_air_muting_and_leaving_the_air():
    async with studio() as made:
        await made.join("ann", Tone(ANN))
        assert not made.stage.anyone_on_air()
        for wishes, heard in (
            ({"on_air": True}, True),
            ({"muted": True}, False),
            ({"muted": False}, True),
            ({"on_air": False}, False),
        ):
            made.seat("ann", **wishes)
            assert made.stage.anyone_on_air() == heard
            await made.settle(0.1)
            assert (strength(await made.listen(), ANN) > HEARD) == heard
        (speaker,) = made.stage.speakers()
        assert (speaker.seat, speaker.name, speaker.on_air, speaker.muted) == ("ann", "Ann", False, False)
        assert speaker.received > 0 and speaker.lost == 0


@scenario
async def test_a_removed_seat_is_closed_and_stays_out():
    async with studio() as made:
        ann = await made.join("ann", Tone(ANN), on_air=True)
        made.seat("ann", removed=True)
        await until(lambda: not made.present())
        with pytest.raises(WhipError, match="taken away"):
            await ann._task
        await made.settle(0.1)
        assert not (await made.listen()).any()


@scenario
async def test_without_a_show_everybody_is_gone_without_a_tick():
    async with studio() as made:
        ann = await made.join("ann", Tone(ANN), on_air=True)
        made.stage.apply(None)
        assert not made.present() and not made.stage.anyone_on_air()
        ann._task.cancel()


@scenario
async def test_a_second_post_replaces_the_first():
    async with studio() as made:
        first = await made.join("ann", Tone(ANN), on_air=True)
        await made.settle()
        (session,) = made.stage._by_session
        second = await made.join("ann", Tone(BOB))
        await until(lambda: session not in made.stage._by_session)
        with pytest.raises(WhipError, match="from elsewhere"):
            await first._task  # which would else replace the second in turn, and so on
        await made.settle(1.0)
        program = await made.listen()
        assert strength(program, BOB) > HEARD and strength(program, ANN) < SILENT
        assert (await second.stop()).packets_sent > 0


@scenario
async def test_a_speaker_who_falls_silent_as_a_connection_is_gone():
    """The process dies: no BYE, no DELETE, no packet."""
    async with studio(rtp_silence_ms=500) as made:
        ann = await made.join("ann", Tone(ANN), on_air=True)
        for link in made.calls._port._lanes[0]._by_address.values():
            link.owner.receive_media = lambda data: None  # from now on nothing of theirs arrives
        await until(lambda: not made.present())
        assert not made.stage.anyone_on_air()
        ann._task.cancel()


@scenario
async def test_the_speaker_comes_back_when_the_studio_does():
    async with studio() as made:
        ann = await made.join("ann", Tone(ANN), on_air=True)
        for connected in list(made.stage._by_session.values()):
            made.stage._drop(connected, "a crash, as the client sees it")
        await until(lambda: not made.present())
        await until(lambda: bool(made.present()))
        await made.settle()
        assert strength(await made.listen(), ANN) > HEARD
        assert (await ann.stop()).reconnects == 1


@scenario
async def test_leaving_ends_the_session_at_once():
    async with studio() as made:
        ann = await made.join("ann", Tone(ANN))
        await ann.hears()
        summary = await ann.stop()
        assert not made.present() and not made.stage._by_session
        assert summary.packets_sent > 0 and summary.packets_received > 0


@scenario
async def test_stems_hold_every_packet_of_the_program_at_its_place():
    stems: list[tuple[str, bytes, int]] = []
    async with studio(lambda *stem: stems.append(stem)) as made:
        await made.join("ann", Tone(ANN), on_air=True)
        await made.join("bob", Tone(BOB))
        await made.settle(0.5)
        made.seat("ann", muted=True)
        await made.settle(0.1)
        count = len(stems)
        await made.settle(0.2)
        assert {seat for seat, _, _ in stems} == {"ann"} and count == len(stems)
        positions = [position for _, _, position in stems]
        assert set(np.diff(positions)) == {960} and positions[0] % 960 == 0


@pytest.mark.parametrize(("loss", "floor"), [(0.05, 0.85), (0.20, 0.6)])
def test_lost_late_and_doubled_packets(monkeypatch, loss, floor):
    monkeypatch.setattr(speak_module, "Port", impaired_port(loss, late=0.05, double=0.05))

    @scenario
    async def lossy():
        async with studio() as made:
            await made.join("ann", Tone(ANN, 0.3), on_air=True)
            await made.settle(1.0)
            audio = await made.listen(4.0)
            loud = np.abs(audio.reshape(-1, 960)).max(axis=1) > 0.1
            assert loud.mean() > floor
            (speaker,) = made.stage.speakers()
            assert speaker.concealed > 0 and speaker.lost > 0
            (connected,) = made.stage._by_session.values()
            assert connected.link.voice.jitter.counters.fec > 0
            assert connected.link.peer.undecryptable > 0  # the doubles, which SRTP's replay list stops
            assert connected.link.voice.jitter.depth_samples < 0.3 * 48_000

    lossy()


@scenario
async def test_garbage_is_survived():
    async with studio() as made:
        ann = await made.join("ann", Tone(ANN), on_air=True)
        rng = np.random.default_rng(1)
        client = next(iter(made.calls._port._lanes[0]._by_address))
        (owner,) = {link.owner for link in made.calls._port._lanes[0]._by_address.values()}
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", int(made.url.split(":")[2].split("/")[0]))
        )
        for size in rng.integers(1, 1400, 300):
            data = rng.bytes(size)
            transport.sendto(data)  # from a stranger
            made.calls._port._lanes[0]._dispatch(data, client)  # from the speaker's address
            owner._receive_packet(bytes([128]) + data[1:])  # as if SRTP had let it pass
        transport.close()
        await made.settle()
        assert strength(await made.listen(), ANN) > HEARD
        assert (await ann.stop()).reconnects == 0


@scenario
async def test_refusals():
    async with studio(speakers_max=1) as made:
        await made.join("ann", Tone(ANN))
        made.seat("bob")
        made.seat("old", expires_at=1)
        async with httpx.AsyncClient() as http:

            async def post(token: str, body: str) -> httpx.Response:
                headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"}
                return await http.post(made.url, content=body, headers=headers)

            wrong, full, old = (
                await post("nobody", "v=0"),
                await post("token-of-bob", "v=0"),
                await post("token-of-old", ""),
            )
            bad = await post("token-of-ann", "v=0\r\nm=audio x\r\n")
            made.stage.apply(None)
            none = await post("token-of-ann", "v=0")
        codes = [(r.status_code, r.json()["code"]) for r in (wrong, full, old, bad, none)]
        assert codes == [
            (401, "token-unknown"),
            (503, "stage-full"),
            (403, "invite-expired"),
            (400, "sdp-refused"),
            (503, "no-show"),
        ]
        assert full.headers["retry-after"] and none.headers["retry-after"]
