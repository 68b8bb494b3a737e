"""Whether a downloaded file of one rendition is what its proof says: all the audio of a signed tape, unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from stentor.formats import chunks, tape, tapemeta
from stentor.formats.proof import Proof
from stentor.model.grid import Grid
from stentor.model.rendition import Rendition

KeyChecks = Callable[[bytes, bytes, bytes], bool]


class Unproven(ValueError):
    """The file, or the proof, is not what it claims; the text says what and where."""


class Head(NamedTuple):
    """A chain head that somebody noted during the show: the chain right after the record of chunk `n`."""

    n: int
    chain: bytes


class Proven(NamedTuple):
    end: tapemeta.EndMeta
    checkpoints: int  # how many of the proof's were compared with the file


def check(proof: Proof, frames: Sequence[bytes], key_checks: KeyChecks, head: Head | None = None) -> Proven:
    """Compare the encoder frames of a file, without what its container adds, with `proof`. Raises `Unproven`."""
    rendition, grid = _rendition(proof), proof.tape.grid
    end = _signed_end(proof, key_checks)
    stated = _checkpoint_digests(proof, rendition.id)
    since, digest = end.first_n, tape.GENESIS
    for n, data in _chunks(rendition, grid, end, frames):
        digest = tape.rendition_link(digest, n, data)
        if stated.get(n, digest) != digest:
            raise Unproven(f"the audio is not the tape's between {_span(grid, end, since, n)}")
        since = n + 1 if n in stated else since
    if digest.hex() != end.renditions[rendition.name]:
        raise Unproven(f"the audio is not the tape's between {_span(grid, end, since, end.last_n)}")
    if head is not None:
        _check_head(proof, head)
    return Proven(end, len(stated))


def _rendition(proof: Proof) -> Rendition:
    for item in proof.tape.renditions:
        if item.name == proof.rendition:
            return tapemeta.rendition_of(item)
    raise Unproven(f"the proof is of {proof.rendition!r}, which the tape does not have")


def _signed_end(proof: Proof, key_checks: KeyChecks) -> tapemeta.EndMeta:
    body = proof.end.encode()
    try:
        end = msgspec.json.decode(body, type=tapemeta.EndMeta)
        key = bytes.fromhex(proof.tape.key)
    except (msgspec.DecodeError, ValueError) as error:
        raise Unproven(f"the proof's end is not readable: {error}") from None
    if not key_checks(key, tape.SIGNED_PREFIX + body, proof.signature):
        raise Unproven("the signature of the end is not the key's")
    if (end.show, end.first_n, end.key) != (proof.tape.show, proof.tape.first_n, proof.tape.key):
        raise Unproven("the signed end is of another tape than the rest of the proof")
    if proof.rendition not in end.renditions:
        raise Unproven(f"the signed end has no rendition {proof.rendition!r}")
    return end


def _checkpoint_digests(proof: Proof, rendition_id: int) -> dict[int, bytes]:
    """The digest of the rendition that each checkpoint states, by n."""
    found = {}
    for checkpoint in proof.checkpoints:
        try:
            last, digests = tape.linked_digests(checkpoint.linked)
            found[checkpoint.n] = digests[rendition_id]
        except (ValueError, KeyError) as error:
            raise Unproven(f"the proof's checkpoint {checkpoint.n} is not readable: {error}") from None
        if last != checkpoint.n:
            raise Unproven(f"the proof's checkpoint {checkpoint.n} is the record of chunk {last}")
    return found


def _chunks(
    rendition: Rendition, grid: Grid, end: tapemeta.EndMeta, frames: Sequence[bytes]
) -> Iterator[tuple[int, bytes]]:
    """(n, bytes) of every chunk from `first_n` to `last_n`, made anew from the frames."""
    rest = iter(frames)
    for n in range(end.first_n, end.last_n + 1):
        taken = list(islice(rest, grid.frame_count(rendition, n)))
        if len(taken) < grid.frame_count(rendition, n):
            raise Unproven(f"the file ends in chunk {n}; the tape goes on to chunk {end.last_n}")
        yield n, chunks.build(rendition, grid, n, taken)
    if next(rest, None) is not None:
        raise Unproven(f"the file goes on after chunk {end.last_n}, where the tape ends")


def _check_head(proof: Proof, head: Head) -> None:
    checkpoint = next((item for item in proof.checkpoints if item.n == head.n), None)
    if checkpoint is None:
        raise Unproven(f"chunk {head.n} is no checkpoint of this proof; the whole tape can check any head")
    if checkpoint.chain != head.chain:
        raise Unproven(f"the chain after chunk {head.n} is {checkpoint.chain.hex()}, not the head that was noted")


def _span(grid: Grid, end: tapemeta.EndMeta, first: int, last: int) -> str:
    began, ended = ((n - end.first_n) * grid.chunk_s for n in (first, last + 1))
    return f"{began:g} s and {ended:g} s (chunks {first}..{last})"
