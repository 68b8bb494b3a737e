"""One speaker's voice: RTP packets in, a frame of 20 ms each tick out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stentor.core.jitter import Conceal, Decision, Fec, JitterBuffer, Merge, Play
from stentor.core.mix import FRAME_SAMPLES, Samples
from stentor.formats import rtp
from stentor.io.opus import Decoder, OpusError

FADE_SAMPLES = 240  # 5 ms where a voice begins after silence
_FADE_IN: Samples = np.linspace(0.0, 1.0, FADE_SAMPLES, dtype=np.float32)

Heard = Callable[[bytes, int], None]


class Voice:
    """Jitter buffer, decoder, and what of a packet longer than a frame is still to be mixed.

    `heard` is told each packet when it is played, and how many samples after the start of that tick it begins.
    """

    def __init__(self, heard: Heard) -> None:
        self.jitter = JitterBuffer()
        self._decoder = Decoder()
        self._heard = heard
        self._rest: Samples = np.zeros(0, np.float32)
        self._silent = True
        self._source: int | None = None

    def receive(self, packet: rtp.Packet, now: float) -> None:
        """`now` in monotonic seconds."""
        if self._source is not None and packet.ssrc != self._source:
            self.jitter.restart()
        self._source = packet.ssrc
        self.jitter.receive(packet.sequence, packet.timestamp, packet.payload, now)

    def frame(self, now: float) -> Samples | None:
        """The next 960 samples; None: silence."""
        while len(self._rest) < FRAME_SAMPLES:
            decision = self.jitter.pull(now)
            if decision is None:
                return self._fall_silent()
            samples = self._decode(decision)
            np.clip(samples, -1.0, 1.0, out=samples)  # made-up packets decode to millions, which would duck the others
            self._rest = np.concatenate((self._rest, self._resume(samples)))
        frame, self._rest = self._rest[:FRAME_SAMPLES], self._rest[FRAME_SAMPLES:]
        return frame

    def _fall_silent(self) -> Samples | None:
        rest, self._rest = self._rest, self._rest[:0]
        self._silent = True
        if not len(rest):
            return None
        return np.pad(rest * np.linspace(1.0, 0.0, len(rest), dtype=np.float32), (0, FRAME_SAMPLES - len(rest)))

    def _resume(self, samples: Samples) -> Samples:
        if self._silent:
            self._silent = False
            size = min(FADE_SAMPLES, len(samples))
            samples[:size] *= _FADE_IN[:size]
        return samples

    def _decode(self, decision: Decision) -> Samples:
        match decision:
            case Play(payload):
                return self._decode_packet(payload)
            case Merge(first, second):
                return _cross_fade(self._decode_packet(first), self._decode_packet(second))
            case Fec(successor, samples):
                return self._or_concealed(lambda: self._decoder.recover(successor, samples), samples)
            case Conceal(samples):
                return self._decoder.conceal(samples)
        raise AssertionError(decision)

    def _decode_packet(self, payload: bytes) -> Samples:
        self._heard(payload, len(self._rest))
        return self._or_concealed(lambda: self._decoder.decode(payload), rtp.opus_samples(payload))

    def _or_concealed(self, decode: Callable[[], Samples], samples: int) -> Samples:
        """What `decode` makes of a packet, which may have Opus's length and not its contents."""
        try:
            return decode()
        except OpusError:
            return self._decoder.conceal(samples)

    def jitter_ms(self) -> int:
        return int(self.jitter.jitter_s * 1000)


def _cross_fade(first: Samples, second: Samples) -> Samples:
    """The beginning of `first` turning into the end of `second`; as long as the longer one."""
    if len(first) < len(second):
        first = np.pad(first, (0, len(second) - len(first)))
    second = np.pad(second, (len(first) - len(second), 0))
    fade = np.linspace(0.0, 1.0, len(first), dtype=np.float32)
    return first + (second - first) * fade
