"""Any history of writes, failed syncs, torn ends and crashes leaves a tape that is read back: all that was confirmed,
nothing that was not written, and never a byte that was changed afterwards."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.core.tape import TapeReader, TapeWriter
from stentor.formats import chunks, tape, tapemeta
from stentor.model.rendition import RENDITIONS
from support.forgery import forged

HOLDS = {r.id: chunks.Hold(r, (b"\xff\xfb\x54\xc4" + bytes(8),)) for r in RENDITIONS}
META = tapemeta.SegmentMeta(1, "s", "t", 0, 10**18, 24_000, 48_000, 7, "ab" * 32, tapemeta.rendition_metas())
UNCONFIRMED_MAX = 64
Chunk = tuple[bytes, ...]  # one of each rendition, empty for hold


def signer(message: bytes) -> bytes:
    return hashlib.sha512(message).digest()


def checks(_key: bytes, message: bytes, signature: bytes) -> bool:
    return signer(message) == signature


@dataclass
class History:
    """A writer before a disk that may fail. What was written since `sync` may be torn."""

    writer: TapeWriter = field(default_factory=lambda: TapeWriter.begin(META, HOLDS))
    segments: list[bytes] = field(default_factory=list)
    aired: list[Chunk] = field(default_factory=list)
    waiting: list[tuple[bytes, bytes]] = field(default_factory=list)  # (chain before, record) without a sync
    confirmed: int = 0  # how many of `aired` must be there whatever happens
    safe: int = 0  # bytes of the last segment that are on disk

    def __post_init__(self) -> None:
        self.open(self.writer.chain)

    def open(self, chain: bytes) -> None:
        self.segments.append(self.writer.open_segment(chain))
        self.safe = len(self.segments[-1])  # it has its name once it is whole

    def put(self, before: bytes, record: bytes) -> None:
        self.waiting.append((before, record))
        self.segments[-1] += record
        if len(self.waiting) == UNCONFIRMED_MAX:
            self.sync()

    def chunk(self, words: Chunk) -> None:
        before = self.writer.chain
        record = self.writer.add_chunk({r.id: word or None for r, word in zip(RENDITIONS, words, strict=True)})
        self.aired.append(words)
        self.put(before, record)

    def hold(self, count: int) -> None:
        before = self.writer.chain
        record = self.writer.add_hold(self.writer.next_n + count - 1)
        self.aired += [(b"",) * len(RENDITIONS)] * count
        self.put(before, record)

    def event(self) -> None:
        before = self.writer.chain
        self.put(before, self.writer.add_event("note", 1))

    def end(self) -> None:
        before = self.writer.chain
        self.put(before, self.writer.add_end(9, signer))
        self.sync()

    def sync(self) -> None:
        self.waiting.clear()
        self.confirmed, self.safe = len(self.aired), len(self.segments[-1])

    def tear(self, keep: float, junk: bytes) -> None:
        """Of what was not confirmed, a part is there, and perhaps something else after it."""
        last = self.segments[-1]
        self.segments[-1] = last[: self.safe + round(keep * (len(last) - self.safe))] + junk

    def fail(self, keep: float, junk: bytes) -> None:
        """The disk took a part of it and failed: all that waits is written again, into a new segment."""
        self.tear(keep, junk)
        again, self.waiting = self.waiting, []
        self.open(again[0][0] if again else self.writer.chain)
        for before, record in again:
            self.put(before, record)

    def crash(self, keep: float, junk: bytes) -> None:
        """The recorder died: another goes on from what there is."""
        self.tear(keep, junk)
        reader = read(self.segments)
        assert reader.sound, reader.fault
        self.aired = self.aired[: len(reader.index)]
        assert len(self.aired) >= self.confirmed
        self.waiting.clear()
        self.writer = TapeWriter.resume(reader)
        self.open(self.writer.chain)


def read(segments: list[bytes]) -> TapeReader:
    reader = TapeReader(checks)
    all(map(reader.receive_segment, segments))
    return reader


class Slowly(TapeReader):
    """Looks at every record by itself, never at rows."""

    def _receive_rows(self, data: memoryview) -> None: ...


def read_in_shares(segments: list[bytes], shares: int) -> TapeReader:
    """As `stentor verify` reads a long tape: the bytes of chunks after everything else."""
    reader, views = TapeReader(checks, chunks_later=True), list(map(memoryview, segments))
    all(map(reader.receive_segment, views))
    stops = [reader.chunk_records * share // shares for share in range(shares + 1)]
    spotless = reader.sound and reader.tail is None and not reader.remains
    if spotless and all(reader.unchanged(views, first, stop) for first, stop in pairwise(stops)):
        return reader
    return read(segments)


def state(reader: TapeReader) -> list[object]:
    """All that a reader found."""
    names = [f.name for f in fields(reader) if f.name not in ("index", "_rows", "renditions")]
    entries = [list(reader.index.entries(rendition_id)) for rendition_id in reader.index.ids]
    return [*(getattr(reader, name) for name in names), entries, sorted(reader.renditions.items())]


def held(reader: TapeReader, segments: list[bytes]) -> list[Chunk]:
    """What a tape holds, by its index."""
    columns = [reader.index.entries(rendition.id) for rendition in RENDITIONS]
    return [tuple(segments[s][at : at + size] for s, at, size in row) for row in zip(*columns, strict=True)]


def records_of(segment: bytes) -> list[tape.Record]:
    return [record for record in tape.scan(segment) if isinstance(record, tape.Record)]


JUNK = st.sampled_from([b"", bytes(40), bytes(4096)])  # zeros: the file was longer than what was written to it
TORN = st.tuples(st.floats(0, 1), JUNK)
WORDS = st.lists(st.binary(max_size=9), min_size=len(RENDITIONS), max_size=len(RENDITIONS)).map(tuple)
STEPS = st.one_of(
    st.tuples(st.just("chunk"), st.tuples(WORDS)),
    st.tuples(st.just("hold"), st.tuples(st.integers(1, 4))),
    st.tuples(st.sampled_from(["event", "sync"]), st.just(())),
    st.tuples(st.sampled_from(["fail", "crash"]), TORN),
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    history = History()
    for name, arguments in draw(st.lists(STEPS, max_size=12)):
        getattr(history, name)(*arguments)
    return history


@settings(max_examples=200, deadline=None)
@given(histories(), st.floats(0, 1), JUNK)
def test_what_was_confirmed_is_there_and_nothing_else(history: History, keep: float, junk: bytes) -> None:
    history.tear(keep, junk)
    reader = read(history.segments)
    assert reader.sound and reader.end is None
    found = held(reader, history.segments)
    assert found == history.aired[: len(found)] and len(found) >= history.confirmed


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(1, 4))
def test_a_tape_that_ended_has_all_that_was_aired(history: History, shares: int) -> None:
    history.end()
    for reader in (read(history.segments), read_in_shares(history.segments, shares)):
        assert reader.sound and reader.end is not None and reader.end.last_n == 6 + len(history.aired)
        assert held(reader, history.segments) == history.aired


@settings(max_examples=250, deadline=None)
@given(histories(), st.data())
def test_no_changed_byte_is_taken_for_what_was_aired(history: History, data: st.DataObject) -> None:
    history.end()
    segments = list(history.segments)
    which = data.draw(st.integers(0, len(segments) - 1))
    at = data.draw(st.integers(0, len(segments[which]) - 1))
    old = segments[which]
    segments[which] = old[:at] + bytes([old[at] ^ data.draw(st.integers(1, 255))]) + old[at + 1 :]
    for reader in (read(segments), read_in_shares(segments, 2)):
        found = held(reader, segments)
        assert found == history.aired[: len(found)]
        assert found == history.aired or reader.end is None or not reader.sound


@settings(max_examples=250, deadline=None)
@given(histories(), st.data(), st.booleans(), st.booleans())
def test_rows_say_what_records_say(history: History, data: st.DataObject, hashed: bool, later: bool) -> None:
    """Whatever a changed, or a changed and mended, byte does to a tape: reading it fast finds the same."""
    history.end()
    segments = list(history.segments)
    which = data.draw(st.integers(0, len(segments) - 1))
    at = data.draw(st.integers(0, len(segments[which]) - 1))
    record = next((r for r in records_of(segments[which]) if r.offset <= at < r.end - 36), None)
    if record is not None and data.draw(st.booleans()):
        segments[which] = forged(segments[which], record, at)
    else:
        old = segments[which]
        segments[which] = old[:at] + bytes([old[at] ^ data.draw(st.integers(0, 255))]) + old[at + 1 :]
    readers = [kind(checks, hash_chunks=hashed, chunks_later=later) for kind in (TapeReader, Slowly)]
    for reader in readers:
        all(map(reader.receive_segment, segments))
    fast, slow = map(state, readers)
    assert fast == slow


@settings(max_examples=150, deadline=None)
@given(histories(), st.data())
def test_no_forged_byte_is_taken_for_what_was_aired(history: History, data: st.DataObject) -> None:
    """A change whose checksum was mended, in a part or in the table, is behind the chain or behind a digest."""
    history.end()
    segments = list(history.segments)
    which = data.draw(st.integers(0, len(segments) - 1))
    record = data.draw(st.sampled_from(records_of(segments[which])))
    at = data.draw(st.integers(record.offset, record.end - 37))
    segments[which] = forged(segments[which], record, at)
    inline, shared = read(segments), read_in_shares(segments, 2)
    assert inline.fault == shared.fault
    if inline.sound and inline.end is not None:
        assert held(inline, segments) == history.aired
