"""Speakers behind bad networks, as JSON: how long a voice stops, what delay is added, how much of the sound is kept.

    python bench/loss.py [--speakers 10] [--seconds 60]

Real packets of libopus (with its error correction) pass an impaired network in simulated time, then `Voice`:
jitter buffer, correction, concealment, decoder. The same packets without impairment are the reference.

* stop: the longest run of frames below a tenth of the reference's level, where the reference is loud;
* delay added: by how much the voice lies later than the reference, by the peak of their correlation, each second;
* score: segmental SNR over frames of 20 ms after that alignment, in dB, each frame held within -10 .. 35 (Hansen and
  Pellom 1998). It punishes made-up sound harder than an ear would, so it tells better from worse and not good from bad.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from stentor.formats import rtp
from stentor.io.opus import Encoder
from stentor.nodes.voice import Voice

TICK_S, FRAME = 0.02, 960
BITRATE_BPS = 40_000  # as browsers are asked to send
BASE_S, JITTER_S = 0.03, 0.04  # a packet takes BASE_S and up to JITTER_S more
SETTLE_S = 10.0  # what the buffer learns at first is not judged
LAG_S_MAX = 0.4
LOUD, STOPPED = 0.02, 0.1
GOALS = {"stop_ms_max": 60, "delay_added_ms_max": 60}


def random_loss(rng: random.Random) -> Iterator[bool]:
    """5 % of all packets, each by itself."""
    while True:
        yield rng.random() < 0.05


def bursty_loss(rng: random.Random) -> Iterator[bool]:
    """2 % of all packets, two and a half in a row on average (Gilbert's model)."""
    lost = False
    while True:
        lost = rng.random() < (0.6 if lost else 0.02 * 0.4 / 0.98)
        yield lost


def no_loss(rng: random.Random) -> Iterator[bool]:
    while True:
        yield False


@dataclass(frozen=True)
class Network:
    loss: Callable[[random.Random], Iterator[bool]]
    jitter_s: float


NETWORKS = {
    "calm": Network(no_loss, 0.001),
    "jitter 40 ms": Network(no_loss, JITTER_S),
    "random 5 %, jitter 40 ms": Network(random_loss, JITTER_S),
    "bursty 2 %, jitter 40 ms": Network(bursty_loss, JITTER_S),
}


def voice(hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Something like speech: harmonics that glide, syllables of a fifth of a second."""
    time_s = np.arange(round(seconds * 48_000)) / 48_000
    phase = 2 * np.pi * np.cumsum(hz * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * time_s))) / 48_000
    sound = sum(np.sin(k * phase) / k for k in range(1, 12))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4.3 * time_s + rng.uniform(0, 6))
    return (0.1 * syllables * sound + 0.003 * rng.standard_normal(len(time_s))).astype(np.float32)


def arrivals(count: int, network: Network, rng: random.Random) -> list[tuple[float, int]]:
    """(when, which) of the packets that come, in the order in which they come."""
    lost = network.loss(rng)
    sent = (index * TICK_S + BASE_S + rng.random() * network.jitter_s for index in range(count))
    return sorted((at, index) for index, at in enumerate(sent) if not next(lost))


def heard(packets: list[bytes], coming: list[tuple[float, int]], phase_s: float) -> tuple[np.ndarray, Voice]:
    """What the stage mixes, from 0 on, with ticks that lie `phase_s` after the sender's."""
    speaker, frames, next_in = Voice(lambda payload, after: None), [], 0
    silence = np.zeros(FRAME, np.float32)
    for tick in range(len(packets)):
        now = tick * TICK_S + phase_s
        while next_in < len(coming) and coming[next_in][0] <= now:
            at, index = coming[next_in]
            speaker.receive(rtp.Packet(111, index & 0xFFFF, index * FRAME, 1, packets[index]), at)
            next_in += 1
        frame = speaker.frame(now)
        frames.append(silence if frame is None else frame)
    return np.concatenate(frames), speaker


def lag_s(reference: np.ndarray, other: np.ndarray) -> float:
    """How much later `other` is, of a second of sound."""
    size = 1 << (len(reference) + len(other)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(other, size) * np.conj(np.fft.rfft(reference, size)), size)
    span = round(LAG_S_MAX * 48_000)
    around = np.concatenate((correlation[-span:], correlation[: span + 1]))
    return (int(np.argmax(around)) - span) / 48_000


def compare(reference: np.ndarray, other: np.ndarray) -> tuple[list[float], list[float]]:
    """-> added delay in ms, and SNR of each frame in dB, second by second."""
    delays, scores = [], []
    for start in range(round(SETTLE_S * 48_000), len(other) - 96_000, 48_000):
        second = other[start : start + 48_000]
        lag = lag_s(reference[start : start + 48_000], second)
        delays.append(1000 * lag)
        shift = start - round(lag * 48_000)
        aligned = reference[shift : shift + 48_000]
        noise = ((second - aligned).reshape(-1, FRAME) ** 2).sum(axis=1) + 1e-9
        signal = (aligned.reshape(-1, FRAME) ** 2).sum(axis=1)
        loud = signal > FRAME * LOUD**2
        scores += list(np.clip(10 * np.log10(signal[loud] / noise[loud] + 1e-9), -10, 35))
    return delays, scores


def longest_stop_ms(other: np.ndarray, level: float) -> float:
    """In steps of 5 ms; the voice has no pauses of its own."""
    after = other[round(SETTLE_S * 48_000) :]
    quiet = np.sqrt((after[: len(after) // 240 * 240].reshape(-1, 240) ** 2).mean(axis=1)) < STOPPED * level
    longest = run = 0
    for is_quiet in quiet:
        run = run + 1 if is_quiet else 0
        longest = max(longest, run)
    return 5.0 * longest


def measure(network: Network, speakers: int, seconds: float) -> dict:
    stops, delays, scores, made_up, depths = [], [], [], 0, []
    for index in range(speakers):
        rng = random.Random(index)
        sound = voice(90 + 12 * index, seconds, np.random.default_rng(index))
        encoder = Encoder(BITRATE_BPS, loss_percent=10)
        packets = [encoder.encode(sound[at : at + FRAME]) for at in range(0, len(sound) - FRAME + 1, FRAME)]
        phase_s = index * TICK_S / speakers
        reference, _ = heard(packets, arrivals(len(packets), NETWORKS["calm"], random.Random(index)), phase_s)
        other, speaker = heard(packets, arrivals(len(packets), network, rng), phase_s)
        level = float(np.sqrt((reference[480_000:] ** 2).mean()))
        one_delays, one_scores = compare(reference, other)
        stops.append(longest_stop_ms(other, level))
        delays += one_delays
        scores += one_scores
        made_up += speaker.jitter.counters.concealed
        depths.append(speaker.jitter.depth_samples / 48)
    return {
        "stop_ms_max": max(stops),
        "delay_added_ms_p50": round(float(np.median(delays)), 1),
        "delay_added_ms_max": round(float(np.percentile(delays, 99)), 1),
        "score_db": round(float(np.mean(scores)), 1),
        "frames_made_up_percent": round(100 * made_up / (speakers * seconds * 50), 2),
        "depth_ms_at_end": round(float(np.median(depths)), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speakers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    found = {name: measure(network, arguments.speakers, arguments.seconds) for name, network in NETWORKS.items()}
    print(json.dumps({"speakers": arguments.speakers, "seconds": arguments.seconds, "goals": GOALS, **found}, indent=2))


if __name__ == "__main__":
    main()
