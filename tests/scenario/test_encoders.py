"""Encoders as speakers: ffmpeg and a raw client over Icecast's protocol, and what they may get wrong."""

from __future__ import annotations

import asyncio
import shutil

import numpy as np
import pytest

from stentor.formats.icecast import HEAD_BYTES_MAX
from stentor.io import icecast
from stentor.io.tls import Certificate
from stentor.nodes import source as source_module
from support.certs import certificate
from support.players_encoders import FORMATS, HZ, code, encoders, scenario, sound
from support.stages import Tone, strength, until

ANN = 500.0
HEARD, SILENT = 0.08, 0.01  # of tones at 0.2 (ffmpeg's at 0.125)

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed (apt install ffmpeg)")


@pytest.mark.parametrize("form", FORMATS)
@scenario
async def test_ffmpeg_is_heard_in_the_program(form):
    async with encoders() as held:
        made = held.made
        await held.ffmpeg(held.url("desk"), form)
        await until(lambda: "desk" in made.present())
        await made.settle(1.0)
        assert strength(await made.listen(), HZ) < SILENT  # backstage
        made.seat("desk", on_air=True)
        await made.settle(0.1)
        assert strength(await made.listen(), HZ) > HEARD
        (speaker,) = made.stage.speakers()
        assert speaker.received > 0 and speaker.on_air
        assert -25 < made.stage.levels()["desk"] < -10
        made.seat("desk", removed=True)
        await until(lambda: not made.stage._by_session)


@scenario
async def test_ffmpeg_by_the_old_source_method_beside_a_guest():
    stems: list[tuple[str, bytes, int]] = []
    async with encoders(stems=lambda *stem: stems.append(stem)) as held:
        made = held.made
        ann = await made.join("ann", Tone(ANN), on_air=True)
        await held.ffmpeg(held.url("desk"), "mp3", "-legacy_icecast", "1")
        made.seat("desk", on_air=True)
        await until(lambda: "desk" in made.present())
        await made.settle(1.0)
        program = await made.listen()
        assert strength(program, HZ) > HEARD and strength(program, ANN) > HEARD
        heard = await ann.hears()
        assert strength(heard, HZ) > HEARD and strength(heard, ANN) < SILENT
        assert {seat for seat, _, _ in stems} == {"ann", "desk"}


@scenario
async def test_over_tls(tmp_path):
    async with encoders(Certificate(*certificate(tmp_path)).context) as held:
        await held.ffmpeg(held.url("desk"), "mp3", "-tls", "1")
        await until(lambda: "desk" in held.made.present())
        plain = await held.answer(held.head("desk"))  # not TLS
        assert not plain.startswith(b"HTTP/1.0 200")


@scenario
async def test_a_raw_source_client_chunked_and_its_end_in_mid_frame():
    async with encoders() as held:
        made = held.made
        made.seat("desk", on_air=True)
        data = (await sound("mp3", 3.0))[:-100]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (data[:9999], data[9999:])) + b"0\r\n\r\n"
        head = held.head("desk", "Transfer-Encoding: chunked", "Expect: 100-continue", method="PUT")
        answering = asyncio.ensure_future(held.answer(head, chunks))
        await until(lambda: "desk" in made.present())
        await made.settle(0.6)
        assert strength(await made.listen(), HZ) > HEARD
        answer = await answering
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        await until(lambda: not made.stage._by_session)


@scenario
async def test_a_stream_that_has_ended_before_it_is_played_is_heard_all_the_same():
    async with encoders() as held:
        made = held.made
        made.seat("desk", on_air=True)
        begun = len(made.program)
        await held.answer(held.head("desk"), await sound("mp3", 1.0))
        await until(lambda: not made.stage._by_session)
        program = np.concatenate(made.program[begun:])
        assert np.count_nonzero(np.abs(program) > HEARD / 2) > 0.5 * 48_000


@scenario
async def test_titles_are_answered_and_other_requests_refused():
    async with encoders() as held:
        held.made.seat("old", expires_at=1)
        title = await held.answer("GET /admin/metadata?mode=updinfo&song=x HTTP/1.0\r\n")
        assert title.startswith(b"HTTP/1.1 200 OK") and b"<return>1</return>" in title
        cases = {
            "GET / HTTP/1.1\r\n": (405, "method-not-allowed"),
            "nonsense\r\n": (400, "request-malformed"),
            "PUT /x HTTP/1.1\r\nContent-Type: audio/mpeg\r\n": (401, "token-unknown"),
            held.head("desk", content_type="video/webm"): (415, "codec-not-taken"),
            held.head("desk", "Content-Length: x", method="PUT"): (400, "request-malformed"),
            held.head("old"): (403, "invite-expired"),
            f"PUT / HTTP/1.1\r\nX: {'x' * HEAD_BYTES_MAX}\r\n": (431, "headers-too-large"),
        }
        answers = await asyncio.gather(*map(held.answer, cases))
        assert dict(zip(cases, map(code, answers), strict=True)) == cases
        assert not held.made.stage._by_session
        head = held.head("desk")
        held.made.stage.apply(None)
        assert code(await held.answer(head)) == (503, "no-show")


