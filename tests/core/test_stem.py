"""Stems: packets come back as they were, in time, through losses and pauses."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from stentor.core.stem import Stem
from stentor.formats import ogg


def collect(stem: Stem, packets: list[tuple[bytes, int]]) -> dict[str, bytes]:
    files: dict[str, bytes] = defaultdict(bytes)
    for packet, position in packets:
        for name, data in stem.receive(packet, 960, position):
            files[name] += data
    for name, data in stem.finish():
        files[name] += data
    return files


@given(st.lists(st.binary(min_size=2, max_size=1275), min_size=1, max_size=120), st.integers(0, 10**9))
def test_packets_come_back_as_they_were(packets: list[bytes], start: int) -> None:
    files = collect(Stem("host", 7), [(p, start + 960 * i) for i, p in enumerate(packets)])
    assert list(files) == [f"host-{start // 48:010d}ms.opus"]
    assert list(ogg.opus_packets(files.popitem()[1])) == packets


def test_a_lost_packet_is_filled_and_a_pause_begins_a_new_file() -> None:
    files = collect(Stem("a", 1), [(b"one", 0), (b"four", 960 * 3), (b"later", 960 * 300)])
    assert sorted(files) == ["a-0000000000ms.opus", "a-0000006000ms.opus"]
    assert list(ogg.opus_packets(files["a-0000000000ms.opus"])) == [b"one", b"\xf8", b"\xf8", b"four"]


def test_what_was_said_before_the_recording_is_not_kept() -> None:
    assert collect(Stem("a", 1), [(b"backstage", -960)]) == {}
