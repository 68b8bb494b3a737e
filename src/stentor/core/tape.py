"""The tape as a machine: records to append, in order, each bound to all before it; and the check of what was written.

`TapeWriter` makes bytes and never touches a disk, so the chain goes on while the disk fails. A chunk that was hold is
recorded without bytes: hold is a function of *n*, and the digests still cover what was aired.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

import msgspec

from stentor.formats import chunks, tape, tapemeta
from stentor.model.rendition import RENDITIONS, Rendition

Holds = Mapping[int, chunks.Hold]
REPEATED_RECORDS_MAX = 64  # a segment may repeat so many records of the one before, whose sync failed


@dataclass(slots=True)
class TapeWriter:
    """State of a tape being written: the next chunk, the chain, and one chain a rendition."""

    meta: tapemeta.SegmentMeta
    holds: Holds
    next_n: int
    chain: bytes = tape.GENESIS
    renditions: dict[int, bytes] = field(default_factory=lambda: {r.id: tape.GENESIS for r in RENDITIONS})
    segment: int = 0
    ended: bool = False

    @classmethod
    def begin(cls, meta: tapemeta.SegmentMeta, holds: Holds) -> TapeWriter:
        """A tape with nothing on it. Its first chain binds the show's meta, headers and hold."""
        writer = cls(meta, holds, meta.first_n)
        _, writer.chain = tape.encode(tape.Kind.EVENT, 0, 0, writer._segment_parts(0), tape.GENESIS)
        return writer

    @classmethod
    def resume(cls, reader: TapeReader) -> TapeWriter:
        """Go on where `reader` found the last whole record. Open a segment first: torn bytes stay."""
        assert reader.meta is not None and reader.sound
        ended = reader.end is not None
        renditions = dict(reader.renditions)
        return cls(reader.meta, reader.holds, reader.next_n, reader.chain, renditions, reader.segments, ended)

    def _segment_parts(self, segment: int) -> list[tape.Part]:
        meta = msgspec.structs.replace(self.meta, segment=segment)
        headers = [tape.plain(tape.PART_HEADER + r.id, chunks.header(r)) for r in RENDITIONS if r.framed]
        holds = [tape.plain(tape.PART_HOLD + r.id, self.holds[r.id].pack()) for r in RENDITIONS]
        return [tape.plain(tape.PART_META, msgspec.json.encode(meta)), *headers, *holds]

    def open_segment(self, chain: bytes | None = None) -> bytes:
        """The record that begins the next file; it states the chain (or the newest) that the file goes on from."""
        parts = self._segment_parts(self.segment)
        record, _ = tape.encode(tape.Kind.SEGMENT, self.segment, 0, parts, self.chain if chain is None else chain)
        self.segment += 1
        return record

    def add_chunk(self, by_id: Mapping[int, bytes | None]) -> bytes:
        """Chunk `next_n`: its bytes by rendition id, None for hold."""
        assert not self.ended
        n = self.next_n
        parts = [self._part(rendition, n, by_id[rendition.id]) for rendition in RENDITIONS]
        self.next_n += 1
        return self._link(tape.Kind.CHUNKS, n, n, parts)

    def _part(self, rendition: Rendition, n: int, data: bytes | None) -> tape.Part:
        aired = self.holds[rendition.id].chunk(self.meta.grid, n) if data is None else data
        digest = tape.rendition_link(self.renditions[rendition.id], n, aired)
        self.renditions[rendition.id] = digest
        return tape.Part(rendition.id, digest, data or b"")

    def add_hold(self, last: int) -> bytes:
        """Chunks `next_n`..`last` were hold in every rendition."""
        assert not self.ended and last >= self.next_n
        first = self.next_n
        for n in range(first, last + 1):
            parts = [self._part(rendition, n, None) for rendition in RENDITIONS]
        self.next_n = last + 1
        return self._link(tape.Kind.CHUNKS, first, last, parts)

    def add_event(self, what: str, at_ms: int, text: str = "", last: int = 0) -> bytes:
        """A note at `next_n`, or about the chunks up to `last`."""
        body = msgspec.json.encode(tapemeta.EventMeta(what, at_ms, text))
        return self._link(tape.Kind.EVENT, self.next_n, last, [tape.plain(tape.PART_META, body)])

    def add_end(self, ended_wall_ns: int, signer: Callable[[bytes], bytes]) -> bytes:
        """The end: nothing follows. `signer` makes an Ed25519 signature with the key that the segments name."""
        assert not self.ended
        named = {r.name: self.renditions[r.id].hex() for r in RENDITIONS}
        first, last, show = self.meta.first_n, self.next_n - 1, self.meta.show
        end = tapemeta.EndMeta(
            tapemeta.VERSION, show, first, last, ended_wall_ns, self.chain.hex(), named, self.meta.key
        )
        body = msgspec.json.encode(end)
        signature = signer(tape.SIGNED_PREFIX + body)
        self.ended = True
        parts = [tape.plain(tape.PART_META, body), tape.plain(tape.PART_SIGNATURE, signature)]
        return self._link(tape.Kind.END, self.next_n, self.next_n, parts)

    def _link(self, kind: tape.Kind, n: int, last: int, parts: list[tape.Part]) -> bytes:
        record, self.chain = tape.encode(kind, n, last, parts, self.chain)
        return record