@scenario
async def test_the_kinds_of_audio_that_are_taken_are_named():
    async with encoders() as held:
        answer = await held.answer(held.head("desk", content_type="audio/x-wav"))
        assert b"audio/mpeg, audio/ogg" in answer


@scenario
async def test_what_cannot_be_decoded_is_told_and_harms_nobody():
    async with encoders() as held:
        made = held.made
        await made.join("ann", Tone(ANN), on_air=True)
        ogg, noise = await sound("opus", 2.0), bytes(range(256)) * 400
        for body, kind in ((ogg, "audio/mpeg"), (noise, "audio/ogg"), (noise, "audio/flac"), (b"x", "audio/aac")):
            head = held.head(
                "desk", "Expect: 100-continue", f"Content-Length: {len(body)}", method="PUT", content_type=kind
            )
            answer = await held.answer(head, body)
            assert answer.startswith(b"HTTP/1.1 100 Continue") and b"undecodable" in answer, (kind, answer)
        assert b"the stream is ogg" in await held.answer(
            held.head("desk", "Expect: 100-continue", f"Content-Length: {len(ogg)}", method="PUT"), ogg
        )
        assert strength(await made.listen(), ANN) > HEARD and made.present() == {"ann"}


@scenario
async def test_a_second_encoder_is_refused_while_the_first_is_heard(monkeypatch):
    monkeypatch.setattr(source_module, "ALIVE_S", 1.5)
    async with encoders() as held:
        made = held.made
        first = await held.ffmpeg(held.url("desk"), "mp3")
        await until(lambda: "desk" in made.present())
        assert code(await held.answer(held.head("desk"))) == (403, "seat-taken")
        assert held.sources.refused["seat-taken"] == 1
        first.send_signal(19)  # SIGSTOP: the connection stands, nothing comes
        await until(lambda: not made.stage.alive(made.stage._show.seats[0], 1.5))
        await held.ffmpeg(held.url("desk"), "opus")
        (before,) = made.stage._by_session
        await until(lambda: made.stage._by_session.keys() != {before} and "desk" in made.present())


@scenario
async def test_an_encoder_that_sends_nothing_is_let_go(monkeypatch):
    monkeypatch.setattr(source_module.EncoderLink, "connect_s", 0.5)
    async with encoders() as held:
        assert await held.answer(held.head("desk")) == b"HTTP/1.0 200 OK\r\n\r\n"
        assert not held.made.stage._by_session


@scenario
async def test_a_head_that_never_ends_is_let_go(monkeypatch):
    monkeypatch.setattr(icecast, "HEAD_S_MAX", 0.3)
    async with encoders() as held:
        reader, writer = await asyncio.open_connection("127.0.0.1", held.port)
        writer.write(b"PUT / HTTP/1.1\r\n")
        assert code(await reader.read()) == (408, "headers-late")
        writer.close()


@scenario
async def test_who_opens_connections_and_says_nothing_keeps_nobody_out(monkeypatch):
    monkeypatch.setattr(icecast, "WAITING_MAX", 3)
    async with encoders() as held:
        idle = [await asyncio.open_connection("127.0.0.1", held.port) for _ in range(6)]
        assert await asyncio.gather(*(reader.read() for reader, _ in idle[:2])) == [b"", b""]
        await held.ffmpeg(held.url("desk"), "mp3")
        await until(lambda: "desk" in held.made.present())
        for _, writer in idle:
            writer.close()


@scenario
async def test_an_encoder_that_comes_again_and_again_is_slowed(monkeypatch):
    monkeypatch.setattr(source_module, "AGAIN_S_MIN", 0.3)
    async with encoders() as held:
        made = held.made
        await made.join("ann", Tone(ANN), on_air=True)
        loop = asyncio.get_running_loop()
        start = loop.time()
        for _ in range(4):
            head = held.head("desk", "Content-Length: 1", method="PUT")
            assert (await held.answer(head, b"x")).startswith(b"HTTP/1.0 200 OK")
            await until(lambda: len(made.stage._by_session) == 1)
        assert loop.time() - start >= 3 * 0.3
        for _ in range(20):  # the machine may be busy
            if strength(await made.listen(), ANN) > HEARD:
                break
        else:
            raise AssertionError("Ann is not heard any more")
