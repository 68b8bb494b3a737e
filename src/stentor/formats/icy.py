"""ICY metadata (SHOUTcast protocol): titles between the bytes of an endless MP3 stream.

After every `METAINT` bytes of audio stands one block: a length byte, counting 16-byte units, and so many units of text
padded with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

METAINT = 16_000
_UNIT = 16
_UNITS_MAX = 255
_HEAD, _TAIL = b"StreamTitle='", b"';"


def printable(title: str) -> str:
    """`title` without control characters, fit for a header or a block."""
    return "".join(char if char.isprintable() else " " for char in title).strip()


def stream_title(show: str, names: Sequence[str]) -> str:
    """What a player shows while `names` speak: it takes what stands before " - " for the artist."""
    return f"{', '.join(names)} - {show}" if names else show


def block(title: str) -> bytes:
    """The metadata block that announces `title`, cut to what a block can hold (4,080 bytes with its frame)."""
    room = _UNITS_MAX * _UNIT - len(_HEAD) - len(_TAIL)
    text = printable(title).replace("';", "\u2019;")  # players end the title at the first ';
    cut = text.encode()[:room].decode(errors="ignore").encode()
    body = _HEAD + cut + _TAIL
    units = -(-len(body) // _UNIT)
    return bytes((units,)) + body.ljust(units * _UNIT, b"\0")


def interleave(audio: bytes, phase: int, metadata: bytes) -> tuple[bytes, int]:
    """Put `metadata` after every METAINT bytes; -> (bytes to send, new phase).

    `phase` counts the bytes of audio since the last block, 0 <= phase < METAINT. A block goes out when its place is
    reached, so equal phases mean equal streams from there on.
    """
    parts: list[bytes] = []
    at = 0
    while len(audio) - at >= METAINT - phase:
        parts += (audio[at : at + METAINT - phase], metadata)
        at += METAINT - phase
        phase = 0
    parts.append(audio[at:])
    return b"".join(parts), phase + len(audio) - at
