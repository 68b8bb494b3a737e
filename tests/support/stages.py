"""A stage of one test: WHIP over HTTP, media over one UDP port, ticks on an absolute clock, all on 127.0.0.1."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext

import numpy as np
import uvicorn
from msgspec.structs import replace

from stentor.clients.speak import FRAME_SAMPLES, Summary, speak
from stentor.io.webrtc import Port
from stentor.io.whip import PATH
from stentor.model.board import Seat, Show
from stentor.nodes.calls import Calls
from stentor.nodes.stage import Stage
from stentor.settings import Settings
from support.ports import free_ports

PATIENCE_S = 15.0


def strength(audio: np.ndarray, hz: float) -> float:
    """Amplitude of one frequency in `audio`."""
    time_s = np.arange(len(audio)) / 48_000
    window = np.hanning(len(audio))
    return float(2 * abs(np.sum(audio * window * np.exp(-2j * np.pi * hz * time_s))) / window.sum())


class Tone:
    """A source that never ends."""

    def __init__(self, hz: float, amplitude: float = 0.2) -> None:
        self._hz, self._amplitude, self._at = hz, amplitude, 0

    async def frame(self, start_ns: int) -> np.ndarray:
        index = self._at + np.arange(FRAME_SAMPLES)
        self._at += FRAME_SAMPLES
        return (self._amplitude * np.sin(2 * np.pi * self._hz * index / 48_000)).astype(np.float32)


class Voice:
    """A speaker of the test and what they hear."""

    def __init__(self, url: str, token: str, source) -> None:
        self._heard: list[np.ndarray] = []
        self._stop = asyncio.Event()
        self._task = asyncio.ensure_future(speak(url, token, source, hear=self._heard.append, stop=self._stop))

    async def hears(self, seconds: float = 0.4) -> np.ndarray:
        """The next so many seconds of the return feed."""
        count = len(self._heard) + round(seconds * 50)
        await until(lambda: len(self._heard) >= count)
        return np.concatenate(self._heard[count - round(seconds * 50) : count])

    async def stop(self) -> Summary:
        self._stop.set()
        return await self._task


class Studio:
    """A `Stage` that is ticking."""

    def __init__(self, settings: Settings, stems=None) -> None:
        self.stage = Stage(settings, stems)
        self.calls = Calls(settings, self.stage)
        self.url = f"http://{settings.bind}:{settings.studio_port}{PATH}"
        self.program: list[np.ndarray] = []
        self.busiest_s = 0.0
        self._show = Show("show", "A show", 0, 0)
        self._voices: list[Voice] = []

    def seat(self, name: str, **wishes: bool) -> str:
        """Make a seat, or change one; -> its token."""
        token = f"token-of-{name}"
        seats = {seat.id: seat for seat in self._show.seats}
        fresh = Seat(name, name.title(), hashlib.sha256(token.encode()).hexdigest())
        seats[name] = replace(seats.get(name, fresh), **wishes)
        self._show = replace(self._show, seats=tuple(seats.values()))
        self.stage.apply(self._show)
        return token

    async def join(self, name: str, source, **wishes: bool) -> Voice:
        """Let somebody speak; returns when they are heard on the stage."""
        voice = Voice(self.url, self.seat(name, **wishes), source)
        self._voices.append(voice)
        await until(lambda: name in self.present())
        return voice

    def present(self) -> set[str]:
        return {speaker.seat for speaker in self.stage.speakers()}

    async def listen(self, seconds: float = 0.4) -> np.ndarray:
        """The next so many seconds of program."""
        count = round(seconds * 50)
        start = len(self.program)
        await until(lambda: len(self.program) >= start + count)
        return np.concatenate(self.program[start : start + count])

    async def settle(self, seconds: float = 0.6) -> None:
        await self.listen(seconds)

    async def _tick(self) -> None:
        start, ticks = time.monotonic(), 0
        while True:
            ticks += 1
            await asyncio.sleep(max(0.0, start + ticks * 0.02 - time.monotonic()))
            began = time.monotonic()
            self.program.append(self.stage.tick())
            self.busiest_s = max(self.busiest_s, time.monotonic() - began)

    async def _hush(self) -> None:
        await asyncio.gather(*(voice.stop() for voice in self._voices), return_exceptions=True)


@asynccontextmanager
async def studio(stems=None, **changes) -> AsyncIterator[Studio]:
    settings = Settings(**{"studio_port": free_ports(1)[0], **changes})
    made = Studio(settings, stems)
    await made.stage.start()
    await made.calls.start()
    ticking = asyncio.ensure_future(made._tick())
    try:
        async with serving(made.calls.app(), settings.studio_port, settings.bind):
            yield made
            await made._hush()
    finally:
        ticking.cancel()
        await made.stage.stop()
        made.calls.stop()


@asynccontextmanager
async def serving(app, port: int, host: str = "127.0.0.1") -> AsyncIterator[None]:
    """An application, answering."""
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_config=None, lifespan="off"))
    server.capture_signals = nullcontext  # a test's signals are pytest's
    task = asyncio.ensure_future(server.serve())
    try:
        await until(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it; fails after 15 s."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of tests
            await asyncio.sleep(0.01)


def impaired_port(loss: float, *, late: float = 0.0, double: float = 0.0, seed: int = 1) -> Callable[..., Port]:
    """A maker of ports whose media packets are lost, come 30 ms late or twice, each with its probability."""
    rng = random.Random(seed)

    def make(*arguments) -> Port:
        port = Port(*arguments)
        for lane in port._lanes:
            lane.send = _impaired(lane.send, rng, loss, late, double)
        return port

    return make


def _impaired(send, rng: random.Random, loss: float, late: float, double: float):
    def impaired(data: bytes, address) -> None:
        media = data[0] > 127
        if media and rng.random() < loss:
            return
        if media and rng.random() < late:
            asyncio.get_running_loop().call_later(0.03, send, data, address)
            return
        send(data, address)
        if media and rng.random() < double:
            send(data, address)

    return impaired
