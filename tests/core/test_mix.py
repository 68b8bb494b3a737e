import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.core.mix import CEILING, FRAME_SAMPLES, Limiter, Mixer, dbfs

TIME = np.arange(FRAME_SAMPLES) / 48_000


def tone(hz: int, amplitude: float = 0.1) -> np.ndarray:
    """A whole number of periods a frame for multiples of 50 Hz, so frames join without a step."""
    return (amplitude * np.sin(2 * np.pi * hz * TIME)).astype(np.float32)


def mixer(**on_air: bool) -> Mixer:
    made = Mixer()
    for key, up in on_air.items():
        made.add(key)
        made.set_on_air(key, up)
    return made


def settled(made: Mixer, frames: dict) -> object:
    made.mix(frames)
    return made.mix(frames)


def test_everybody_hears_the_program_without_themselves():
    a, b, c = tone(400), tone(600), tone(800)
    mix = settled(mixer(a=True, b=True, c=False), {"a": a, "b": b, "c": c})
    np.testing.assert_allclose(mix.program, a + b, atol=1e-6)
    np.testing.assert_allclose(mix.feeds["a"], b, atol=1e-6)
    np.testing.assert_allclose(mix.feeds["b"], a, atol=1e-6)
    np.testing.assert_allclose(mix.feeds["c"], a + b, atol=1e-6)  # backstage hears, and is not heard


def test_nobody_is_silence():
    mix = Mixer().mix({})
    assert not mix.program.any() and mix.feeds == {}


def test_a_speaker_without_a_frame_is_silent():
    mix = settled(mixer(a=True, b=True), {"a": tone(400), "b": None})
    np.testing.assert_allclose(mix.program, tone(400), atol=1e-6)


def test_frames_of_strangers_are_ignored():
    assert not settled(mixer(a=True), {"b": tone(400)}).program.any()


def test_going_on_air_and_off_is_faded_over_one_tick():
    made, voice = mixer(a=False), np.full(FRAME_SAMPLES, 0.5, np.float32)
    frames = {"a": voice}
    audio = [made.mix(frames).program]
    for up in (True, False):
        made.set_on_air("a", up)
        audio += [made.mix(frames).program, made.mix(frames).program]
    steps = np.abs(np.diff(np.concatenate(audio)))
    assert steps.max() < 0.001
    np.testing.assert_allclose(audio[2], voice)
    assert not audio[4].any() and made.silent("a")


def test_a_loud_sum_stays_below_the_ceiling():
    frames = {key: tone(500, 0.9) for key in "abcd"}
    made = mixer(a=True, b=True, c=True, d=True)
    settled(made, frames)
    mix = made.mix(frames)
    assert np.abs(mix.program).max() <= CEILING + 1e-3
    assert all(np.abs(feed).max() <= CEILING + 1e-3 for feed in mix.feeds.values())


def test_levels_are_peaks_since_the_last_look():
    made = mixer(a=True, b=False)
    settled(made, {"a": tone(500, 0.5), "b": tone(500, 0.25)})
    levels = made.take_levels()
    assert levels["a"] == pytest.approx(-6.02, abs=0.05)
    assert levels["b"] == pytest.approx(-12.04, abs=0.05)  # a microphone check backstage shows
    assert levels["program"] == pytest.approx(-6.02, abs=0.05)
    assert made.take_levels() == {"a": -120.0, "b": -120.0, "program": -120.0}


def test_speakers_come_and_go():
    made = mixer(a=True, b=True)
    settled(made, {"a": tone(400), "b": tone(600)})
    made.remove("a")
    made.add("c")
    mix = settled(made, {"b": tone(600), "c": tone(800)})
    np.testing.assert_allclose(mix.program, tone(600), atol=1e-6)
    assert set(mix.feeds) == {"b", "c"}
    with pytest.raises(ValueError, match="already"):
        made.add("b")


def test_decibels():
    assert dbfs(1.0) == 0.0
    assert dbfs(0.0) == dbfs(1e-9) == -120.0


def limited(limiter: Limiter, audio: np.ndarray) -> np.ndarray:
    frames = audio.astype(np.float32).reshape(-1, FRAME_SAMPLES)
    return np.concatenate([limiter.apply(frame[None].copy())[0] for frame in frames])


def test_the_limiter_leaves_quiet_audio_alone():
    quiet = np.tile(tone(500, 0.8), 10)
    np.testing.assert_array_equal(limited(Limiter(), quiet), quiet)


def test_the_limiter_falls_at_once_and_recovers_smoothly():
    loud, quiet = np.tile(tone(500, 3.0), 5), np.tile(tone(500, 0.5), 100)
    out = limited(Limiter(), np.concatenate((quiet, loud, quiet)))
    assert np.abs(out).max() <= 1.0
    after = np.abs(out[len(quiet) + len(loud) :]).reshape(-1, FRAME_SAMPLES).max(axis=1)
    assert after[0] < 0.2 and (np.diff(after) > -1e-4).all()  # from a gain of 0.3 back to one
    assert after[-1] == pytest.approx(0.5, abs=1e-3)


def test_the_limiter_makes_no_click():
    """Between two samples the output moves no more than a sine at the ceiling does, and a little."""
    audio = np.concatenate((np.tile(tone(500, 0.5), 5), np.tile(tone(500, 4.0), 20)))
    out = limited(Limiter(), audio)
    steepest = CEILING * 2 * np.pi * 500 / 48_000
    assert np.abs(np.diff(out[7 * FRAME_SAMPLES :])).max() < 1.5 * steepest
    assert np.abs(np.diff(out)).max() <= np.abs(np.diff(audio)).max()  # even in the millisecond of surprise


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=20), st.integers(0, 2**32))
def test_nothing_ever_leaves_full_scale(gains, seed):
    rng = np.random.default_rng(seed)
    limiter = Limiter()
    for gain in gains:
        rows = (rng.standard_normal((3, FRAME_SAMPLES)) * gain).astype(np.float32)
        out = limiter.apply(rows)
        assert np.isfinite(out).all() and np.abs(out).max() <= 1.0
