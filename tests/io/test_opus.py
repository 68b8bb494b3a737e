import numpy as np
import pytest

from stentor.formats import rtp
from stentor.io.opus import FRAME_SAMPLES, Decoder, Encoder, OpusError


def speech(seconds: float) -> np.ndarray:
    """Something voiced: a gliding buzz under a syllable-like envelope, the same every time."""
    time = np.arange(int(seconds * 48_000)) / 48_000
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.7 * time)) / 48_000
    buzz = sum(np.sin(k * phase) / k for k in range(1, 12))
    return (0.15 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))).astype(np.float32)


def frames(audio: np.ndarray) -> list[np.ndarray]:
    return list(audio[: len(audio) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES))


def ratio_db(wanted: np.ndarray, got: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(wanted**2) / np.mean((wanted - got) ** 2)))


@pytest.fixture(scope="module")
def packets() -> list[bytes]:
    encoder = Encoder(32_000, loss_percent=10)
    return [encoder.encode(frame) for frame in frames(speech(4.0))]


def decoded(packets: list[bytes], lost: set[int], repair) -> np.ndarray:
    decoder = Decoder()
    return np.concatenate(
        [repair(decoder, index) if index in lost else decoder.decode(packet) for index, packet in enumerate(packets)]
    )


def test_packets_are_twenty_milliseconds_at_the_bitrate(packets):
    assert {rtp.opus_samples(packet) for packet in packets} == {FRAME_SAMPLES}
    bitrate = sum(map(len, packets)) * 8 / (len(packets) * 0.02)
    assert 20_000 < bitrate < 40_000


def test_voice_comes_back():
    encoder, decoder, audio = Encoder(64_000, loss_percent=0), Decoder(), speech(2.0)
    back = np.concatenate([decoder.decode(encoder.encode(frame)) for frame in frames(audio)])
    lag = int(np.argmax(np.correlate(back[9600:19200], audio[9600:18600], "valid")))
    assert 250 <= lag <= 400  # the encoder's look-ahead
    assert np.corrcoef(audio[9600:28800], back[9600 + lag : 28800 + lag])[0, 1] > 0.9


def test_error_correction_beats_concealment_beats_silence(packets):
    """Every tenth packet lost; compared with the same decoder without loss."""
    lost = set(range(5, len(packets) - 1, 10))
    clean = decoded(packets, set(), None)

    def silence(decoder: Decoder, index: int) -> np.ndarray:
        return np.zeros(FRAME_SAMPLES, np.float32)

    def conceal(decoder: Decoder, index: int) -> np.ndarray:
        return decoder.conceal(FRAME_SAMPLES)

    def recover(decoder: Decoder, index: int) -> np.ndarray:
        return decoder.recover(packets[index + 1], FRAME_SAMPLES)

    scores = [ratio_db(clean, decoded(packets, lost, repair)) for repair in (silence, conceal, recover)]
    assert scores[0] < scores[1] < scores[2]


def test_what_is_not_opus_is_refused():
    decoder = Decoder()
    for packet in (b"", b"\xff", b"\xff\xff" + bytes(10)):
        with pytest.raises(OpusError):
            decoder.decode(packet)
    with pytest.raises(OpusError, match="960"):
        Encoder(32_000).encode(np.zeros(100, np.float32))


def test_samples_are_the_callers_own(packets):
    decoder = Decoder()
    first = decoder.decode(packets[0])
    kept = first.copy()
    decoder.decode(packets[1])
    np.testing.assert_array_equal(first, kept)
