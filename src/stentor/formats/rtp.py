"""RTP and RTCP (RFC 3550) as far as one Opus stream each way needs them, and the length of an Opus packet (RFC 6716).

Packets come from a peer whom SRTP has authenticated; whatever is wrong with one is a value, `Malformed`, and never an
exception. Timestamps and durations are in samples at 48 kHz (RFC 7587 section 4.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

HEADER_BYTES = 12
OPUS_SAMPLES_MAX = 5760  # 120 ms, the longest Opus packet (RFC 6716 section 3.2.5)

_HEADER = struct.Struct(">BBHII")
_VERSION_2 = 0x80
_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
_CNAME = 1
_REPORT = struct.Struct(">IIIIII")
_U32 = 0xFFFFFFFF
_NTP_EPOCH_S = 2_208_988_800  # 1900 to 1970


class Malformed(StrEnum):
    """Why bytes are not an RTP packet."""

    SHORT = "shorter than its header"
    VERSION = "not version 2"
    EXTENSION = "header extension runs past the end"
    PADDING = "padding runs past the payload"


class Packet(NamedTuple):
    """One RTP packet. CSRCs and header extensions are skipped: nothing here reads them."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class Report(NamedTuple):
    """A reception report block (section 6.4.1). `fraction_lost` is in 1/256, `jitter` in samples."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_report: int = 0  # middle 32 bits of the NTP time of the last sender report
    since_report: int = 0  # 1/65536 s since it came


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram of RTP's first byte is RTCP (RFC 5761 section 4)."""
    return len(data) > 1 and 192 <= data[1] <= 223


def parse(data: bytes) -> Packet | Malformed:
    """An RTP packet (section 5.1)."""
    if len(data) < HEADER_BYTES:
        return Malformed.SHORT
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != 2:
        return Malformed.VERSION
    start = HEADER_BYTES + 4 * (first & 15)
    end = len(data)
    if first & 0x10:
        if end < start + 4:
            return Malformed.EXTENSION
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    if start > end:
        return Malformed.EXTENSION if first & 0x10 else Malformed.SHORT
    if first & 0x20:
        padding = data[-1]
        if not 0 < padding <= end - start:
            return Malformed.PADDING
        end -= padding
    return Packet(second & 0x7F, sequence, timestamp, ssrc, data[start:end])


def pack(payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool = False) -> bytes:
    """The packet's bytes; sequence and timestamp are taken modulo their width."""
    second = payload_type | (0x80 if marker else 0)
    return _HEADER.pack(_VERSION_2, second, sequence & 0xFFFF, timestamp & _U32, ssrc) + payload


def extend(sequence: int, near: int) -> int:
    """The extended sequence number (section A.1) closest to `near` whose low 16 bits are `sequence`."""
    return near + ((sequence - near + 0x8000) & 0xFFFF) - 0x8000


def difference(a: int, b: int) -> int:
    """`a - b` of two timestamps, in [-2**31, 2**31)."""
    return ((a - b + (1 << 31)) & _U32) - (1 << 31)


def ntp_time(unix_s: float) -> int:
    """64-bit NTP time (section 4)."""
    return int((unix_s + _NTP_EPOCH_S) * (1 << 32)) & ((1 << 64) - 1)


def sender_report(
    ssrc: int, cname: str, ntp: int, timestamp: int, packets: int, octets: int, report: Report | None
) -> bytes:
    """A compound packet (section 6.1): sender report, with `report` on what we receive if there is one, and SDES."""
    blocks = b"" if report is None else _pack_report(report)
    body = struct.pack(">IQIII", ssrc, ntp, timestamp & _U32, packets & _U32, octets & _U32) + blocks
    item = bytes((_CNAME, len(cname))) + cname.encode()
    chunk = struct.pack(">I", ssrc) + item + bytes(4 - len(item) % 4)
    return _rtcp(_SR, 0 if report is None else 1, body) + _rtcp(_SDES, 1, chunk)


def goodbye(ssrc: int) -> bytes:
    """BYE (section 6.6)."""
    return _rtcp(_BYE, 1, struct.pack(">I", ssrc))


def reported_loss(data: bytes, ssrc: int) -> float | None:
    """The share of `ssrc`'s packets that the reports in a compound packet call lost; None where they do not say."""
    block = _block_about(data, ssrc)
    return None if block is None else block[4] / 256


def round_trip_s(data: bytes, ssrc: int, ntp: int) -> float | None:
    """How long ago `ssrc` sent the report that these answer, less the time it lay there, at NTP time `ntp`."""
    block = _block_about(data, ssrc)
    if block is None or block[16:20] == bytes(4):
        return None
    _, _, _, _, last_report, since_report = _REPORT.unpack(block)
    passed: int = (ntp >> 16) - last_report - since_report & _U32
    return passed / 65_536 if passed < 1 << 31 else 0.0  # clocks are coarse: a little below nothing is nothing


def _block_about(data: bytes, ssrc: int) -> bytes | None:
    for kind, count, at, end in _control_packets(data):
        first = at + {_SR: 28, _RR: 8}.get(kind, end)
        for start in range(first, min(end, first + count * _REPORT.size), _REPORT.size):
            block = data[start : min(end, start + _REPORT.size)]
            if len(block) == _REPORT.size and int.from_bytes(block[:4]) == ssrc:
                return block
    return None


def _control_packets(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Type, count, start and end of each packet in a compound one, as far as they are whole."""
    at = 0
    while at + 4 <= len(data):
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
        if end > len(data):
            return
        yield data[at + 1], data[at] & 31, at, end
        at = end


def last_sender_report(data: bytes) -> int | None:
    """Middle 32 bits of the NTP time in a compound packet's sender report, for the next report block; None without."""
    for kind, _, at, end in _control_packets(data):
        if kind == _SR and at + 16 <= end:
            return int.from_bytes(data[at + 10 : at + 14])
    return None


def _pack_report(report: Report) -> bytes:
    lost = max(-0x800000, min(0x7FFFFF, report.lost)) & 0xFFFFFF
    return _REPORT.pack(
        report.ssrc,
        min(255, report.fraction_lost) << 24 | lost,
        report.highest & _U32,
        min(report.jitter, _U32),
        report.last_report & _U32,
        report.since_report & _U32,
    )


def _rtcp(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack(">BBH", _VERSION_2 | count, kind, len(body) // 4) + body


_SILK_SAMPLES = (480, 960, 1920, 2880)
_HYBRID_SAMPLES = (480, 960)
_CELT_SAMPLES = (120, 240, 480, 960)


def opus_samples(payload: bytes) -> int:
    """How long an Opus packet sounds, from its TOC byte (RFC 6716 section 3.1); 0 if it cannot be an Opus packet."""
    if not payload:
        return 0
    samples = _frame_samples(payload[0] >> 3) * _frame_count(payload)
    return samples if samples <= OPUS_SAMPLES_MAX else 0


def _frame_samples(config: int) -> int:
    if config < 12:
        return _SILK_SAMPLES[config & 3]
    return _HYBRID_SAMPLES[config & 1] if config < 16 else _CELT_SAMPLES[config & 3]


def _frame_count(payload: bytes) -> int:
    code = payload[0] & 3
    if code < 3:
        return 1 if code == 0 else 2
    return payload[1] & 63 if len(payload) > 1 else 0
