"""The draw: where in the line each place stands. Anybody who has the key and the log of places can repeat it.

A show's secret K (32 random bytes) is committed to as SHA-256(K) when its doors open, and shown after the draw. The
key of the ranks mixes K with a public beacon (a text that nobody could know beforehand; "" where there is none), so
that not even who made K could choose. Eight ranks come from each hash:

    key      = BLAKE2b-256(beacon, key=K, person="stentor-draw")
    h(seq)   = word seq % 8 (64 bits, big-endian) of BLAKE2b-512(seq / 8 as u64 big-endian, key=key)
    drawn    issued before `base_s`:  rank = h >> 32
    late     issued from then on:     rank = (1 + issued - base_s) << 32 | h >> 32

A rank is an integer below 2**53, which JavaScript has exactly. Who came before the draw stands in the order of the
draw; after it comes first who came first, and within one second the hash decides. `base_s` is the Unix second of the
draw, or of the doors' opening where there is no draw. Once ranks are known no place is issued before `earliest`,
whatever a door's clock says: nobody comes in front of those who were called.
"""

from __future__ import annotations

from hashlib import blake2b, sha256

import numpy as np
import numpy.typing as npt

LATE_S_MAX = 2**21 - 1  # 24 days; who comes later than that shares a second
RANK_MAX = 2**53 - 1
WORDS = 8  # ranks to a hash
_PERSON = b"stentor-draw"

Ranks = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint32]


def commit(secret: bytes) -> str:
    """What is said of K before the draw: its SHA-256, in hex."""
    return sha256(secret).hexdigest()


def draw_key(secret: bytes, beacon: str = "") -> bytes:
    """-> the 32 bytes from which ranks are made. `secret` is K, at most 64 bytes."""
    return blake2b(beacon.encode(), key=secret, digest_size=32, person=_PERSON).digest()


def rank(key: bytes, seq: int, issued: int, base_s: int) -> int:
    """The rank of one place. `key` is of `draw_key`; `issued` and `base_s` are Unix seconds."""
    digest = blake2b((seq // WORDS).to_bytes(8, "big"), key=key).digest()
    fraction = int.from_bytes(digest[seq % WORDS * 8 :][:4], "big")
    return _second(issued, base_s) << 32 | fraction


def _second(issued: int, base_s: int) -> int:
    return 0 if issued < base_s else min(1 + issued - base_s, LATE_S_MAX)


def earliest(mark: int, base_s: int) -> int:
    """The Unix second from which on places are issued, once ranks are known: after the draw, and after the mark."""
    return base_s + (mark >> 32)


def settled(now_s: int, base_s: int) -> int:
    """The highest rank below which no place will be given out any more: of the second before last."""
    return max(0, (_second(now_s - 1, base_s) << 32) - 1)


def ranks(key: bytes, seqs: Numbers, issued: Numbers, base_s: int) -> Ranks:
    """The ranks of many places at once, in their order: a hash for every eight numbers that follow each other."""
    groups, where = np.unique(seqs // WORDS, return_inverse=True)
    keyed = blake2b(key=key)
    digests = bytearray()
    for group in groups.tolist():
        state = keyed.copy()
        state.update(group.to_bytes(8, "big"))
        digests += state.digest()
    words = np.frombuffer(bytes(digests), ">u4")[::2]
    fractions = words[where * WORDS + seqs % WORDS].astype(np.int64)
    seconds = np.clip(1 + issued.astype(np.int64) - base_s, 0, LATE_S_MAX)
    return np.asarray(seconds << 32 | fractions, np.int64)
