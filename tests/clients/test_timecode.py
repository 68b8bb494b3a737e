from fractions import Fraction

import av
import numpy as np
import pytest

from stentor.clients import timecode

START_NS = 1_700_000_000_123_456_789


def heard(audio: np.ndarray) -> list[float]:
    """Milliseconds between where each burst was found and where the signal has it."""
    errors = []
    for burst in timecode.detect(audio):
        at_ns = START_NS + round(burst.at * 1e9 / 48_000)
        errors.append((at_ns - timecode.spoken_ns(burst.k, at_ns + 1_000_000_000)) / 1e6)
    return errors


def through(codec: str, bitrate: int, audio: np.ndarray) -> np.ndarray:
    """Encode and decode; the decoder's delay is left in."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.bit_rate = 48_000, "mono", bitrate
    encoder.format = "flt" if codec == "libopus" else "fltp"
    encoder.time_base = Fraction(1, 48_000)
    encoder.open()
    frame = av.AudioFrame.from_ndarray(audio[None], encoder.format.name, "mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, encoder.time_base
    packets = []
    fifo = av.AudioFifo()
    fifo.write(frame)
    for piece in fifo.read_many(encoder.frame_size, partial=False):
        packets += encoder.encode(piece)
    decoder = av.CodecContext.create({"libopus": "libopus", "aac": "aac", "libmp3lame": "mp3"}[codec], "r")
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    blocks = [out.to_ndarray() for packet in packets for out in decoder.decode(packet)]
    joined = np.concatenate([block.reshape(-1) for block in blocks])
    return joined.astype(np.float32) / (32_768 if joined.dtype == np.int16 else 1)


def test_codes_and_places_are_found():
    errors = heard(timecode.signal(START_NS, 48_000 * 10))
    assert len(errors) == 50
    assert np.abs(errors).max() < 0.5


def test_pieces_join():
    whole = timecode.signal(START_NS, 48_000)
    pieces = [timecode.signal(START_NS + i * 20_000_000, 960) for i in range(50)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=0.02)


@pytest.mark.parametrize(("codec", "bitrate"), [("libopus", 24_000), ("aac", 32_000), ("libmp3lame", 32_000)])
def test_codes_survive_codecs(codec, bitrate):
    errors = heard(through(codec, bitrate, timecode.signal(START_NS, 48_000 * 8)))
    assert len(errors) >= 38
    late = np.median(errors)
    assert -5 < late < 50  # the codec's own delay
    assert np.abs(np.array(errors) - late).max() < 3


def test_noise_is_no_burst():
    rng = np.random.default_rng(1)
    assert timecode.detect(np.zeros(48_000, np.float32)) == []
    assert timecode.detect((0.1 * rng.standard_normal(48_000)).astype(np.float32)) == []


def test_a_burst_cut_short_is_passed_over():
    audio = timecode.signal(0, 48_000)
    assert [burst.k for burst in timecode.detect(audio[700:])] == [1, 2, 3, 4]


def test_lateness_is_within_the_cycle():
    k = START_NS // timecode.PERIOD_NS + 1
    spoken = k * timecode.PERIOD_NS
    for late_ms in (0, 40, 710, 6_300):
        assert timecode.lateness_ms(k % timecode.CODES, spoken + late_ms * 1_000_000) == late_ms


@pytest.mark.parametrize("late_ms", [0, 150, 5_000, 6_500, 12_340, 60_000])
@pytest.mark.parametrize("off_ms", [-3_000, -90, 0, 90, 3_000])
def test_whoever_knows_about_how_late_they_are_is_told_exactly_though_it_is_more_than_a_period(late_ms, off_ms):
    k = START_NS // timecode.PERIOD_NS
    heard_ns = k * timecode.PERIOD_NS + late_ms * 1_000_000
    about_ns = heard_ns - (late_ms + off_ms) * 1_000_000
    assert timecode.spoken_near_ns(k % timecode.CODES, about_ns) == k * timecode.PERIOD_NS
