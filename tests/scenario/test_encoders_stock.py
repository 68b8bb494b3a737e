"""Senders that people have already: FFmpeg over WHIP, GStreamer (libshout), liquidsoap, butt; refused and killed."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from pathlib import Path

import av
import pytest

from support import players_whip
from support.certs import certificate
from support.players_browsers import screen, sound
from support.players_encoders import HZ, Encoders, encoders, scenario
from support.ports import free_ports
from support.stages import strength, until

HEARD = 0.08
LOOK_S = 0.2
LISTENS_MAX = 120  # of 0.4 s: liquidsoap takes seconds to begin
WHIP = Path(players_whip.__file__)

LIQUIDSOAP = """
set("init.allow_root", true)
output.icecast(%mp3(bitrate=128), host="127.0.0.1", port={port}, password="{token}", mount="live", sine({hz}))
"""
BUTT = """
[main]
server = live
num_of_srv = 1
srv_ent = live
num_of_icy = 0
check_for_update = 0

[audio]
device = default
codec = {codec}
samplerate = 48000
channel = 2
bitrate = 128

[live]
address = 127.0.0.1
port = {port}
password = {token}
type = 1
tls = 0
mount = live
usr = source
"""
PULSE = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"  # asoundrc: what butt takes for the sound card
SHOUT = (
    "audiotestsrc is-live=true freq={hz} volume=0.2 ! audioconvert ! {encoding} ! shout2send ip=127.0.0.1 port={port}"
)


def needs(program: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed (apt install {package})")


async def heard_from_desk(held: Encoders) -> None:
    """On air, and before long in the program."""
    held.made.seat("desk", on_air=True)
    loudest = 0.0
    for _ in range(LISTENS_MAX):
        loudest = max(loudest, strength(await held.made.listen(), HZ))
        if loudest > HEARD:
            return
    pytest.fail(f"not heard: {loudest}; present: {held.made.present()}")


@pytest.mark.skipif("whip" not in av.formats_available, reason="this build of PyAV has no WHIP")
@scenario
async def test_ffmpeg_by_whip(tmp_path):
    cert_and_key = map(str, certificate(tmp_path))
    async with encoders() as held:
        rest = (*cert_and_key, str(HZ))
        argv = (sys.executable, str(WHIP), held.made.url)
        speaker = await held.start(*argv, held.made.seat("desk"), *rest)
        await heard_from_desk(held)
        speaker.send_signal(signal.SIGKILL)
        await until(lambda: not held.made.present())
        stranger = await held.start(*argv, "no-such-token", *rest)
        assert await stranger.wait() and b"401" in await stranger.stderr.read()


@needs("gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-plugins-good")
@pytest.mark.parametrize("encoding", ["lamemp3enc", "opusenc ! oggmux max-delay=200000000"])
@scenario
async def test_gstreamer_by_libshout(encoding):
    async with encoders() as held:
        line = SHOUT.format(hz=HZ, encoding=encoding, port=held.port)
        await held.start("gst-launch-1.0", *line.split(), "mount=/live", f"password={held.made.seat('desk')}")
        await heard_from_desk(held)


@needs("liquidsoap", "liquidsoap")
@scenario
async def test_liquidsoap(tmp_path):
    async with encoders() as held:
        script = tmp_path / "speak.liq"
        token = held.made.seat("desk")
        script.write_text(LIQUIDSOAP.format(port=held.port, token=token, hz=HZ))
        await held.start("liquidsoap", str(script))
        await heard_from_desk(held)


@needs("butt", "butt")
@needs("Xvfb", "xvfb")
@needs("pulseaudio", "pulseaudio")
@pytest.mark.parametrize("codec", ["mp3", "opus"])
@scenario
async def test_butt_by_its_remote_control(tmp_path, codec):
    """Its sound card is PulseAudio, where a tone sounds; it connects, disconnects and ends as its own command says."""
    with screen(tmp_path) as display, sound(tmp_path, f"module-sine-source frequency={HZ:.0f}") as pulse:
        async with encoders() as held:
            control = str(free_ports(1)[0])
            (tmp_path / "buttrc").write_text(BUTT.format(port=held.port, token=held.made.seat("desk"), codec=codec))
            (tmp_path / ".asoundrc").write_text(PULSE)
            environ = {"DISPLAY": display, "PULSE_SERVER": pulse, "HOME": str(tmp_path)}
            butt = await held.start("butt", "-c", str(tmp_path / "buttrc"), "-p", control, **environ)

            async def order(*options: str) -> int:
                asked = await held.start("butt", *options, "-p", control, **environ)
                return await asked.wait()

            while await order("-s", "live"):
                assert butt.returncode is None, await butt.stderr.read()
                await asyncio.sleep(LOOK_S)
            await heard_from_desk(held)
            assert await order("-d") == 0
            await until(lambda: not held.made.present())
            assert await order("-q") == 0
            await butt.wait()


@needs("ffmpeg", "ffmpeg")
@scenario
async def test_ffmpeg_says_why_it_was_refused():
    async with encoders() as held:
        url = held.url("desk")
        refused = {url.replace("token-of-desk", "wrong"): b"401", held.url("gone"): b"403"}
        held.made.seat("gone", removed=True)
        for url, status in refused.items():
            encoder = await held.ffmpeg(url, "mp3")
            assert await encoder.wait() and status in await encoder.stderr.read()
        wrong = await held.ffmpeg(held.url("desk"), "mp3", content_type="video/mp4")
        assert await wrong.wait() and b"4XX" in await wrong.stderr.read()  # as it says 415


@needs("ffmpeg", "ffmpeg")
@scenario
async def test_an_encoder_that_was_killed_takes_its_seat_again_at_once():
    async with encoders() as held:
        first = await held.ffmpeg(held.url("desk"), "mp3")
        await heard_from_desk(held)
        first.kill()
        await until(lambda: not held.made.present())
        await held.ffmpeg(held.url("desk"), "opus")
        await heard_from_desk(held)
