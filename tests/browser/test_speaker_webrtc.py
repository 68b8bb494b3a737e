"""A speaker in Chromium, with a microphone that plays a file, on a page of the test's own."""

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import async_playwright
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stentor import web
from support.ports import free_ports
from support.stages import Studio, Tone, serving, strength, studio, until

pytestmark = pytest.mark.browser

MICROPHONE_HZ, COMPANY_HZ = 700.0, 1100.0
FLAGS = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
PAGE = """<!doctype html><title>speaker</title><script>
const plain = {echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1};
async function speak(url, token) {
  const stream = await navigator.mediaDevices.getUserMedia({audio: plain});
  const pc = window.pc = new RTCPeerConnection();
  pc.addTrack(stream.getAudioTracks()[0], stream);
  pc.ontrack = ({track}) => listen(new MediaStream([track]));
  await pc.setLocalDescription();
  await new Promise(done => {
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
    if (pc.iceGatheringState === "complete") done();
  });
  const headers = {"Content-Type": "application/sdp", "Authorization": `Bearer ${token}`};
  const response = await fetch(url, {method: "POST", headers, body: pc.localDescription.sdp});
  window.session = new URL(response.headers.get("Location"), url).href;
  await pc.setRemoteDescription({type: "answer", sdp: await response.text()});
}
function listen(stream) {
  const audio = new Audio(); audio.muted = true; audio.srcObject = stream; audio.play();
  const context = new AudioContext({sampleRate: 48000}), analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(stream).connect(analyser);
  window.level = hz => {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    return bins[Math.round(hz * analyser.fftSize / 48000)];
  };
}
const remoteLoss = async () => {
  for (const report of (await pc.getStats()).values())
    if (report.type === "remote-inbound-rtp") return report.packetsLost;
  return null;
};
const hangUp = () => fetch(session, {method: "DELETE"}).then(response => response.status);
</script>"""


def write_microphone(path: Path) -> None:
    """Ten seconds that loop without a seam."""
    tone = 0.3 * np.sin(2 * np.pi * MICROPHONE_HZ * np.arange(480_000) / 48_000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((tone * 32_767).astype("<i2").tobytes())


ANEW = """<!doctype html><title>speaker</title><audio></audio><script type="module">
import { Voice } from "/shared/voice.js";
window.start = async (url, token) => {
  window.voice = new Voice(url, token, document.querySelector("audio"));
  window.states = [];
  voice.addEventListener("change", () => states.push(voice.state));
  await voice.open("", false);
  voice.join();
};
</script>"""


def test_a_changed_network_is_noticed_and_the_voice_comes_back(tmp_path):
    write_microphone(tmp_path / "microphone.wav")
    asyncio.run(asyncio.wait_for(_anew(tmp_path / "microphone.wav"), 90))


def cut(made: Studio) -> None:
    """Nothing comes from or goes to those who are connected any more: as if the guest had left their network.

    By connection, not by address: within one, the browser would find its way by another address of this machine.
    """
    (lane,) = made.calls._port._lanes
    for link in lane._by_username.values():
        link.sendto = link.owner.receive_media = link.protocol.datagram_received = lambda data, address=None: None


async def _anew(microphone: Path) -> None:
    [page_port] = free_ports(1)
    shared = Mount("/shared", StaticFiles(directory=Path(web.__file__).parent / "shared"))
    pages = Starlette(routes=[Route("/", lambda request: HTMLResponse(ANEW)), shared])
    async with studio() as made, serving(pages, page_port), async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*FLAGS, f"--use-file-for-fake-audio-capture={microphone}"]
        )
        try:
            page = await browser.new_page()
            await page.goto(f"http://127.0.0.1:{page_port}/")
            await page.evaluate("([url, token]) => start(url, token)", [made.url, made.seat("bob", on_air=True)])
            await until(lambda: "bob" in made.present())
            await page.wait_for_function("voice.state === 'joined'")
            (before,) = made.stage._by_session
            cut(made)
            await until(lambda: before not in made.stage._by_session and "bob" in made.present())
            await made.settle(1.0)
            assert strength(await made.listen(), MICROPHONE_HZ) > 0.05
            await page.wait_for_function("voice.state === 'joined'")
            assert await page.evaluate("states.includes('waiting')")
        finally:
            await browser.close()


def test_chromium_speaks_hears_and_hangs_up(tmp_path):
    write_microphone(tmp_path / "microphone.wav")
    asyncio.run(asyncio.wait_for(_conversation(tmp_path / "microphone.wav"), 90))


async def _conversation(microphone: Path) -> None:
    [page_port] = free_ports(1)
    pages = Starlette(routes=[Route("/", lambda request: HTMLResponse(PAGE))])
    async with studio() as made, serving(pages, page_port), async_playwright() as driver:
        await made.join("ann", Tone(COMPANY_HZ), on_air=True)
        browser = await driver.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[*FLAGS, f"--use-file-for-fake-audio-capture={microphone}"],
            ignore_default_args=["--mute-audio"],
        )
        try:
            page = await browser.new_page()
            await page.goto(f"http://127.0.0.1:{page_port}/")
            await page.evaluate("([url, token]) => speak(url, token)", [made.url, made.seat("bob", on_air=True)])
            await until(lambda: "bob" in made.present())
            await made.settle(1.0)
            program = await made.listen()
            assert strength(program, MICROPHONE_HZ) > 0.1 and strength(program, COMPANY_HZ) > 0.1
            await page.wait_for_function(f"level({COMPANY_HZ}) > -40 && level({MICROPHONE_HZ}) < -70")
            await page.wait_for_function("async () => await remoteLoss() !== null")  # our receiver reports arrive
            assert await page.evaluate("hangUp()") == 200
            assert made.present() == {"ann"}
            await page.wait_for_function("['closed', 'failed', 'disconnected'].includes(pc.connectionState)")
        finally:
            await browser.close()
