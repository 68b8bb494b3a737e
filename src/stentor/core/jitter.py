"""The jitter buffer of one speaker: packets in as they come, one decision out for each frame that the mixer needs.

Packets are kept by extended sequence number. Playing starts when `target` is queued. From then on:

* a packet that is missing while its successor is there is made from the successor's forward error correction (`Fec`),
  else concealed; either way its place is consumed;
* with nothing queued the buffer is *starved*: it conceals without consuming, so that a late packet still sounds, and
  after `STARVED_MAX` frames it falls silent and gathers `target` anew;
* a packet that comes after its place asks for one frame of stretch, so that the next of its kind is in time;
* when every packet of a while has waited longer than a frame and a guard, two frames are merged into one. The while is
  short at first and doubles with each starvation: delay grows with the jitter seen and shrinks slowly. `target` is
  three frames of 20 ms, more where the interarrival jitter says so.

A jump of the sequence number is believed when a second packet confirms it (RFC 3550 section A.1): then the source has
started anew. `now` is in seconds, of any monotonic clock; durations are in samples at 48 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from stentor.formats import rtp

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 960
TARGET_SAMPLES = 3 * FRAME_SAMPLES  # gathered before playing starts
TARGET_SAMPLES_MAX = 10 * FRAME_SAMPLES
CAPACITY_SAMPLES = SAMPLE_RATE  # queued at most
STARVED_MAX = 10  # frames concealed without a packet before the buffer falls silent
GUARD_S = 0.005  # what the latest packet of a while must still have waited after a merge
PATIENCE_S = 2.0  # the first while
PATIENCE_S_MAX = 10.0
UNREST_S = 5.0  # starvations closer than this are one
MERGE_EVERY = 10  # frames between two merges
STRETCH_EVERY_S = 1.0
DROPOUT_MAX = 3000  # RFC 3550 section A.1
MISORDER_MAX = 100
JITTER_CHANGE_MAX = 4800  # samples; so that one stall does not look like jitter for long
_SEEN_BITS = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class Play:
    """Decode this packet."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Fec:
    """Make a lost packet of so many samples from the error correction in its successor, which stays queued."""

    successor: bytes
    samples: int


@dataclass(frozen=True, slots=True)
class Conceal:
    """Let the decoder make up so many samples."""

    samples: int


@dataclass(frozen=True, slots=True)
class Merge:
    """Decode both packets and cross-fade them into the length of the longer one."""

    first: bytes
    second: bytes


Decision = Play | Fec | Conceal | Merge | None


@dataclass(slots=True)
class Counters:
    """Packets since the buffer was made, but for `fec` and `plc`: frames made up."""

    received: int = 0
    late: int = 0  # came after their place was played
    lost: int = 0  # places that went by without their packet
    fec: int = 0
    plc: int = 0
    dropped: int = 0  # skipped to catch up
    duplicates: int = 0
    garbage: int = 0  # not Opus, or a jump that nothing confirmed
    restarts: int = 0  # times the source started anew

    @property
    def concealed(self) -> int:
        return self.fec + self.plc


class Reception(NamedTuple):
    """What a receiver report says (RFC 3550 section 6.4.1)."""

    fraction_lost: int  # 1/256, since the last one
    lost: int
    highest: int
    jitter: int  # samples


class _Queued(NamedTuple):
    payload: bytes
    samples: int
    arrived: float


