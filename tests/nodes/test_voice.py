import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.formats import rtp
from stentor.io.opus import Encoder
from stentor.nodes.voice import Voice


def tone(count: int, amplitude: float = 0.3) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 400 * np.arange(count) / 48_000)).astype(np.float32)


def packets(count: int) -> list[rtp.Packet]:
    encoder = Encoder(96_000, loss_percent=0)  # one mode throughout
    frames = tone(count * 960).reshape(-1, 960)
    return [rtp.Packet(96, index, index * 960, 7, encoder.encode(frame)) for index, frame in enumerate(frames)]


def repacked(packet: rtp.Packet, successor: rtp.Packet) -> rtp.Packet:
    """Two frames of 20 ms as one packet of 40 (RFC 6716 section 3.2.4), numbered as the first."""
    first, second = packet.payload, successor.payload
    assert first[0] == second[0]
    joined = bytes([first[0] & 0xFC | 2]) + _frame_length(len(first) - 1) + first[1:] + second[1:]
    return packet._replace(sequence=packet.sequence // 2, payload=joined)


def _frame_length(size: int) -> bytes:
    """RFC 6716 section 3.2.1."""
    return bytes([size]) if size < 252 else bytes([252 + size % 4, (size - 252 - size % 4) // 4])


def test_each_packet_is_told_with_its_place():
    heard = []
    voice = Voice(lambda payload, after: heard.append((payload, after)))
    sent = packets(3)
    for packet in sent:
        voice.receive(packet, 0.0)
    frames = [voice.frame(0.0) for _ in range(3)]
    assert all(frame is not None and len(frame) == 960 for frame in frames)
    assert heard == [(packet.payload, 0) for packet in sent]


def test_packets_of_forty_milliseconds_last_two_ticks():
    heard = []
    voice = Voice(lambda payload, after: heard.append(after))
    sent = packets(40)
    for index, (first, second) in enumerate(zip(sent[::2], sent[1::2], strict=True)):
        voice.receive(repacked(first, second), index * 0.04)
        if index:
            assert len(voice.frame(index * 0.04)) == len(voice.frame(index * 0.04 + 0.02)) == 960
    assert set(heard) == {0}
    assert voice.jitter.counters.concealed == 0


def test_silence_is_entered_and_left_without_a_click():
    voice = Voice(lambda payload, after: None)
    sent = packets(40)
    audio = []
    for packet in sent[:20]:
        voice.receive(packet, packet.sequence * 0.02)
        audio.append(voice.frame(packet.sequence * 0.02))
    audio += [voice.frame(0.4 + index * 0.02) for index in range(20)]
    for packet in sent[20:]:
        voice.receive(packet, 0.4 + packet.sequence * 0.02)
        audio.append(voice.frame(0.4 + packet.sequence * 0.02))
    assert any(frame is None for frame in audio[20:40]) and audio[-1] is not None
    whole = np.concatenate([np.zeros(960, np.float32) if frame is None else frame for frame in audio])
    steepest = 0.3 * 2 * np.pi * 400 / 48_000
    assert np.abs(np.diff(whole)).max() < 4 * steepest


def test_another_source_is_a_fresh_start():
    voice = Voice(lambda payload, after: None)
    for ssrc in (1, 2):
        for packet in packets(5):
            voice.receive(packet._replace(ssrc=ssrc), 0.0)
        assert voice.frame(0.0) is not None
    assert voice.jitter.counters.restarts == 1
    assert voice.jitter.counters.duplicates == voice.jitter.counters.late == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=120), min_size=3, max_size=60), st.integers(0, 0xFFFF))
def test_whatever_is_in_the_packets_a_frame_is_samples_or_silence(payloads, start):
    voice = Voice(lambda payload, after: None)
    for index, payload in enumerate(payloads):
        if index % 5 != 4:
            voice.receive(rtp.Packet(96, (start + index) & 0xFFFF, index * 960, 7, payload), index * 0.02)
        frame = voice.frame(index * 0.02)
        assert frame is None or (frame.shape == (960,) and np.abs(frame).max() <= 1.0)
