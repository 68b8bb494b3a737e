"""A reader of tapes by somebody who has docs/TAPE.md and nothing else: the section numbers are its own.

Nothing of the product is imported. `check` raises `ValueError` with a reason, or says what a sound tape holds.
"""

from __future__ import annotations

import json
import struct
import zlib
from hashlib import sha256
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SEGMENT, CHUNKS, EVENT, END = 1, 2, 3, 4


class Record(NamedTuple):
    kind: int
    n: int
    last: int
    parts: dict[int, tuple[bytes, bytes]]  # id: (digest, bytes)
    linked: bytes
    chain: bytes


class Tape(NamedTuple):
    meta: dict[str, Any]
    chunks: dict[int, dict[int, bytes]]  # n: rendition id: bytes as aired
    chains: dict[int, bytes]  # n: chain right after the CHUNKS record that ends with n
    events: list[dict[str, Any]]
    end: dict[str, Any] | None


def read_record(data: bytes, at: int) -> tuple[Record, int] | None:
    """Section 2. None where no whole record stands."""
    if at + 28 > len(data):
        return None
    magic, kind, flags, count, n, last, length = struct.unpack_from(">4sBBHQQI", data, at)
    stop = at + 28 + length
    if magic != b"STN1" or flags or not 1 <= kind <= 4 or 40 * count > length or stop + 36 > len(data):
        return None
    crc, chain = struct.unpack_from(">I32s", data, stop)
    if zlib.crc32(data[at:stop]) != crc:
        return None
    parts, body = {}, at + 28 + 40 * count
    for i in range(count):
        part, zero, size, digest = struct.unpack_from(">HHI32s", data, at + 28 + 40 * i)
        if zero:
            return None
        parts[part] = (digest, data[body : body + size])
        body += size
    if body != stop or len(parts) != count:
        return None
    return Record(kind, n, last, parts, data[at : at + 28 + 40 * count], chain), stop + 36


def records_of(segment: bytes) -> tuple[list[Record], bool]:
    """Section 6: up to the first place where no whole record stands; whether one begins anywhere after it."""
    found, at = [], 0
    while (read := read_record(segment, at)) is not None:
        record, at = read
        found.append(record)
    while (at := segment.find(b"STN1", at + 1)) >= 0:
        if read_record(segment, at) is not None:
            return found, True
    return found, False


def link(chain: bytes, linked: bytes) -> bytes:
    return sha256(chain + linked).digest()


def cut(record: Record, before: bytes) -> bool:
    """Section 6: the chain is the beginning of the right one, and then zeros."""
    right = link(before, record.linked)
    return record.chain != right and right.startswith(record.chain.rstrip(bytes(1)))


def plain(record: Record, part: int) -> bytes:
    digest, data = record.parts[part]
    if sha256(data).digest() != digest:
        raise ValueError(f"part {part} is not what its digest says")
    return data


def first_frame(rendition: dict[str, Any], chunk_samples: int, n: int) -> int:
    """Section 4."""
    frame = rendition["frame_samples"]
    return (2 * (n * chunk_samples + rendition["priming_samples"]) + frame) // (2 * frame)


def fragment(rendition: dict[str, Any], n: int, first: int, frames: list[bytes]) -> bytes:
    """Section 4: moof + mdat."""
    count, samples = len(frames), rendition["frame_samples"]
    moof = struct.pack(">I4sI4sIII4s", 96 + 4 * count, b"moof", 16, b"mfhd", 0, n, 72 + 4 * count, b"traf")
    moof += struct.pack(">I4sIIII", 24, b"tfhd", 0x020028, 1, samples, 0x02000000)
    moof += struct.pack(">I4sIQ", 20, b"tfdt", 0x01000000, first * samples - rendition["priming_samples"])
    moof += struct.pack(">I4sIII", 20 + 4 * count, b"trun", 0x201, count, 104 + 4 * count)
    moof += b"".join(struct.pack(">I", len(frame)) for frame in frames)
    return moof + struct.pack(">I4s", 8 + sum(map(len, frames)), b"mdat") + b"".join(frames)


def hold_frames(packed: bytes) -> list[bytes]:
    (count,) = struct.unpack_from(">H", packed)
    frames, at = [], 2 + 2 * count
    for size in struct.unpack_from(f">{count}H", packed, 2):
        frames.append(packed[at : at + size])
        at += size
    return frames


