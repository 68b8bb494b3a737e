"""Media as a hostile network or a hostile peer makes it: counted and thrown away, or played; never an exception.

The corpus is every shape of packet that RFC 3550 knows, and Opus of every mode and length.
"""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.formats import rtp
from stentor.io.opus import Encoder
from stentor.nodes.voice import Voice

EXTENSION = struct.pack(">HH", 0xBEDE, 1) + bytes([0x10, 0x55, 0, 0])
TONE = (0.3 * np.sin(np.arange(960) / 20)).astype(np.float32)
SPOKEN = [Encoder(bitrate, loss_percent=20).encode(TONE) for bitrate in (12_000, 32_000, 96_000)]
QUEUED_MAX = 48_000 // 120 + 1  # a second of the shortest packets
TOCS = [bytes([config << 3 | code]) + bytes(9) for config in range(32) for code in range(4)]


def header(first: int, sequence: int = 7) -> bytes:
    return struct.pack(">BBHII", first, 96, sequence, sequence * 960, 9)


PACKETS = [
    header(0x80) + SPOKEN[1],
    header(0x80),
    header(0x82) + bytes(8) + SPOKEN[1],
    header(0x90) + EXTENSION + SPOKEN[2],
    header(0xB3) + bytes(12) + EXTENSION + SPOKEN[0] + b"\0\0\3",
    header(0xA0) + b"\xff",
    header(0x40) + SPOKEN[1],
]
CONTROL = [
    rtp.sender_report(1, "name", 1 << 40, 960, 2, 300, rtp.Report(5, 12, 3, 99, 7)),
    rtp.sender_report(1, "n" * 255, 1, 2, 3, 4, None) + rtp.goodbye(1),
    struct.pack(">BBHI", 0x9F, 201, 0xFFFF, 1),
    struct.pack(">BBH", 0x81, 206, 2) + bytes(8),
]


@st.composite
def damaged(draw: st.DrawFn, corpus: list[bytes]) -> bytes:
    """One of the corpus, or two of them, with a few bytes changed and its end anywhere."""
    data = bytearray(draw(st.sampled_from(corpus)) + draw(st.sampled_from([b"", *corpus])))
    for at, byte in draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)):
        data[at % len(data)] = byte
    return bytes(data[: draw(st.integers(0, len(data)))])


@settings(max_examples=300)
@given(damaged(PACKETS + CONTROL))
def test_a_datagram_is_a_packet_a_report_or_a_reason(data: bytes) -> None:
    rtp.is_rtcp(data)
    packet = rtp.parse(data)
    if isinstance(packet, rtp.Packet):
        assert len(packet.payload) <= len(data) - rtp.HEADER_BYTES
        assert 0 <= rtp.opus_samples(packet.payload) <= rtp.OPUS_SAMPLES_MAX
    loss, report = rtp.reported_loss(data, 5), rtp.last_sender_report(data)
    assert loss is None or 0 <= loss < 1
    assert report is None or 0 <= report < 1 << 32


ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 1, 1, 2, 5, 0, -1, -3, 200, 4000, -40_000]),  # to the next sequence number
        st.sampled_from(SPOKEN + TOCS) | damaged(SPOKEN + TOCS),
        st.integers(0, 3),  # ticks until the next arrives
        st.sampled_from([7, 7, 7, 7, 7, 7, 8]),  # SSRC
    ),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(ARRIVALS, st.sampled_from([0, 1, 0x7FFF, 0xFFF0, 0xFFFF]))
def test_lost_late_doubled_and_garbled_packets_play_as_frames_or_silence(arrivals, start: int) -> None:
    voice, now, sequence, timestamp = Voice(lambda payload, after: None), 0.0, start, 0xFFFFFFFF - 4 * 960
    for step, payload, ticks, source in arrivals:
        sequence, timestamp = (sequence + step) & 0xFFFF, (timestamp + 960 * step) & 0xFFFFFFFF
        voice.receive(rtp.Packet(96, sequence, timestamp, source, payload), now)
        for _ in range(ticks):
            frame = voice.frame(now)
            assert frame is None or (frame.shape == (960,) and np.abs(frame).max() <= 1.0)
            now += 0.02
        assert len(voice.jitter._queue) <= QUEUED_MAX
