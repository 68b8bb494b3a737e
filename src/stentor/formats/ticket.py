"""Tickets and places: signed tokens of fixed width, 64 characters of base64url.

Big-endian: version u8, kind u8, key id u8, class u8, show 8 bytes, seq u32, issued u32, not-before u32, expires u32,
edge group u16, prefix tag u16, then a 16-byte MAC: keyed BLAKE2b-128 over the 32 bytes before it (RFC 7693). Times are
Unix seconds. A check costs a few microseconds and compares in constant time.

Keys belong to an edge group. Key ids 0 to 127 are those of hours, the number of the hour (Unix seconds // 3600) modulo
128: two or three of them count at a time. Key ids 128 to 255 are those of the show that the token names, 128 to begin
with, and the next one where the crew has revoked those before it.
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
HOUR_S = 3_600
HOUR_IDS = range(128)
SHOW_IDS = range(128, 256)
_BODY = struct.Struct(">BBBB8sIIIIHH")
_MAC_BYTES = 16
_WHOLE = struct.Struct(f"{_BODY.format}{_MAC_BYTES}s")
_NO_KEY = bytes(32)  # in the place of a key that is not there, so that it takes as long to find out
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
    WRONG_GROUP = "ticket-wrong-group"
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


def hour_id(hour: int) -> int:
    """The key id of an hour, counted from the beginning of 1970."""
    return hour % len(HOUR_IDS)


@lru_cache(maxsize=64)
def show_tag(show_id: str) -> bytes:
    """The 8 bytes by which a token names its show."""
    return blake2b(show_id.encode(), digest_size=8, person=b"stentor-show").digest()


@lru_cache(maxsize=8)  # asked for at every request of HLS
def pull_token(show_id: str, key: bytes) -> str:
    """22 characters that nobody guesses: the directory of a show's HLS, the same for everybody and for every cache."""
    digest = blake2b(show_id.encode(), key=key, digest_size=16, person=b"stentor-pull").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@lru_cache(maxsize=64)  # keys of the hours and shows at hand: to begin with one takes as long as to end
def _keyed(key: bytes) -> blake2b:
    return blake2b(key=key, digest_size=_MAC_BYTES, person=_PERSON)


def _mac(key: bytes, body: bytes) -> bytes:
    state = _keyed(key).copy()
    state.update(body)
    return state.digest()


def mint(token: Token, key: bytes) -> str:
    """-> 64 characters. `key` has 16 to 64 bytes; a field out of range is our own misuse (`struct.error`)."""
    t = token
    fields = (t.kind, t.key_id, t.cls, t.show, t.seq, t.issued, t.not_before, t.expires, t.group, t.prefix_tag)
    body = _BODY.pack(VERSION, *fields)
    return base64.urlsafe_b64encode(body + _mac(key, body)).decode()


def claimed_class(text: str) -> Class | None:
    """What `text` says it is, which nobody has checked; None if it is no token."""
    if len(text) != LENGTH:
        return None
    try:
        return _CLASSES.get(binascii.a2b_base64(text[4:8].encode("ascii").translate(_STANDARD))[0])
    except (ValueError, IndexError):
        return None


def check(
    text: str,
    keys: Mapping[int, bytes],
    show: bytes,
    now: int,
    kind: Kind = Kind.TICKET,
    group: int | None = None,
) -> Token | Refusal:
    """Open `text`: the token, or why not. `keys` by key id; `now` in Unix seconds; `group` None: of any edge group.
    Revocation is asked elsewhere.

    A ticket that says it has expired, by a key that is gone, is taken at its word: honest people come late with it, and
    whoever made it up has won nothing.
    """
    try:
        raw = binascii.a2b_base64(text.encode("ascii").translate(_STANDARD), strict_mode=True)
    except ValueError:
        return Refusal.MALFORMED
    if len(raw) != _WHOLE.size or raw[0] != VERSION:
        return Refusal.MALFORMED
    _, kind_, key_id, cls, show_, seq, issued, not_before, expires, group_, prefix, mac = _WHOLE.unpack(raw)
    key = keys.get(key_id, _NO_KEY)
    if not hmac.compare_digest(_mac(key, raw[: _BODY.size]), mac) or key is _NO_KEY:
        return Refusal.EXPIRED if key is _NO_KEY and now >= expires else Refusal.FORGED
    if kind_ != kind:
        return Refusal.WRONG_KIND
    if show_ != show:
        return Refusal.WRONG_SHOW
    if group is not None and group_ != group:
        return Refusal.WRONG_GROUP
    if now < not_before:
        return Refusal.EARLY
    if now >= expires:
        return Refusal.EXPIRED
    return Token._make((kind, show_, _CLASSES[cls], seq, issued, not_before, expires, key_id, group_, prefix))


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