def hold_chunk(meta: dict[str, Any], rendition: dict[str, Any], loop: list[bytes], n: int) -> bytes:
    first = first_frame(rendition, meta["chunk_samples"], n)
    stop = first_frame(rendition, meta["chunk_samples"], n + 1)
    frames = [loop[k % len(loop)] for k in range(first, stop)]
    return b"".join(frames) if rendition["codec"] == "mp3" else fragment(rendition, n, first, frames)


class Reading:
    """Sections 3 and 6: what is known after each record."""

    def __init__(self, opening: Record) -> None:
        self.meta = json.loads(plain(opening, 0))
        self.renditions = {rendition["id"]: rendition for rendition in self.meta["renditions"]}
        self.holds = {i: hold_frames(plain(opening, 32 + i)) for i in self.renditions}
        self.chain = link(bytes(32), opening.linked[:4] + bytes([EVENT]) + opening.linked[5:])
        if self.chain != opening.chain:
            raise ValueError("the first segment does not state the chain of its own contents")
        self.recent = [self.chain]
        self.digests = {i: bytes(32) for i in self.renditions}
        self.next_n = self.meta["first_n"]
        self.tape = Tape(self.meta, {}, {}, [], None)

    def go_on(self, index: int, opening: Record) -> list[bytes]:
        """A later segment -> the chains of the records that it has to repeat."""
        meta = json.loads(plain(opening, 0))
        if meta != {**self.meta, "segment": index} or opening.n != index or opening.chain not in self.recent[-65:]:
            raise ValueError(f"segment {index} does not go on from those before it")
        return self.recent[self.recent.index(opening.chain) + 1 :]

    def take(self, record: Record) -> None:
        if self.tape.end is not None or link(self.chain, record.linked) != record.chain:
            raise ValueError(f"the chain breaks at chunk {self.next_n}")
        {CHUNKS: self.take_chunks, EVENT: self.take_event, END: self.take_end}[record.kind](record)
        self.chain = record.chain
        self.recent.append(record.chain)

    def take_chunks(self, record: Record) -> None:
        if record.n != self.next_n or record.last < record.n or set(record.parts) != set(self.renditions):
            raise ValueError(f"not chunk {self.next_n}")
        for n in range(record.n, record.last + 1):
            self.tape.chunks[n] = {}
            for i, (_, data) in record.parts.items():
                aired = data or hold_chunk(self.meta, self.renditions[i], self.holds[i], n)
                self.digests[i] = sha256(self.digests[i] + struct.pack(">Q", n) + aired).digest()
                self.tape.chunks[n][i] = aired
        if self.digests != {i: digest for i, (digest, _) in record.parts.items()}:
            raise ValueError(f"the digests after chunk {record.last} do not match")
        self.next_n = record.last + 1
        self.tape.chains[record.last] = record.chain

    def take_event(self, record: Record) -> None:
        self.tape.events.append({"n": record.n, "last": record.last, **json.loads(plain(record, 0))})

    def take_end(self, record: Record) -> None:
        """Section 5."""
        body, end = plain(record, 0), json.loads(plain(record, 0))
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.meta["key"]))
            key.verify(plain(record, 1), b"stentor tape end\n" + body)
        except InvalidSignature:
            raise ValueError("the signature is not the key's") from None
        digests = {rendition["name"]: self.digests[i].hex() for i, rendition in self.renditions.items()}
        stated = (end["show"], end["first_n"], end["last_n"], end["chain"], end["renditions"])
        found = (self.meta["show"], self.meta["first_n"], self.next_n - 1, self.chain.hex(), digests)
        if stated != found:
            raise ValueError("the end does not state what is on the tape")
        self.tape = self.tape._replace(end=end)


def check(segments: list[bytes]) -> Tape:
    """Everything on a tape; the last record in a file may be torn."""
    reading: Reading | None = None
    for index, segment in enumerate(segments):
        records, missing = records_of(segment)
        if not records or records[0].kind != SEGMENT:
            raise ValueError(f"file {index} does not begin with a segment")
        opening, *rest = records
        repeats = reading.go_on(index, opening) if reading else []
        reading = reading or Reading(opening)
        if rest and not missing and cut(rest[-1], records[-2].chain):
            rest.pop()
        for record, repeated in zip(rest, repeats, strict=False):
            if record.chain != repeated:
                raise ValueError("a repeated record is not the one that was there")
        for record in rest[len(repeats) :]:
            reading.take(record)
    if reading is None or missing:
        raise ValueError("records are missing")
    return reading.tape
