"""Links, ids and lines of text as people write them. Functions that make something new take `rng`."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from typing import Protocol

ID_CHARS_MAX = 32

_SUFFIX_CHARS = 4
_TOKEN_BYTES = 16
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648, in lower case
_SLUG_GAPS = re.compile(r"[^a-z0-9]+")
_BLANK = frozenset(("Cc", "Cs", "Zl", "Zp", "Zs"))  # Unicode categories: controls, surrogates, separators


class Rng(Protocol):
    def randbytes(self, n: int, /) -> bytes: ...


def new_token(rng: Rng) -> str:
    """128 random bits as 22 characters of base64url. `rng` must be one that cannot be guessed."""
    return base64.urlsafe_b64encode(rng.randbytes(_TOKEN_BYTES)).rstrip(b"=").decode()


def token_hash(token: str) -> str:
    """SHA-256 in hex; a token has 128 random bits, so that no salt or slow hash is called for."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_id(text: str, otherwise: str, rng: Rng) -> str:
    """A short id made from `text` and four random characters: `town-hall-x7k2`, `[a-z0-9-]{1,32}`."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = _SLUG_GAPS.sub("-", ascii_text).strip("-")[: ID_CHARS_MAX - _SUFFIX_CHARS - 1].strip("-")
    return (slug or otherwise) + "-" + "".join(_BASE32[byte % 32] for byte in rng.randbytes(_SUFFIX_CHARS))


def one_line(text: str) -> str:
    """`text` in composed characters (NFC), without controls, with single spaces."""
    shown = (" " if unicodedata.category(char) in _BLANK else char for char in unicodedata.normalize("NFC", text))
    return " ".join("".join(shown).split())