class JitterBuffer:
    """See the module. Any input is survived: what makes no sense is counted and thrown away."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._patience_s = PATIENCE_S
        self._unrest_at = self._stretched_at = float("-inf")
        self._reset()

    def _reset(self) -> None:
        self._queue: dict[int, _Queued] = {}
        self._next = 0  # extended number of the place to be played
        self._highest = self._base = -1
        self._seen = 0  # bit i: `_highest - i` was received
        self._confirming: int | None = None  # sequence number that would confirm a jump
        self._frame_samples = FRAME_SAMPLES
        self._last_transit: int | None = None
        self._jitter = 0.0
        self._received = self._received_before = self._expected_before = 0
        self._playing = False
        self._starved = 0
        self._stretch = False
        self._excess = 0  # frames to be merged away
        self._since_merge = MERGE_EVERY
        self._wait_min = float("inf")
        self._calm_from: float | None = None

    @property
    def depth_samples(self) -> int:
        """From the place to be played to the end of the newest packet."""
        return max(0, self._highest - self._next + 1) * self._frame_samples if self._queue else 0

    @property
    def jitter_s(self) -> float:
        """Interarrival jitter (RFC 3550 section 6.4.1)."""
        return self._jitter / SAMPLE_RATE

    def receive(self, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """Take one packet of the network."""
        samples = rtp.opus_samples(payload)
        if not samples:
            self.counters.garbage += 1
            return
        if self._highest < 0:
            self._begin(sequence)
        number = rtp.extend(sequence, self._highest)
        if not -MISORDER_MAX <= number - self._highest <= DROPOUT_MAX:
            if not self._confirmed(sequence):
                return
            number = self._highest
        self._confirming = None
        if not self._first_sight(number):
            self.counters.duplicates += 1
            return
        self.counters.received += 1
        self._received += 1
        self._measure_jitter(timestamp, now)
        if number < self._next:
            self._late(now)
            return
        self._frame_samples = samples
        self._queue[number] = _Queued(payload, samples, now)
        self._bound()

    def _begin(self, sequence: int) -> None:
        self._highest = self._base = sequence + 0x10000  # room below for what is overtaken
        self._next = self._base - MISORDER_MAX

    def _confirmed(self, sequence: int) -> bool:
        """Whether this packet confirms a jump, so that everything begins with it."""
        if sequence != self._confirming:
            self._confirming = (sequence + 1) & 0xFFFF
            self.counters.garbage += 1
            return False
        self.restart()
        self._begin(sequence)
        return True

    def restart(self) -> None:
        """Forget what is queued: the next packet begins a new source."""
        self.counters.restarts += 1
        self._reset()

    def _first_sight(self, number: int) -> bool:
        """Note `number`; -> whether it is new."""
        ahead = number - self._highest
        if ahead > 0:
            self._seen = (self._seen << ahead | 1) & _SEEN_BITS
            self._highest = number
            return True
        bit = 1 << -ahead
        new = not self._seen & bit
        self._seen |= bit
        return new

    def _measure_jitter(self, timestamp: int, now: float) -> None:
        transit = int(now * SAMPLE_RATE) - timestamp
        if self._last_transit is not None:
            change = abs(rtp.difference(transit, self._last_transit))
            self._jitter += (min(change, JITTER_CHANGE_MAX) - self._jitter) / 16
        self._last_transit = transit

    def _late(self, now: float) -> None:
        self.counters.late += 1
        if self._playing and now - self._stretched_at >= STRETCH_EVERY_S:
            self._stretched_at = now
            self._stretch = True
            self._be_patient(now)

    def _be_patient(self, now: float) -> None:
        if now - self._unrest_at > UNREST_S:
            self._patience_s = min(PATIENCE_S_MAX, 2 * self._patience_s)
        self._unrest_at = now
        self._watch(now)

    def _watch(self, now: float) -> None:
        self._wait_min, self._calm_from, self._excess = float("inf"), now, 0

    def _bound(self) -> None:
        """Skip to the newest `target` when more is queued than can be of use."""
        if not self._playing:
            oldest = self._highest - CAPACITY_SAMPLES // self._frame_samples
            for number in [number for number in self._queue if number <= oldest]:
                del self._queue[number]
                self.counters.dropped += 1
        elif self.depth_samples > CAPACITY_SAMPLES:
            self._skip_to(self._highest - self._target + 1)

    def _skip_to(self, number: int) -> None:
        passed = [queued for queued in self._queue if queued < number]
        self.counters.dropped += len(passed)
        self.counters.lost += max(0, number - self._next - len(passed))
        for queued in passed:
            del self._queue[queued]
        self._next = number

    @property
    def _target(self) -> int:
        """Packets to be queued before playing starts: never fewer than two."""
        samples = min(TARGET_SAMPLES_MAX, max(TARGET_SAMPLES, int(4 * self._jitter)))
        return max(2, -(-samples // self._frame_samples))

    def pull(self, now: float) -> Decision:
        """What is to be played next. None: nothing, the speaker is silent or their packets are being gathered."""
        if not self._playing and not self._start(now):
            return None
        if self._stretch:
            self._stretch = False
            return self._conceal()
        self._forgive()
        packet = self._queue.pop(self._next, None)
        if packet is None:
            return self._missing(now)
        self._next += 1
        self._starved = 0
        return self._play(packet, now)

    def _start(self, now: float) -> bool:
        if not self._queue or self._highest - min(self._queue) + 1 < self._target:
            return False
        first = max(min(self._queue), self._highest - self._target + 1)
        if self._next < self._base:
            self._next = first  # what came before the first packet was never expected
        self._skip_to(first)
        self._playing, self._starved = True, 0
        self._watch(now)
        return True

    def _forgive(self) -> None:
        """What was concealed while starved and never came has had its time."""
        while self._starved and self._queue and self._next not in self._queue:
            self._starved -= 1
            self._next += 1
            self.counters.lost += 1

    def _missing(self, now: float) -> Decision:
        if not self._queue:
            return self._starve(now)
        self._next += 1
        self.counters.lost += 1
        successor = self._queue.get(self._next)
        if successor is not None:
            self.counters.fec += 1
            return Fec(successor.payload, self._frame_samples)
        return self._conceal()

    def _conceal(self) -> Conceal:
        self.counters.plc += 1
        return Conceal(self._frame_samples)

    def _starve(self, now: float) -> Decision:
        self._starved += 1
        if self._starved == 1:
            self._be_patient(now)
        if self._starved > STARVED_MAX:
            self._playing = False
            return None
        return self._conceal()

    def _play(self, packet: _Queued, now: float) -> Decision:
        self._since_merge += 1
        self._judge_depth(now - packet.arrived, packet.samples / SAMPLE_RATE, now)
        if not self._excess or self._since_merge < MERGE_EVERY or self._next not in self._queue:
            return Play(packet.payload)
        second = self._queue.pop(self._next)
        self._next += 1
        self._excess -= 1
        self._since_merge = 0
        self.counters.dropped += 1
        return Merge(packet.payload, second.payload)

    def _judge_depth(self, waited_s: float, frame_s: float, now: float) -> None:
        self._wait_min = min(self._wait_min, waited_s)
        if self._calm_from is None or now - self._calm_from < self._patience_s:
            return
        excess = max(0, int((self._wait_min - GUARD_S) / frame_s))
        self._watch(now)
        self._excess = excess

    def reception(self) -> Reception:
        """The figures of the next receiver report; `fraction_lost` counts from the last call."""
        expected = self._highest - self._base + 1 if self._highest >= 0 else 0
        expected_now, received_now = expected - self._expected_before, self._received - self._received_before
        self._expected_before, self._received_before = expected, self._received
        lost_now = max(0, expected_now - received_now)
        fraction = min(255, (lost_now << 8) // expected_now) if expected_now > 0 else 0
        return Reception(fraction, expected - self._received, max(0, self._highest), int(self._jitter))
