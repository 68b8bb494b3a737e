"""ICY metadata against a player that takes it out again."""

from hypothesis import given
from hypothesis import strategies as st

from stentor.formats.icy import METAINT, block, interleave, printable, stream_title


def demux(stream: bytes, phase: int) -> tuple[bytes, list[bytes]]:
    """What a player does that has had `phase` bytes since the last block; -> (audio, blocks)."""
    audio, blocks, at, want = b"", [], 0, METAINT - phase
    while at < len(stream):
        part = stream[at : at + want]
        audio += part
        at += len(part)
        if len(part) == want and at < len(stream):
            size = 1 + 16 * stream[at]
            blocks.append(stream[at : at + size])
            at += size
            want = METAINT
    return audio, blocks


@given(st.lists(st.integers(0, 3 * METAINT), max_size=6), st.integers(0, METAINT - 1))
def test_a_player_gets_the_audio_back(sizes, phase):
    audio = b"".join(bytes((index % 251,)) * size for index, size in enumerate(sizes))
    title, stream, at, now = block("A title"), b"", 0, phase
    for size in sizes:
        part, now = interleave(audio[at : at + size], now, title)
        stream += part
        at += size
        assert 0 <= now < METAINT
    assert demux(stream, phase) == (audio, [title] * ((phase + len(audio)) // METAINT))


def test_a_block_stands_as_soon_as_its_place_is_reached():
    assert interleave(b"a" * METAINT, 0, b"\0") == (b"a" * METAINT + b"\0", 0)
    assert interleave(b"a" * (METAINT - 1), 0, b"\0") == (b"a" * (METAINT - 1), METAINT - 1)


def test_a_block_is_padded_to_its_length_byte():
    data = block("Ada")
    assert data == b"\x02StreamTitle='Ada';".ljust(33, b"\0")


def test_players_do_not_stop_inside_a_title():
    assert block("It's so'; really")[1:].rstrip(b"\0").decode() == "StreamTitle='It's so\u2019; really';"


def test_who_speaks_is_named_before_the_show():
    assert stream_title("The Long Night", ["Ada", "Grace"]) == "Ada, Grace - The Long Night"
    assert stream_title("The Long Night", []) == "The Long Night"


def test_a_title_is_one_line():
    assert printable(" two\r\nlines\0 ") == "two  lines"
    assert printable("\u00fcber \u4e2d") == "\u00fcber \u4e2d"


@given(st.text(max_size=3_000))
def test_any_title_makes_a_block_that_a_player_can_measure(title):
    data = block(title)
    assert len(data) == 1 + 16 * data[0] <= 4_081
    text = data[1:].rstrip(b"\0").decode()
    assert text.startswith("StreamTitle='") and text.endswith("';")
