"""The stage under load: CPU of a core and microphone-to-mixer delay for N speakers over WebRTC on loopback, as JSON.

    python bench/stage.py [--speakers 10] [--seconds 20]

Speakers run in a process of their own, on the other core, and send a buzzing voice with time-coded bursts, each speaker
at another phase against the ticks. The delay of a burst is from the instant at which its first sample was spoken to the
tick that had it in the mix: it holds the packet's own 20 ms, the network, the jitter buffer and the wait for the tick.
CPU is the stage's process alone, WHIP and handshakes left out.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import socket
import sys
import time

import numpy as np
import structlog
import uvicorn

from stentor.clients import timecode
from stentor.clients.speak import FRAME_SAMPLES, speak
from stentor.io.whip import PATH
from stentor.model.board import Seat, Show
from stentor.nodes.calls import Calls
from stentor.nodes.stage import Stage
from stentor.settings import Settings
from support.processes import CROWD_CORE, SERVER_CORE, alone

WARM_UP_S = 12.0  # until what joining did to the jitter buffers is gone
FORK_S = 0.2  # making the client process holds up the loop
PLAUSIBLE_MS_MAX = 1000  # a delay beyond is a burst whose code was misread
TICK_S = 0.02


class BuzzingVoice:
    """Time code, `early_ns` early, over a voiced sound, so that neither encoders nor limiter are idle."""

    def __init__(self, hz: float, early_ns: int) -> None:
        self._hz, self._early_ns, self._at = hz, early_ns, 0

    async def frame(self, start_ns: int) -> np.ndarray:
        time_s = (self._at + np.arange(FRAME_SAMPLES)) / 48_000
        self._at += FRAME_SAMPLES
        buzz = sum(np.sin(2 * np.pi * k * self._hz * time_s) / k for k in range(1, 9))
        return (0.02 * buzz + timecode.signal(start_ns + self._early_ns, FRAME_SAMPLES)).astype(np.float32)


def early_ns(index: int, count: int) -> int:
    """Ticks and bursts go by one clock: without this, all delays of a run would be the same but for whole ticks."""
    return round(index * TICK_S * 1e9 / count)


async def speakers(url: str, count: int) -> None:
    """The client process: speaks until it is killed, everyone at a phase of their own."""

    async def one(index: int) -> None:
        await asyncio.sleep(index * 0.1 + index * TICK_S / count)
        await speak(url, f"token-{index}", BuzzingVoice(100 + 10 * index, early_ns(index, count)))

    async with asyncio.TaskGroup() as tasks:
        for index in range(count):
            tasks.create_task(one(index))


class Measured:
    """Ticks of a stage, with every speaker's frames as they went into the mix."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.tick_wall_ns: list[int] = []
        self.tick_s: list[float] = []
        self.late_s: list[float] = []
        self.frames: dict[str, list[np.ndarray]] = {}

    def listen(self) -> None:
        """Keep the frames of all who are connected now."""
        for connected in sorted(self._stage._by_session.values(), key=lambda one: int(one.seat.id[1:])):
            self.frames[connected.seat.id] = kept = []
            voice = connected.link.voice
            voice.frame = _keeping(voice.frame, kept)

    async def run(self) -> None:
        start, ticks = time.monotonic(), 0
        while True:
            ticks += 1
            await asyncio.sleep(max(0.0, start + ticks * TICK_S - time.monotonic()))
            began = time.monotonic()
            self.late_s.append(began - start - ticks * TICK_S)
            self.tick_wall_ns.append(time.time_ns())
            self._stage.tick()
            self.tick_s.append(time.monotonic() - began)

    def delays_ms(self, first_tick: int) -> list[float]:
        delays = []
        for index, frames in enumerate(self.frames.values()):
            early = early_ns(index, len(self.frames))
            for burst in timecode.detect(np.concatenate(frames)):
                wall_ns = self.tick_wall_ns[first_tick + max(0, burst.at) // FRAME_SAMPLES]
                delays.append(timecode.lateness_ms(burst.k, wall_ns + early))
        return delays


def _keeping(frame, kept: list[np.ndarray]):
    silence = np.zeros(FRAME_SAMPLES, np.float32)

    def keeping(now: float) -> np.ndarray | None:
        samples = frame(now)
        kept.append(silence if samples is None else samples)
        return samples

    return keeping


async def measure(count: int, seconds: float) -> dict:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(studio_port=port, speakers_max=count)
    stage = Stage(settings)
    await stage.start()
    calls = Calls(settings, stage)
    await calls.start()
    hashes = [hashlib.sha256(f"token-{index}".encode()).hexdigest() for index in range(count)]
    seats = tuple(Seat(f"s{index}", f"S{index}", digest, on_air=True) for index, digest in enumerate(hashes))
    stage.apply(Show("bench", "Bench", 0, 0, seats=seats))
    server = uvicorn.Server(uvicorn.Config(calls.app(), port=port, log_config=None, lifespan="off"))
    measured = Measured(stage)
    async with asyncio.TaskGroup() as tasks:
        serving, ticking = tasks.create_task(server.serve()), tasks.create_task(measured.run())
        arguments = ["--url", f"http://127.0.0.1:{port}{PATH}", "--speakers", str(count)]
        client = await asyncio.create_subprocess_exec(sys.executable, __file__, *arguments)
        try:
            result = await _sample(stage, measured, count, seconds)
        finally:
            client.kill()
            await client.wait()
            ticking.cancel()
            await stage.stop()
            calls.stop()
            server.should_exit = True
            await serving
    return result


async def _sample(stage: Stage, measured: Measured, count: int, seconds: float) -> dict:
    await asyncio.sleep(FORK_S)
    joining = len(measured.late_s)
    async with asyncio.timeout(60):
        while len(stage.speakers()) < count:  # noqa: ASYNC110 - once, at the start
            await asyncio.sleep(0.1)
    joining_late_s = max(measured.late_s[joining:])
    await asyncio.sleep(WARM_UP_S)
    measured.listen()
    first, cpu, wall = len(measured.tick_s), time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    cpu_share = (time.process_time() - cpu) / (time.monotonic() - wall)
    found = measured.delays_ms(first)
    delays = [delay for delay in found if delay < PLAUSIBLE_MS_MAX]
    return {
        "speakers": count,
        "seconds": seconds,
        "cpu_percent_of_a_core": round(100 * cpu_share, 1),
        "tick_ms": _spread([1000 * value for value in measured.tick_s[first:]]),
        "tick_late_ms": _spread([1000 * value for value in measured.late_s[first:]]),
        "tick_late_ms_max_while_joining": round(1000 * joining_late_s, 1),
        "microphone_to_mixer_ms": _spread(delays),
        "bursts": len(delays),
        "bursts_misread": len(found) - len(delays),
        "concealed": sum(speaker.concealed for speaker in stage.speakers()),
        "lost": sum(speaker.lost for speaker in stage.speakers()),
    }


def _spread(values: list[float]) -> dict[str, float]:
    points = {"p50": 50, "p95": 95, "max": 100}
    return {name: round(float(np.percentile(values, point)), 2) for name, point in points.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speakers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if arguments.url:
        os.sched_setaffinity(0, {CROWD_CORE})
        asyncio.run(speakers(arguments.url, arguments.speakers))
        return
    with alone():
        os.sched_setaffinity(0, {SERVER_CORE})
        print(json.dumps(asyncio.run(measure(arguments.speakers, arguments.seconds)), indent=2))


if __name__ == "__main__":
    main()
