import numpy as np
import pytest

from stentor.core.hold import loop
from stentor.io.codec import stored
from stentor.io.codec.stored import stored_holds
from support.tapes import holds

TONE = loop()


@pytest.fixture
def makings(monkeypatch):
    """Every tone that was encoded."""
    tones: list[np.ndarray] = []

    def make(tone):
        tones.append(tone)
        return holds()

    monkeypatch.setattr(stored, "make_holds", make)
    return tones


def test_made_once(tmp_path, makings):
    path = tmp_path / "deep" / "hold"
    assert stored_holds(path, TONE) == stored_holds(path, TONE) == holds()
    assert len(makings) == 1
    assert [file.name for file in path.parent.iterdir()] == ["hold"]


def test_another_tone_is_made_anew(tmp_path, makings):
    for tone in (TONE, TONE + 1, TONE + 1, TONE):
        stored_holds(tmp_path / "hold", tone)
    assert len(makings) == 3


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b"", lambda b: b"\xc0"]
)
def test_a_damaged_file_is_replaced(tmp_path, makings, damage):
    path = tmp_path / "hold"
    stored_holds(path, TONE)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert stored_holds(path, TONE) == holds()
    assert path.read_bytes() == whole


def test_nowhere_to_keep_it(tmp_path, makings):
    (tmp_path / "file").touch()
    assert stored_holds(tmp_path / "file" / "hold", TONE) == holds()
