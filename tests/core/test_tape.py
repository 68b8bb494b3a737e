"""The tape: what was written is read back, and nothing can be changed, moved, cut or added unseen."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.tape import TapeReader, TapeWriter
from stentor.formats import chunks, tape, tapemeta
from stentor.model.rendition import RENDITIONS
from support.forgery import forged

HOLDS = {r.id: chunks.Hold(r, (b"hold" + bytes([r.id]), b"hum")) for r in RENDITIONS if r.framed} | {
    r.id: chunks.Hold(r, (b"\xff\xfb\x54\xc4" + bytes(188),)) for r in RENDITIONS if not r.framed
}


def meta(first_n: int = 5) -> tapemeta.SegmentMeta:
    return tapemeta.SegmentMeta(
        1, "town-hall", "Town hall", 0, 10**18, 24_000, 48_000, first_n, "ab" * 32, tapemeta.rendition_metas()
    )


def signer(message: bytes) -> bytes:
    return hashlib.sha512(b"secret" + message).digest()


def checks(_key: bytes, message: bytes, signature: bytes) -> bool:
    return signer(message) == signature


def chunk_of(n: int) -> dict[int, bytes | None]:
    return {r.id: None if n % 7 == 3 and r.id % 2 else b"%d/%d;" % (n, r.id) * 9 for r in RENDITIONS}


def write(count: int = 12) -> bytes:
    writer = TapeWriter.begin(meta(), HOLDS)
    out = writer.open_segment()
    for n in range(5, 5 + count):
        out += writer.add_chunk(chunk_of(n))
    out += writer.add_hold(5 + count + 20)
    out += writer.add_event("hold", 123, "the stage was silent", last=5 + count + 20)
    out += writer.add_chunk(chunk_of(5 + count + 21))
    return out + writer.add_end(10**18 + 9, signer)


def read(*segments: bytes) -> TapeReader:
    reader = TapeReader(checks)
    for segment in segments:
        if not reader.receive_segment(segment):
            break
    return reader


def test_what_was_written_is_read_back() -> None:
    data = write()
    reader = read(data)
    assert reader.findings == [] and reader.tail is None
    assert reader.end is not None and (reader.end.first_n, reader.end.last_n) == (5, 38)
    for n in range(5, 17):
        for rendition in RENDITIONS:
            entry = reader.index.entry(rendition.id, n - 5)
            assert data[entry.offset : entry.offset + entry.length] == (chunk_of(n)[rendition.id] or b"")
    assert [e.what for _, _, e in reader.events] == ["hold"]
    assert reader.hold_chunks == 21


def test_a_change_of_any_byte_is_seen() -> None:
    data = write(3)
    step = 37  # coprime to the record size: every field is hit by some offset
    for at in range(0, len(data), step):
        reader = read(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert reader.findings or reader.end is None, f"byte {at}"


def test_a_changed_chunk_with_a_mended_checksum_is_seen() -> None:
    data = write(3)
    first = [r for r in tape.scan(data) if isinstance(r, tape.Record)][1]
    part = first.parts[0]
    assert "were changed" in read(forged(data, first, part.offset)).findings[0].reason


def test_records_left_out_moved_or_doubled_are_seen() -> None:
    data = write(4)
    records = [data[r.offset : r.end] for r in tape.scan(data) if isinstance(r, tape.Record)]
    for order in ([0, 2, 3, 4, 5, 6, 7, 8], [0, 2, 1, 3, 4, 5, 6, 7, 8], [0, 1, 1, 2, 3, 4, 5, 6, 7, 8]):
        assert not read(b"".join(records[i] for i in order)).sound


@given(st.integers(1, 5000))
def test_a_torn_tail_loses_only_the_record_in_hand(cut: int) -> None:
    data = write(6)
    whole = [r.end for r in tape.scan(data) if isinstance(r, tape.Record)]
    at = max(whole[0], len(data) - cut)
    reader = read(data[:at])
    assert reader.sound
    assert reader.resume_at == max(end for end in whole if end <= at)
    assert (reader.tail is None) == (at in whole)


def test_recovery_goes_on_in_a_new_segment_linked_by_hash() -> None:
    data = write(6)
    ends = [r.end for r in tape.scan(data) if isinstance(r, tape.Record)]
    torn = data[: ends[3] + 11]
    writer = TapeWriter.resume(read(torn))
    second = writer.open_segment() + writer.add_chunk(chunk_of(writer.next_n)) + writer.add_end(7, signer)
    assert read(torn, second).findings == []
    assert read(torn, second).end is not None
    assert not read(data[: ends[2]], second).sound, "a segment cut before the link"


def test_a_segment_may_repeat_what_the_disk_did_not_confirm() -> None:
    data = write(6)
    records = [r for r in tape.scan(data) if isinstance(r, tape.Record)]
    writer = TapeWriter.resume(read(data[: records[4].end]))
    again = writer.open_segment(records[2].chain) + data[records[3].offset :]
    reader = read(data[: records[5].end + 9], again)
    assert reader.findings == [] and reader.end is not None
    assert len(reader.index) == reader.end.last_n - 5 + 1


def test_a_foreign_segment_is_refused() -> None:
    writer = TapeWriter.begin(meta(first_n=6), HOLDS)
    writer.open_segment()
    assert "another tape" in read(write()[:-500], writer.open_segment()).findings[0].reason


@pytest.mark.parametrize("data", [b"", b"RIFF" + bytes(100), write()[:20]])
def test_what_is_no_tape_gets_a_reason(data: bytes) -> None:
    reader = read(data)
    assert reader.findings[0].reason


def test_a_signature_by_another_key_is_refused() -> None:
    data = write()
    reader = TapeReader(lambda *_: False)
    assert not reader.receive_segment(data)
    assert "signature" in reader.findings[0].reason


def test_a_growing_tape_is_followed() -> None:
    data, reader = write(), TapeReader(checks)
    ends = [r.end for r in tape.scan(data) if isinstance(r, tape.Record)]
    assert reader.receive_segment(data[: ends[2] + 5])
    assert reader.next_n == 7
    assert reader.receive_more(data)
    assert reader.end is not None and reader.findings == []


def records_of(data: bytes) -> list[bytes]:
    return [data[r.offset : r.end] for r in tape.scan(data) if isinstance(r, tape.Record)]


def test_a_copy_of_an_unconfirmed_record_must_be_the_same() -> None:
    records = records_of(write(6))
    writer = TapeWriter.resume(read(b"".join(records[:4])))
    writer.segment = 1
    other = writer.add_chunk({r.id: b"other" for r in RENDITIONS})
    opening = TapeWriter.resume(read(b"".join(records[:4]))).open_segment()
    reader = read(b"".join(records[:5]), opening + other)
    assert reader.fault is not None and "not the record that the segment before has" in reader.fault.reason


def test_copies_cut_short_lose_nothing() -> None:
    records = records_of(write(6))
    again = TapeWriter.resume(read(b"".join(records[:6]))).open_segment(tape.read(records[2]).chain)
    reader = read(b"".join(records[:6]), again + records[3])
    assert reader.sound and reader.next_n == 10


def test_remains_of_a_failed_write_are_made_good_by_the_next_segment() -> None:
    records = records_of(write(6))
    rotten = b"".join(records[:4]) + bytes(3000) + b"".join(records[5:7])
    assert not read(rotten).sound, "alone, whole records after the gap show that something is missing"
    opening = TapeWriter.resume(read(b"".join(records[:4]))).open_segment()
    reader = read(rotten, opening + b"".join(records[4:]))
    assert reader.sound and reader.end is not None
    assert [remains.segment for remains in reader.remains] == [0]


def test_zeros_where_the_last_records_were_are_a_torn_end() -> None:
    """After a power failure a file may be as long as it was, without its last bytes."""
    records = records_of(write(6))
    reader = read(b"".join(records[:4]) + bytes(5000))
    assert reader.sound and reader.tail is not None and reader.tail.torn
    assert reader.next_n == 8


def test_damage_before_whole_records_is_no_torn_end() -> None:
    data = bytearray(write(6))
    third = [r for r in tape.scan(bytes(data)) if isinstance(r, tape.Record)][3]
    data[third.offset + 24 : third.offset + 28] = (2**20).to_bytes(4, "big")  # its length: beyond the end of the file
    fault = read(bytes(data)).fault
    assert fault is not None and fault.offset == third.offset and "whole records follow" in fault.reason


def test_the_chain_after_each_chunk_and_the_checkpoints_are_kept() -> None:
    writer = TapeWriter.begin(meta(first_n=100), HOLDS)
    data, heads = writer.open_segment(), {}
    for n in range(100, 125):
        data += writer.add_chunk(chunk_of(n))
        heads[n] = writer.chain
    data += writer.add_event("hold", 1, last=300) + writer.add_hold(300)
    reader = read(data)
    assert all((n, chain) in reader.chains for n, chain in heads.items())
    assert [checkpoint.n for checkpoint in reader.checkpoints] == [120, 300]
    assert [checkpoint.chain for checkpoint in reader.checkpoints] == [heads[120], writer.chain]


def test_a_run_of_hold_without_bound_is_refused_at_once() -> None:
    writer = TapeWriter.begin(meta(), HOLDS)
    data = writer.open_segment()
    parts = [tape.Part(r.id, bytes(32), b"") for r in RENDITIONS]
    endless, _ = tape.encode(tape.Kind.CHUNKS, 5, 2**62, parts, writer.chain)
    assert "more than 4194304 chunks" in read(data + endless).findings[0].reason


def test_the_order_of_a_table_does_not_matter() -> None:
    writer = TapeWriter.begin(meta(), HOLDS)
    data, (record,) = (
        writer.open_segment(),
        [r for r in tape.scan(writer.add_chunk(chunk_of(5))) if isinstance(r, tape.Record)],
    )
    found = chunk_of(5)
    parts = [tape.Part(i, record.parts[i].digest, found[i] or b"") for i in reversed(record.ids)]
    turned, _ = tape.encode(tape.Kind.CHUNKS, 5, 5, parts, TapeWriter.begin(meta(), HOLDS).chain)
    reader = read(data + turned)
    assert reader.sound and reader.next_n == 6
    for rendition in RENDITIONS:
        _, offset, length = reader.index.entry(rendition.id, 0)
        assert (data + turned)[offset : offset + length] == found[rendition.id]


def test_zeros_in_the_last_chain_are_a_torn_end_and_another_chain_is_not() -> None:
    records = records_of(write(6))
    for missing in (1, 20, 32):
        reader = read(b"".join(records[:4]) + records[4][:-missing] + bytes(missing))
        assert reader.sound and reader.tail is not None and reader.tail.torn and reader.next_n == 8, missing
    foreign = read(b"".join(records[:4]) + records[4][:-20] + b"?" * 20)
    assert foreign.fault is not None and "the chain does not go on" in foreign.fault.reason
    followed = read(b"".join(records[:4]) + records[4][:-20] + bytes(20) + b"".join(records[5:]))
    assert followed.fault is not None and "and whole records follow" in followed.fault.reason
