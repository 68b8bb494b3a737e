"""The proof file of one rendition: what is needed to check a downloaded replay without the tape.

JSON. It holds the meta of the tape, the signed end as it stands on the tape, and the checkpoints: the records of the
tape that cover a chunk whose n is a multiple of `CHECKPOINT_CHUNKS`, without their audio. A checkpoint states the
digest of each rendition, and hashing it gives the chain: so a chain head noted during the show can be checked with a
single rendition, if it is the head right after a checkpoint. That is why the heads published are those of checkpoints.
"""

from __future__ import annotations

import msgspec

from stentor.formats import tape
from stentor.formats.tapemeta import SegmentMeta

VERSION = 1
CHECKPOINT_CHUNKS = 120  # a minute of half-second chunks: 430 bytes of proof each


class BadProof(ValueError):
    """This is not a proof file."""


class Checkpoint(msgspec.Struct, frozen=True):
    """A CHUNKS record up to chunk `n`: the chain before it, and what of it is hashed (head and table)."""

    n: int
    before: bytes
    linked: bytes

    @property
    def chain(self) -> bytes:
        """The chain right after the record."""
        return tape.link(self.before, self.linked)


class Proof(msgspec.Struct, frozen=True):
    """Bytes are base64 in JSON. `end` is part 0 of the END record, letter by letter: the signature covers it."""

    version: int
    rendition: str
    tape: SegmentMeta
    end: str
    signature: bytes
    checkpoints: tuple[Checkpoint, ...]


def is_checkpoint(n: int, last: int) -> bool:
    """Whether a record of chunks `n`..`last` covers a multiple of `CHECKPOINT_CHUNKS`."""
    return last // CHECKPOINT_CHUNKS * CHECKPOINT_CHUNKS >= n


def encode(proof: Proof) -> bytes:
    return msgspec.json.encode(proof)


def decode(data: bytes) -> Proof:
    """Inverse of `encode`; raises `BadProof`."""
    try:
        proof = msgspec.json.decode(data, type=Proof)
    except msgspec.DecodeError as error:
        raise BadProof(f"not a proof file: {error}") from None
    if proof.version != VERSION:
        raise BadProof(f"proof of version {proof.version}; this program knows {VERSION}")
    return proof