class Finding(NamedTuple):
    """Something wrong with a tape. `fatal`: what is aired cannot be proven from here on."""

    segment: int
    offset: int
    reason: str
    fatal: bool = True


class _Mark(NamedTuple):
    """The reader's state after a record, to go back to."""

    chain: bytes
    next_n: int
    digests: tuple[bytes, ...]
    hold_chunks: int
    events: int
    chains: int


class Entry(NamedTuple):
    """Where a chunk of one rendition is: `length` 0 for hold."""

    segment: int
    offset: int
    length: int


def _bound_bytes(data: bytes | memoryview, part: tape.Located) -> bytes:
    """The bytes of a plain part; raises `ValueError` if they are not those that the chain covers."""
    found = tape.part_bytes(data, part)
    if sha256(found).digest() != part.digest:
        raise ValueError("bytes are not those that the chain covers")
    return found


@dataclass(slots=True)
class TapeReader:
    """Reads segments in order, checks everything, and keeps where each chunk is.

    Feed each segment's bytes once to `receive_segment`; a growing last segment may be fed again from `resume_at`.
    """

    key_checks: Callable[[bytes, bytes, bytes], bool]  # (public key, message, signature)
    hash_chunks: bool = True  # whether to hash the bytes of chunks too; without, CRC and chain only
    meta: tapemeta.SegmentMeta | None = None
    holds: dict[int, chunks.Hold] = field(default_factory=dict)
    headers: dict[int, bytes] = field(default_factory=dict)
    chain: bytes = tape.GENESIS
    renditions: dict[int, bytes] = field(default_factory=dict)
    next_n: int = 0
    segments: int = 0
    resume_at: int = 0
    index: dict[int, list[Entry]] = field(default_factory=dict)
    chains: list[tuple[int, bytes]] = field(default_factory=list)  # (n, the chain after the record of chunk n)
    events: list[tuple[int, int, tapemeta.EventMeta]] = field(default_factory=list)
    end: tapemeta.EndMeta | None = None
    end_signature: bytes = b""
    hold_chunks: int = 0
    findings: list[Finding] = field(default_factory=list)
    tail: tape.Broken | None = None  # what stands after the last whole record of the last segment: a torn write

    _marks: deque[_Mark] = field(default_factory=lambda: deque(maxlen=REPEATED_RECORDS_MAX + 1))

    @property
    def sound(self) -> bool:
        return not any(finding.fatal for finding in self.findings)

    def receive_segment(self, data: bytes | memoryview) -> bool:
        """Take the next segment from its first byte; -> whether reading can go on. A torn tail is noted, not fatal."""
        first = tape.read(data)
        if not isinstance(first, tape.Record) or first.kind is not tape.Kind.SEGMENT:
            return self._find(0, first.reason if isinstance(first, tape.Broken) else "does not begin with a segment")
        if not self._take_segment(data, first):
            return False
        self.segments += 1
        self.resume_at = first.end
        return self.receive_more(data)

    def receive_more(self, data: bytes | memoryview) -> bool:
        """Go on with the last segment from `resume_at`; `data` is the whole segment as it is now."""
        self.tail = None
        for found in tape.scan(data, self.resume_at):
            if isinstance(found, tape.Broken):
                self.tail = found if found.torn else None
                return found.torn or self._find(found.offset, found.reason)
            if not self._take(data, found):
                return False
            self.resume_at = found.end
        return True

    def _find(self, offset: int, reason: str) -> bool:
        self.findings.append(Finding(max(0, self.segments - 1), offset, reason))
        return False

    def _take_segment(self, data: bytes | memoryview, record: tape.Record) -> bool:
        try:
            meta = msgspec.json.decode(tape.part_bytes(data, record.parts[tape.PART_META]), type=tapemeta.SegmentMeta)
        except (KeyError, msgspec.DecodeError) as error:
            return self._find(record.offset, f"segment without readable meta: {error}")
        if record.n != self.segments or meta.segment != self.segments:
            return self._find(record.offset, f"segment {record.n} where segment {self.segments} belongs")
        if self.meta is None:
            return self._take_first_segment(data, record, meta)
        same_tape = msgspec.structs.replace(meta, segment=0) == self.meta
        if not same_tape or not (record.chain == self.chain or self._go_back_to(record.chain)):
            return self._find(record.offset, "segment is of another tape, or one before it is missing or was cut")
        return True

    def _mark(self) -> None:
        digests = tuple(self.renditions.values())
        self._marks.append(
            _Mark(self.chain, self.next_n, digests, self.hold_chunks, len(self.events), len(self.chains))
        )

    def _go_back_to(self, chain: bytes) -> bool:
        """Forget the last records: the next segment repeats them, since the disk had not confirmed them."""
        assert self.meta is not None
        mark = next((mark for mark in self._marks if mark.chain == chain), None)
        if mark is None:
            return False
        self.chain, self.next_n, self.hold_chunks = mark.chain, mark.next_n, mark.hold_chunks
        self.renditions = dict(zip(self.renditions, mark.digests, strict=True))
        for entries in self.index.values():
            del entries[mark.next_n - self.meta.first_n :]
        del self.events[mark.events :], self.chains[mark.chains :]
        self.end = None
        return True

    def _take_first_segment(self, data: bytes | memoryview, record: tape.Record, meta: tapemeta.SegmentMeta) -> bool:
        parts = [tape.plain(part_id, tape.part_bytes(data, part)) for part_id, part in record.parts.items()]
        _, bound = tape.encode(tape.Kind.EVENT, 0, 0, parts, tape.GENESIS)
        if bound != record.chain:
            return self._find(record.offset, "the first chain does not bind this meta, these headers and this hold")
        try:
            for item in meta.renditions:
                rendition = tapemeta.rendition_of(item)
                hold = record.parts[tape.PART_HOLD + rendition.id]
                self.holds[rendition.id] = chunks.Hold.unpack(rendition, tape.part_bytes(data, hold))
                self.renditions[rendition.id] = tape.GENESIS
                self.index[rendition.id] = []
        except (KeyError, ValueError) as error:
            return self._find(record.offset, f"segment without hold: {error}")
        self.headers = {
            part.id - tape.PART_HEADER: part.data for part in parts if tape.PART_HEADER <= part.id < tape.PART_HOLD
        }
        self.meta, self.chain, self.next_n = meta, record.chain, meta.first_n
        self._mark()
        return True

    def _take(self, data: bytes | memoryview, record: tape.Record) -> bool:
        if self.end is not None:
            return self._find(record.offset, "a record after the end")
        if tape.link(self.chain, record.linked) != record.chain:
            return self._find(record.offset, "the chain does not go on here: a record was changed, moved or left out")
        taken = {
            tape.Kind.CHUNKS: self._take_chunks,
            tape.Kind.EVENT: self._take_event,
            tape.Kind.END: self._take_end,
            tape.Kind.SEGMENT: self._take_stray_segment,
        }[record.kind](data, record)
        if taken:
            self.chain = record.chain
            self.chains.append((record.last, record.chain))
            self._mark()
        return taken

    def _take_stray_segment(self, _data: bytes | memoryview, record: tape.Record) -> bool:
        return self._find(record.offset, "a segment inside a segment")

    def _take_chunks(self, data: bytes | memoryview, record: tape.Record) -> bool:
        assert self.meta is not None
        if record.n != self.next_n or record.last < record.n:
            return self._find(record.offset, f"chunks {record.n}..{record.last} where {self.next_n} belongs")
        if set(record.parts) != set(self.index):
            return self._find(record.offset, "a record without all renditions")
        segment = self.segments - 1
        for rendition_id, part in record.parts.items():
            if part.length and record.last != record.n:
                return self._find(record.offset, "bytes for more than one chunk")
            entries = self.index[rendition_id]
            entries.extend([Entry(segment, part.offset, part.length)] * (record.last - record.n + 1))
            if self.hash_chunks and not self._digest_matches(data, record, rendition_id, part):
                return self._find(record.offset, f"chunk {record.n}: bytes of rendition {rendition_id} were changed")
            self.renditions[rendition_id] = part.digest
        if not any(part.length for part in record.parts.values()):
            self.hold_chunks += record.last - record.n + 1
        self.next_n = record.last + 1
        return True

    def _digest_matches(
        self, data: bytes | memoryview, record: tape.Record, rendition_id: int, part: tape.Located
    ) -> bool:
        assert self.meta is not None
        digest = self.renditions[rendition_id]
        grid, hold = self.meta.grid, self.holds[rendition_id]
        for n in range(record.n, record.last + 1):
            aired = tape.part_bytes(data, part) if part.length else hold.chunk(grid, n)
            digest = tape.rendition_link(digest, n, aired)
        return digest == part.digest

    def _take_event(self, data: bytes | memoryview, record: tape.Record) -> bool:
        try:
            body = _bound_bytes(data, record.parts[tape.PART_META])
            self.events.append((record.n, record.last, msgspec.json.decode(body, type=tapemeta.EventMeta)))
        except (KeyError, ValueError) as error:
            return self._find(record.offset, f"unreadable event: {error}")
        return True

    def _take_end(self, data: bytes | memoryview, record: tape.Record) -> bool:
        assert self.meta is not None
        try:
            body = _bound_bytes(data, record.parts[tape.PART_META])
            signature = _bound_bytes(data, record.parts[tape.PART_SIGNATURE])
            end = msgspec.json.decode(body, type=tapemeta.EndMeta)
            key = bytes.fromhex(self.meta.key)
        except (KeyError, ValueError) as error:
            return self._find(record.offset, f"unreadable end: {error}")
        named = {item.name: self.renditions[item.id].hex() for item in self.meta.renditions}
        stated = (end.chain, end.renditions, end.first_n, end.last_n, end.show)
        if stated != (self.chain.hex(), named, self.meta.first_n, self.next_n - 1, self.meta.show):
            return self._find(record.offset, "the end does not state what the tape holds")
        if not self.key_checks(key, tape.SIGNED_PREFIX + body, signature):
            return self._find(record.offset, "the signature of the end is not the key's")
        self.end, self.end_signature = end, signature
        return True
