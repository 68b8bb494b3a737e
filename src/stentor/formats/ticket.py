"""Tickets and places: signed tokens of fixed width, 64 characters of base64url.

Big-endian: version u8, kind u8, key id u8, class u8, show 8 bytes, seq u32, issued u32, not-before u32, expires u32,
edge group u16, prefix tag u16, then a 16-byte MAC: keyed BLAKE2b-128 over the 32 bytes before it (RFC 7693). Times are
Unix seconds. A check costs a few microseconds and compares in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

VERSION = 1
LENGTH = 64
_BODY = struct.Struct(">BBBB8sIIIIHH")
_MAC_BYTES = 16
_PERSON = b"stentor-token-1"
_STANDARD = bytes.maketrans(b"-_", b"+/")  # the alphabet that binascii reads


class Kind(IntEnum):
    TICKET = 1
    PLACE = 2


class Class(IntEnum):
    CREW = 1
    RECONNECT = 2
    INVITED = 3
    DRAWN = 4
    LATE = 5


_CLASSES = {int(cls): cls for cls in Class}


class Refusal(StrEnum):
    """Why a token is not taken. Values are the `code` of the problem+json that says so."""

    MALFORMED = "ticket-malformed"
    FORGED = "ticket-forged"
    WRONG_KIND = "ticket-wrong-kind"
    WRONG_SHOW = "ticket-wrong-show"
    EARLY = "ticket-early"
    EXPIRED = "ticket-expired"
    REVOKED = "ticket-revoked"


class Token(NamedTuple):
    kind: Kind
    show: bytes  # 8 bytes, `show_tag` of the show's id
    cls: Class
    seq: int
    issued: int
    not_before: int
    expires: int
    key_id: int = 0
    group: int = 0
    prefix_tag: int = 0


def show_tag(show_id: str) -> bytes:
    """The 8 bytes by which a token names its show."""
    return blake2b(show_id.encode(), digest_size=8, person=b"stentor-show").digest()


@lru_cache(maxsize=8)  # asked for at every request of HLS
def pull_token(show_id: str, key: bytes) -> str:
    """22 characters that nobody guesses: the directory of a show's HLS, the same for everybody and for every cache."""
    digest = blake2b(show_id.encode(), key=key, digest_size=16, person=b"stentor-pull").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _mac(key: bytes, body: bytes) -> bytes:
    return blake2b(body, key=key, digest_size=_MAC_BYTES, person=_PERSON).digest()


def mint(token: Token, key: bytes) -> str:
    """-> 64 characters. `key` has 16 to 64 bytes; a field out of range is our own misuse (`struct.error`)."""
    t = token
    fields = (t.kind, t.key_id, t.cls, t.show, t.seq, t.issued, t.not_before, t.expires, t.group, t.prefix_tag)
    body = _BODY.pack(VERSION, *fields)
    return base64.urlsafe_b64encode(body + _mac(key, body)).decode()


def check(text: str, keys: Mapping[int, bytes], show: bytes, now: int, kind: Kind = Kind.TICKET) -> Token | Refusal:
    """Open `text`: the token, or why not. `keys` by key id; `now` in Unix seconds. Revocation is asked elsewhere."""
    try:
        raw = binascii.a2b_base64(text.encode("ascii").translate(_STANDARD), strict_mode=True)
    except ValueError:
        return Refusal.MALFORMED
    if len(raw) != _BODY.size + _MAC_BYTES or raw[0] != VERSION:
        return Refusal.MALFORMED
    body = raw[: _BODY.size]
    key = keys.get(body[2], b"\0" * 32)
    if not hmac.compare_digest(_mac(key, body), raw[_BODY.size :]) or body[2] not in keys:
        return Refusal.FORGED
    _, kind_, key_id, cls, show_, seq, issued, not_before, expires, group, prefix = _BODY.unpack(body)
    if kind_ != kind:
        return Refusal.WRONG_KIND
    if show_ != show:
        return Refusal.WRONG_SHOW
    if now < not_before:
        return Refusal.EARLY
    if now >= expires:
        return Refusal.EXPIRED
    return Token(kind, show_, _CLASSES[cls], seq, issued, not_before, expires, key_id, group, prefix)


def peek(text: str) -> Token | Refusal:
    """What `text` says, believed as it stands: for its holder, who has no key. Nobody is let in by this."""
    try:
        raw = binascii.a2b_base64(text.encode("ascii").translate(_STANDARD), strict_mode=True)
    except ValueError:
        return Refusal.MALFORMED
    if len(raw) != _BODY.size + _MAC_BYTES or raw[0] != VERSION:
        return Refusal.MALFORMED
    _, kind, key_id, cls, show, seq, issued, not_before, expires, group, prefix = _BODY.unpack(raw[: _BODY.size])
    if kind not in list(Kind) or cls not in _CLASSES:
        return Refusal.MALFORMED
    return Token(Kind(kind), show, _CLASSES[cls], seq, issued, not_before, expires, key_id, group, prefix)
