"""Tapes that were damaged, and tapes made by somebody who knows the format: read to a finding, never to an exception.

The corpus is the worked example of docs/TAPE.md, taken apart and put together again with its checksums and its chain
mended, so that what is wrong is met behind them.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.core.tape import TapeReader
from stentor.formats import tape
from stentor.formats.tape import Kind, Part, Record
from stentor.io import keys
from support import tape_example

WHOLE = tape_example.make()


class Loose(NamedTuple):
    """A record before it is linked to others."""

    kind: Kind
    n: int
    last: int
    parts: tuple[Part, ...]


def apart(data: bytes) -> list[Loose]:
    records = [record for record in tape.scan(data) if isinstance(record, Record)]
    return [Loose(r.kind, r.n, r.last, tuple(_parts(data, r))) for r in records]


def _parts(data: bytes, record: Record) -> list[Part]:
    located = record.parts.items()
    return [Part(part_id, found.digest, tape.part_bytes(data, found)) for part_id, found in located]


def together(records: list[Loose]) -> bytes:
    data, chain = b"", first_chain(records[0]) if records else tape.GENESIS
    for record in records:
        more, chain = tape.encode(record.kind, record.n, record.last, record.parts, chain)
        data += more
    return data


def first_chain(segment: Loose) -> bytes:
    """What binds a tape to its meta, headers and hold."""
    return tape.encode(Kind.EVENT, 0, 0, segment.parts, tape.GENESIS)[1]


def read(*segments: bytes) -> TapeReader:
    reader = TapeReader(keys.verify)
    for data in segments:
        if not reader.receive_segment(data):
            break
    return reader


def sealed(*segments: bytes) -> bool:
    """Whether the segments are one whole tape, signed at its end."""
    reader = read(*segments)
    return reader.end is not None and not reader.findings


RECORDS = apart(WHOLE)
PIECES = [WHOLE[at : at + 64] for at in range(0, len(WHOLE), 64)]
SMALL = st.integers(0, 40) | st.sampled_from([2**31, 2**63, 2**64 - 1])
VALUES: st.SearchStrategy[Any] = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


def test_put_together_again_it_is_the_same() -> None:
    assert together(RECORDS) == WHOLE and sealed(WHOLE)


@settings(max_examples=200)
@given(st.integers(0, len(WHOLE)), st.integers(0, 200), st.binary(max_size=12) | st.sampled_from(PIECES))
def test_bytes_in_the_place_of_other_bytes(at: int, size: int, noise: bytes) -> None:
    changed = WHOLE[:at] + noise + WHOLE[at + size :]
    assert not sealed(changed) or changed.startswith(WHOLE)


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.lists(st.sampled_from([*PIECES, WHOLE]), max_size=4))
def test_pieces_in_any_order(pieces: list[bytes], more: list[bytes]) -> None:
    read(b"".join(pieces), *more)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(RECORDS)), min_size=1, max_size=3), st.booleans())
def test_records_in_the_place_of_others_with_a_chain_that_holds(changes: list[tuple[int, Loose]], add: bool) -> None:
    records = list(RECORDS)
    for at, record in changes:
        at %= len(records)
        records[at : at if add else at + 1] = [record]
    assert sealed(together(records)) == (records == RECORDS)


@settings(max_examples=200)
@given(st.integers(0, 20), SMALL, SMALL, st.integers(0, 9), st.integers(0, 99), st.binary(max_size=60))
def test_numbers_and_parts_that_nobody_wrote(at: int, n: int, last: int, part: int, part_id: int, data: bytes) -> None:
    records = list(RECORDS)
    old = records[at % len(records)]
    ids = {found.id for found in old.parts}
    fresh = tape.plain(old.parts[part % len(old.parts)].id if part_id in ids else part_id, data)
    parts = {**{found.id: found for found in old.parts}, fresh.id: fresh}
    records[at % len(records)] = Loose(old.kind, n, last, tuple(parts.values()))
    # What an end record says beside what is signed means nothing, so it may say anything.
    assert not sealed(together(records)) or records == RECORDS or old.kind is Kind.END


META_AT = [index for index, record in enumerate(RECORDS) if record.kind is not Kind.CHUNKS]


@pytest.mark.parametrize("at", META_AT)
def test_fields_of_other_values(at: int) -> None:
    @settings(max_examples=150)
    @given(st.data())
    def changed(data: st.DataObject) -> None:
        old = RECORDS[at]
        fields = json.loads(next(part.data for part in old.parts if part.id == tape.PART_META))
        name = data.draw(st.sampled_from([*fields, "unknown"]))
        value = data.draw(VALUES | st.sampled_from([0, 1, 5, -1, 2**62, "", "00", "mp3", "opus"]))
        if at == 0 and name == "renditions":
            first, *others = fields[name]
            value = [{**first, data.draw(st.sampled_from(list(first))): value}, *others]
        text = json.dumps({**fields, name: value}).encode()
        fresh = tape.plain(tape.PART_META, text.replace(b"example", data.draw(st.sampled_from([b"example", b"\xff"]))))
        parts = tuple(fresh if part.id == tape.PART_META else part for part in old.parts)
        read(together([*RECORDS[:at], old._replace(parts=parts), *RECORDS[at + 1 :]]))

    changed()
