"""The Info frame that goes before a file of MP3 frames: how many, and how many samples to skip at the start.

It is itself a (silent) MPEG-1 layer III frame, 64 kbit/s mono at 48 kHz, with the tag of Xing and LAME's extension to
it ("MP3 Info Tag rev 1"), so that players know the duration and begin at the right sample.
"""

from __future__ import annotations

import struct

from stentor.formats.chunks import BadMp3, mp3_frames

DECODER_DELAY = 529  # samples that every layer III decoder adds; the tag counts without them
SKIP_SAMPLES_MAX = DECODER_DELAY + 4095
_FRAME_BYTES = 192
_TAG_AT = 4 + 17  # after the frame header and the side information of a mono frame
_HEADER = b"\xff\xfb\x54\xc4"
_ALL_FIELDS = 15
_ID3_HEAD = 10


def info_frame(frames: int, payload: int, skip: int) -> bytes:
    """192 bytes. `frames` of `payload` bytes in all follow; the first `skip` samples decoded are not to be heard."""
    assert DECODER_DELAY <= skip <= SKIP_SAMPLES_MAX
    contents = bytes(percent * 256 // 100 for percent in range(100))
    tag = struct.pack(">4sIII100sI", b"Info", _ALL_FIELDS, frames, payload + _FRAME_BYTES, contents, 0)
    delay = (skip - DECODER_DELAY) << 12
    lame = b"LAME3.100" + struct.pack(">BBIIBB", 1, 0, 0, 0, 0, 64) + delay.to_bytes(3, "big")
    lame += struct.pack(">BBHI", 0, 0, 0, payload + _FRAME_BYTES) + bytes(2)
    frame = (_HEADER + bytes(_TAG_AT - 4) + tag + lame).ljust(_FRAME_BYTES, b"\0")
    crc_at = _TAG_AT + len(tag) + len(lame)
    return frame[:crc_at] + struct.pack(">H", _crc16(frame[:crc_at])) + frame[crc_at + 2 :]


def _crc16(data: bytes) -> int:
    """CRC-16 with polynomial 0x8005, bits reversed, preset 0, as the tag has it."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


def audio_frames(data: bytes) -> list[bytes]:
    """The frames of an MP3 file without its ID3v2 tag and its Info frame; raises `BadMp3`."""
    if data[:3] == b"ID3" and len(data) >= _ID3_HEAD:
        size = 0
        for byte in data[6:10]:  # four times seven bits
            size = size << 7 | byte & 0x7F
        data = data[_ID3_HEAD + size :]
    frames = mp3_frames(data)
    if not frames:
        raise BadMp3("no frames")
    return frames[1:] if frames[0][_TAG_AT : _TAG_AT + 4] in (b"Info", b"Xing") else frames
