"""The tape as a machine: records to append, in order, each bound to all before it; and the check of what was written.

`TapeWriter` makes bytes and never touches a disk, so the chain goes on while the disk fails. A chunk that was hold is
recorded without bytes: hold is a function of *n*, and the digests still cover what was aired.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from stentor.formats import chunks, proof, tape, tapemeta, taperow
from stentor.model.rendition import RENDITIONS, Rendition
from stentor.model.tapeindex import TapeIndex

Holds = Mapping[int, chunks.Hold]
CHUNKS_MAX = 2**22  # of a tape: 24 days of half seconds
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


@dataclass(slots=True)
class TapeReader:
    """Reads segments in order, checks everything, and keeps where each chunk is.

    Feed each segment's bytes once to `receive_segment`; a growing last segment may be fed again from `resume_at`.
    """

    key_checks: Callable[[bytes, bytes, bytes], bool]  # (public key, message, signature)
    hash_chunks: bool = True  # whether to hash the bytes of chunks too; without, CRC and chain only
    chunks_later: bool = False  # whether to leave bytes and CRC of chunks to `unchanged`
    meta: tapemeta.SegmentMeta | None = None
    holds: dict[int, chunks.Hold] = field(default_factory=dict)
    headers: dict[int, bytes] = field(default_factory=dict)
    chain: bytes = tape.GENESIS
    renditions: dict[int, bytes] = field(default_factory=dict)
    next_n: int = 0
    segments: int = 0
    resume_at: int = 0
    index: TapeIndex = field(default_factory=lambda: TapeIndex(()))
    chains: list[tuple[int, bytes]] = field(default_factory=list)  # (newest chunk, the chain after a record)
    checkpoints: list[proof.Checkpoint] = field(default_factory=list)
    events: list[tuple[int, int, tapemeta.EventMeta]] = field(default_factory=list)
    end: tapemeta.EndMeta | None = None
    end_body: bytes = b""  # what `end_signature` signs, after `tape.SIGNED_PREFIX`
    end_signature: bytes = b""
    hold_chunks: int = 0
    findings: list[Finding] = field(default_factory=list)
    remains: list[Finding] = field(default_factory=list)  # of failed writes: torn ends that a later segment made good
    tail: tape.Broken | None = None  # why the last segment was not read to its end; `torn`: nothing whole comes after

    _rows: taperow.Rows = field(default_factory=lambda: taperow.Rows(()))  # of this tape's renditions
    _recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=REPEATED_RECORDS_MAX + 1))  # chains
    _places: array[int] = field(default_factory=lambda: array("Q"))  # of CHUNKS records: segment, offset, by turns
    _segment: int = 0  # the one in hand
    _to_repeat: int = 0  # how many of the last records the segment in hand has yet to repeat

    @property
    def fault(self) -> Finding | None:
        """Why what was aired cannot be proven, or be written on: None for a sound tape."""
        faults = [finding for finding in self.findings if finding.fatal]
        if self.tail is not None and not self.tail.torn:
            reason = f"{self.tail.reason}, and whole records follow"
            faults.append(Finding(self.segments - 1, self.tail.offset, reason))
        return min(faults, default=None)

    @property
    def sound(self) -> bool:
        return self.fault is None

    def receive_segment(self, data: bytes | memoryview) -> bool:
        """Take the next segment from its first byte; -> whether reading can go on.

        Where a segment cannot be read to its end, that is noted in `tail`: the next one may go on from before there.
        """
        data, self._segment = memoryview(data), self.segments
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
        self.tail, data = None, memoryview(data)
        self._receive_rows(data)
        while (found := self._next(data)) is not None:
            if isinstance(found, tape.Record) and self._cut_in_chain(found):
                found = tape.Broken(found.offset, "record cut short in its chain", True)
            if isinstance(found, tape.Broken):
                self.tail = found._replace(torn=not tape.whole_after(data, found.offset))
                return True
            if not self._take(data, found):
                return False
            self.resume_at = found.end
            self._receive_rows(data)
        return True

    def _receive_rows(self, data: memoryview) -> None:
        """Take the records that are just the next chunk, fast, up to the first where there is more to say."""
        if self.end is not None or self._to_repeat:
            return
        newest = None
        while (row := self._rows.at(data, self.resume_at)) is not None and self._follows(data, row):
            self._keep_row(data, row)
            self.resume_at, newest = row.end, row
        if newest is not None:
            self._keep_digests(self._rows.digests(data, newest))

    def _follows(self, data: memoryview, row: taperow.Row) -> bool:
        assert self.meta is not None
        if row.n != self.next_n or row.n - self.meta.first_n >= CHUNKS_MAX:
            return False
        return taperow.goes_on(data, row, self.chain) and (self.chunks_later or self._is_unchanged(data, row))

    def _is_unchanged(self, data: memoryview, row: taperow.Row) -> bool:
        if not taperow.is_whole(data, row):
            return False
        if self.hash_chunks:
            stated = self._rows.digests(data, row)
            if not taperow.is_unchanged(data, row, list(self.renditions.values()), stated):
                return False
            self._keep_digests(stated)
        return True

    def _keep_row(self, data: memoryview, row: taperow.Row) -> None:
        segment = self.segments - 1
        self.index.add_row(segment, row.body, row.lengths)
        self._places.extend((segment, row.offset))
        if row.n % proof.CHECKPOINT_CHUNKS == 0:
            self.checkpoints.append(proof.Checkpoint(row.n, self.chain, bytes(data[row.offset : row.body])))
        self.next_n, self.chain = row.n + 1, row.chain
        self.chains.append((row.n, row.chain))
        self._recent.append(row.chain)

    def _keep_digests(self, digests: Sequence[bytes]) -> None:
        self.renditions = dict(zip(self.index.ids, digests, strict=True))

    def _next(self, data: memoryview) -> tape.Record | tape.Broken | None:
        """What stands at `resume_at`. A copy is not looked at again, and so now."""
        return tape.read(data, self.resume_at, chunks_later=self.chunks_later and not self._to_repeat)

    @property
    def _before(self) -> bytes:
        """The chain that the next record goes on from, be it a copy or not."""
        return self._recent[-1 - self._to_repeat]

    def _cut_in_chain(self, record: tape.Record) -> bool:
        """Whether the end of a record's chain, which no checksum covers, is missing: after a power failure there are
        zeros where a file was longer than what had been written to it."""
        if record.chain[-1]:
            return False
        after = tape.link(self._before, record.linked)
        return record.chain != after and after.startswith(record.chain.rstrip(b"\0"))

    def _find(self, offset: int, reason: str) -> bool:
        self.findings.append(Finding(self._segment, offset, reason))
        return False

    def _take_segment(self, data: memoryview, record: tape.Record) -> bool:
        try:
            meta = msgspec.json.decode(tape.part_bytes(data, record.parts[tape.PART_META]), type=tapemeta.SegmentMeta)
        except (KeyError, ValueError) as error:
            return self._find(record.offset, f"segment without readable meta: {error}")
        if record.n != self.segments or meta.segment != self.segments:
            return self._find(record.offset, f"segment {record.n} where segment {self.segments} belongs")
        if self.meta is None:
            return self._take_first_segment(data, record, meta)
        same_tape = msgspec.structs.replace(meta, segment=0) == self.meta
        if not same_tape or record.chain not in self._recent:
            return self._find(record.offset, "segment is of another tape, or one before it is missing or was cut")
        self._note_remains()
        self._to_repeat = len(self._recent) - 1 - self._recent.index(record.chain)
        return True

    def _note_remains(self) -> None:
        """The segment before ends in what a failed write left; this one goes on from before there."""
        if self.tail is not None:
            self.remains.append(Finding(self.segments - 1, self.tail.offset, self.tail.reason, fatal=False))

    def _take_first_segment(self, data: memoryview, record: tape.Record, meta: tapemeta.SegmentMeta) -> bool:
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
        except (KeyError, ValueError) as error:
            return self._find(record.offset, f"segment without hold: {error}")
        self.headers = {
            part.id - tape.PART_HEADER: part.data for part in parts if tape.PART_HEADER <= part.id < tape.PART_HOLD
        }
        self.index = TapeIndex(sorted(self.renditions))
        self.renditions = dict.fromkeys(self.index.ids, tape.GENESIS)
        self._rows = taperow.Rows(self.index.ids)
        self.meta, self.chain, self.next_n = meta, record.chain, meta.first_n
        self._recent.append(record.chain)
        return True

    def _take(self, data: memoryview, record: tape.Record) -> bool:
        if self._to_repeat:
            return self._take_again(record)
        if self.end is not None:
            return self._find(record.offset, "a record after the end")
        if tape.link(self.chain, record.linked) != record.chain:
            return self._find(record.offset, "the chain does not go on here: a record was changed, moved or left out")
        take = self._take_chunks if record.kind is tape.Kind.CHUNKS else self._take_other
        taken = take(data, record)
        if taken:
            self.chain = record.chain
            self.chains.append((self.next_n - 1, record.chain))
            self._recent.append(record.chain)
        return taken

    def _take_again(self, record: tape.Record) -> bool:
        """A record that the segment before has already, and whose sync had failed: the copy must be the same."""
        after = self._recent[-self._to_repeat]
        if record.chain != after or tape.link(self._before, record.linked) != after:
            return self._find(record.offset, "not the record that the segment before has in this place")
        self._to_repeat -= 1
        return True

    def _take_other(self, data: memoryview, record: tape.Record) -> bool:
        if record.kind is tape.Kind.EVENT:
            return self._take_event(data, record)
        if record.kind is tape.Kind.END:
            return self._take_end(data, record)
        return self._find(record.offset, "a segment inside a segment")

    def _take_chunks(self, data: memoryview, record: tape.Record) -> bool:
        assert self.meta is not None
        if record.n != self.next_n or record.last < record.n:
            return self._find(record.offset, f"chunks {record.n}..{record.last} where {self.next_n} belongs")
        if record.ids != self.index.ids and set(record.ids) != set(self.index.ids):
            return self._find(record.offset, "a record without all renditions")
        record = record.in_order(self.index.ids)
        if record.last != record.n and any(record.lengths):
            return self._find(record.offset, "bytes for more than one chunk")
        if record.last - self.meta.first_n >= CHUNKS_MAX:
            return self._find(record.offset, f"more than {CHUNKS_MAX} chunks")
        if self.hash_chunks and not self.chunks_later and (reason := self._changed(data, record, self.renditions)):
            return self._find(record.offset, reason)
        self._keep_chunks(record)
        return True

    def unchanged(self, segments: Sequence[memoryview], first: int, stop: int) -> bool:
        """Whether the CHUNKS records number `first` up to `stop` are whole, and their tables those of their bytes.

        This is what `chunks_later` leaves out: each record can be checked by itself, once all their tables are known to
        be on the chain, and so by several processes. `segments` are those that were fed.
        """
        before: Sequence[bytes] | None = self._stated(segments, first - 1)
        for place in range(first, stop):
            segment, offset = self._place(place)
            if before is not None:
                before = self._confirmed(segments[segment], offset, before)
        return before is not None

    def places_before(self, segment: int, offset: int) -> int:
        """How many CHUNKS records begin before a byte of a segment."""
        count = self.chunk_records
        return bisect_left(range(count), (segment, offset), key=self._place)

    @property
    def chunk_records(self) -> int:
        """How many CHUNKS records were read."""
        return len(self._places) // 2

    def _place(self, number: int) -> tuple[int, int]:
        return self._places[2 * number], self._places[2 * number + 1]

    def _stated(self, segments: Sequence[memoryview], place: int) -> Sequence[bytes]:
        """The digests that the record at `place` states, or those before the first."""
        if place < 0:
            return [tape.GENESIS] * len(self.index.ids)
        segment, offset = self._place(place)
        return tape.parse(segments[segment], offset).in_order(self.index.ids).digests

    def _confirmed(self, data: memoryview, offset: int, before: Sequence[bytes]) -> Sequence[bytes] | None:
        """The digests that the record at `offset` states, after those `before`; None if they, or its CRC, are wrong."""
        row = self._rows.at(data, offset)
        if row is not None and taperow.is_whole(data, row):
            stated = self._rows.digests(data, row)
            if taperow.is_unchanged(data, row, before, stated):
                return stated
        record = tape.read(data, offset)
        if not isinstance(record, tape.Record):
            return None
        record = record.in_order(self.index.ids)
        return None if self._changed(data, record, dict(zip(record.ids, before, strict=True))) else record.digests

    def _changed(self, data: memoryview, record: tape.Record, before: Mapping[int, bytes]) -> str:
        """What is wrong if the digests of the record, after `before`, are not those of its bytes; or ""."""
        assert self.meta is not None
        columns = zip(record.ids, record.digests, record.offsets, record.lengths, strict=True)
        for rendition_id, stated, offset, length in columns:
            if length:
                digest = tape.rendition_link(before[rendition_id], record.n, data[offset : offset + length])
            else:
                digest = self._hold_digest(before[rendition_id], record, rendition_id)
            if digest != stated:
                name = next(item.name for item in self.meta.renditions if item.id == rendition_id)
                return f"chunk {record.n}: bytes of {name} were changed"
        return ""

    def _hold_digest(self, digest: bytes, record: tape.Record, rendition_id: int) -> bytes:
        """The digest of a rendition after the chunks of `record`, all hold, from the one before."""
        assert self.meta is not None
        grid, hold = self.meta.grid, self.holds[rendition_id]
        for n in range(record.n, record.last + 1):
            digest = tape.rendition_link(digest, n, hold.chunk(grid, n))
        return digest

    def _keep_chunks(self, record: tape.Record) -> None:
        count, segment = record.last - record.n + 1, self.segments - 1
        if count == 1:
            self.index.add(segment, record.offsets, record.lengths)
        else:
            self.index.add_run(segment, record.offsets, record.lengths, count)
        self._places.extend((segment, record.offset))
        self.renditions.update(zip(record.ids, record.digests, strict=True))
        if not any(record.lengths):
            self.hold_chunks += count
        if proof.is_checkpoint(record.n, record.last):
            self.checkpoints.append(proof.Checkpoint(record.last, self.chain, record.linked))
        self.next_n = record.last + 1

    def _take_event(self, data: memoryview, record: tape.Record) -> bool:
        try:
            body = tape.plain_bytes(data, record.parts[tape.PART_META])
            self.events.append((record.n, record.last, msgspec.json.decode(body, type=tapemeta.EventMeta)))
        except (KeyError, ValueError) as error:
            return self._find(record.offset, f"unreadable event: {error}")
        return True

    def _take_end(self, data: memoryview, record: tape.Record) -> bool:
        assert self.meta is not None
        try:
            body = tape.plain_bytes(data, record.parts[tape.PART_META])
            signature = tape.plain_bytes(data, record.parts[tape.PART_SIGNATURE])
            end = msgspec.json.decode(body, type=tapemeta.EndMeta)
            key = bytes.fromhex(self.meta.key)
        except (KeyError, ValueError) as error:
            return self._find(record.offset, f"unreadable end: {error}")
        named = {item.name: self.renditions[item.id].hex() for item in self.meta.renditions}
        stated = (end.chain, end.renditions, end.first_n, end.last_n, end.show, end.key)
        if stated != (self.chain.hex(), named, self.meta.first_n, self.next_n - 1, self.meta.show, self.meta.key):
            return self._find(record.offset, "the end does not state what the tape holds")
        if not self.key_checks(key, tape.SIGNED_PREFIX + body, signature):
            return self._find(record.offset, "the signature of the end is not the key's")
        self.end, self.end_body, self.end_signature = end, body, signature
        return True
