"""Ogg: pages that libraries agree with, read back as written, and refused when damaged."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.formats import ogg

packets = st.lists(st.binary(max_size=600), min_size=1, max_size=40)


def slow_crc(data: bytes) -> int:
    """RFC 3533, section 6, field 7, bit by bit."""
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def stream(pages: list[list[bytes]]) -> bytes:
    pager = ogg.Pager(serial=7)
    head = pager.head("Friday's talk")
    last = len(pages) - 1
    return head + b"".join(pager.page(page, 960 * len(page), last=i == last) for i, page in enumerate(pages))


@given(st.binary(max_size=300))
def test_the_checksum_is_that_of_the_specification(data: bytes) -> None:
    assert ogg.crc(data) == slow_crc(data)


@given(st.lists(packets, min_size=1, max_size=4))
def test_packets_come_back(pages: list[list[bytes]]) -> None:
    assert list(ogg.opus_packets(stream(pages))) == [packet for page in pages for packet in page]


def test_a_stream_begins_with_its_head_and_its_tags() -> None:
    head, tags, audio = ogg.packets_of(stream([[b"audio"]]))
    assert head == b"OpusHead\x01\x01" + struct.pack("<HI", 312, 48_000) + bytes(3)
    assert tags.endswith(b"TITLE=Friday's talk")
    assert audio == b"audio"


def test_pages_count_samples_and_mark_first_and_last() -> None:
    data, found, at = stream([[b"a"] * 25, [b"b"] * 25]), [], 0
    while at < len(data):
        kind, granule, serial, sequence = struct.unpack_from("<BqII", data, at + 5)
        table = data[at + 27 : at + 27 + data[at + 26]]
        found.append((kind, granule, serial, sequence))
        at += 27 + len(table) + sum(table)
    assert found == [(2, 0, 7, 0), (0, 0, 7, 1), (0, 24_000, 7, 2), (4, 48_000, 7, 3)]


def test_a_packet_that_goes_on_over_pages_is_joined() -> None:
    """Other programs cut long packets so; ours never does."""
    cut = ogg.page(7, 0, 0, [b"OpusHead"], ogg.FIRST) + ogg.page(7, 1, 0, [b"OpusTags"])
    raw = bytearray(ogg.page(7, 2, -1, [b"x" * 255]))
    del raw[27 + 1]  # the lace of length 0 that ends the packet
    raw[26] = 1
    raw[22:26] = bytes(4)
    raw[22:26] = struct.pack("<I", ogg.crc(bytes(raw)))
    assert list(ogg.opus_packets(cut + bytes(raw) + ogg.page(7, 3, 960, [b"y" * 9], 1))) == [b"x" * 255 + b"y" * 9]


def test_what_does_not_fit_a_page_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit a page"):
        ogg.page(1, 2, 0, [b"x" * 1275] * 43)
    assert len(ogg.page(1, 2, 0, [b"x" * 1275] * 42)) > 42 * 1275


@given(st.integers(min_value=0))
def test_a_changed_byte_is_seen(at: int) -> None:
    data = bytearray(stream([[b"one", b"two"], [b"three"]]))
    data[at % len(data)] ^= 4
    with pytest.raises(ogg.BadOgg):
        list(ogg.opus_packets(bytes(data)))


@pytest.mark.parametrize("data", [b"", b"OggS", b"RIFF" + bytes(60), stream([[b"a"]])[:-1]])
def test_what_is_no_ogg_opus_gets_a_reason(data: bytes) -> None:
    with pytest.raises(ogg.BadOgg, match=r"\w+"):
        list(ogg.opus_packets(data))


def test_a_page_left_out_is_seen() -> None:
    data = stream([[b"a"], [b"b"], [b"c"]])
    page = ogg.page(7, 3, 1920, [b"b"])
    assert page in data
    with pytest.raises(ogg.BadOgg, match="page 4 where page 3 belongs"):
        list(ogg.opus_packets(data.replace(page, b"")))
