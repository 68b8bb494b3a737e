"""Words between chunks: an `emsg` box (ISO/IEC 23009-1, 5.10.3.3, version 0) with JSON in it. Players that do not know
the scheme skip the box."""

from __future__ import annotations

import json
import struct
from typing import Any

from stentor.formats.fmp4 import full_box

SCHEME = "urn:stentor:say:1"
_TIMESCALE = 1_000
_UNKNOWN_DURATION = 0xFFFFFFFF


class NotWords(ValueError):
    """This box is not one that `pack` made."""


def pack(body: dict[str, Any], number: int) -> bytes:
    """One box. `number` tells it from others: what comes twice under the same one was said once."""
    times = struct.pack(">IIII", _TIMESCALE, 0, _UNKNOWN_DURATION, number & 0xFFFFFFFF)
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return full_box(b"emsg", 0, 0, SCHEME.encode() + b"\0\0", times, text)


def parse(box: bytes) -> dict[str, Any]:
    """The body of one whole box; raises `NotWords` for anything else."""
    head = 12 + len(SCHEME) + 2
    if box[4:12] != b"emsg\0\0\0\0" or box[12:head] != SCHEME.encode() + b"\0\0" or len(box) < head + 16:
        raise NotWords("not an emsg box of this scheme")
    try:
        body = json.loads(box[head + 16 :])
    except ValueError as error:
        raise NotWords(f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise NotWords("not an object")
    return body
