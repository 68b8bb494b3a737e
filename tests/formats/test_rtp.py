import struct

from hypothesis import given
from hypothesis import strategies as st

from stentor.formats import rtp

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)


@given(st.integers(0, 127), U16, U32, U32, st.binary(max_size=200), st.booleans())
def test_a_packet_comes_back_as_it_was(payload_type, sequence, timestamp, ssrc, payload, marker):
    data = rtp.pack(payload_type, sequence, timestamp, ssrc, payload, marker=marker)
    assert rtp.parse(data) == rtp.Packet(payload_type, sequence, timestamp, ssrc, payload)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_packet_or_a_reason(data):
    assert isinstance(rtp.parse(data), rtp.Packet | rtp.Malformed)
    rtp.last_sender_report(data)
    rtp.reported_loss(data, 0)
    assert 0 <= rtp.opus_samples(data) <= rtp.OPUS_SAMPLES_MAX


def test_sources_extension_and_padding_are_skipped():
    header = struct.pack(">BBHII", 0x80 | 0x20 | 0x10 | 2, 96, 7, 8, 9)
    data = header + bytes(8) + struct.pack(">HH", 0xBEDE, 1) + b"extn" + b"opus" + b"\0\0\3"
    assert rtp.parse(data) == rtp.Packet(96, 7, 8, 9, b"opus")


def test_what_runs_past_the_end_is_named():
    plain = rtp.pack(96, 1, 2, 3, b"x")
    assert rtp.parse(plain[:11]) is rtp.Malformed.SHORT
    assert rtp.parse(b"\x40" + plain[1:]) is rtp.Malformed.VERSION
    assert rtp.parse(b"\x90" + plain[1:] + b"\0\0\xff\xff") is rtp.Malformed.EXTENSION
    assert rtp.parse(b"\xa0" + plain[1:12] + b"\xff") is rtp.Malformed.PADDING
    assert rtp.parse(b"\x8f" + plain[1:]) is rtp.Malformed.SHORT


@given(st.integers(0x10000, 1 << 40), st.integers(-0x8000, 0x7FFF))
def test_an_extended_number_is_the_nearest(near, offset):
    assert rtp.extend((near + offset) & 0xFFFF, near) == near + offset


@given(U32, st.integers(-(1 << 31), (1 << 31) - 1))
def test_timestamps_differ_across_their_wrap(a, offset):
    assert rtp.difference((a + offset) & 0xFFFFFFFF, a) == offset


def test_length_of_opus_packets():
    """RFC 6716 table 2, and frame counts of section 3.2."""
    assert rtp.opus_samples(bytes([1 << 3])) == 960  # SILK, 20 ms
    assert rtp.opus_samples(bytes([3 << 3])) == 2880  # SILK, 60 ms
    assert rtp.opus_samples(bytes([14 << 3])) == 480  # hybrid, 10 ms
    assert rtp.opus_samples(bytes([28 << 3])) == 120  # CELT, 2.5 ms
    assert rtp.opus_samples(bytes([31 << 3 | 1])) == 1920  # two frames
    assert rtp.opus_samples(bytes([31 << 3 | 3, 6])) == 5760
    assert rtp.opus_samples(bytes([31 << 3 | 3, 7])) == 0  # longer than a packet can be
    assert rtp.opus_samples(bytes([31 << 3 | 3])) == rtp.opus_samples(b"") == 0


def test_a_sender_report_is_read_back():
    ntp = rtp.ntp_time(1_700_000_000.5)
    report = rtp.Report(ssrc=5, fraction_lost=300, lost=-1, highest=70_000, jitter=1 << 40)
    data = rtp.sender_report(1, "name", ntp, 960, 1, 100, report)
    assert rtp.is_rtcp(data) and len(data) % 4 == 0
    assert rtp.last_sender_report(data) == ntp >> 16 & 0xFFFFFFFF
    assert data[32:36] == b"\xff\xff\xff\xff"  # fraction clamped, loss of -1
    assert rtp.last_sender_report(rtp.goodbye(1)) is None
    assert rtp.reported_loss(rtp.goodbye(1) + data, 5) == 255 / 256
    assert rtp.reported_loss(data, 6) is None


def test_control_packets_parse_in_another_implementation():
    from aiortc.rtp import RtcpPacket, RtcpSrPacket

    data = rtp.sender_report(1, "name", 1 << 40, 960, 2, 300, rtp.Report(5, 12, 3, 99, 7)) + rtp.goodbye(1)
    first, description, bye = RtcpPacket.parse(data)
    assert isinstance(first, RtcpSrPacket)
    assert (first.sender_info.packet_count, first.sender_info.octet_count) == (2, 300)
    assert (first.reports[0].fraction_lost, first.reports[0].packets_lost, first.reports[0].jitter) == (12, 3, 7)
    assert description.chunks[0].items == [(1, b"name")] and bye.sources == [1]
