"""Datagrams of evidence, and the keys of sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.formats import evidence
from stentor.formats.evidence import COUNT_MAX, RECORDS_MAX, BadEvidence, decode, encode, key_of, target
from stentor.model.suspicion import FIELDS

KEYS = st.binary(min_size=16, max_size=16)
ROWS = st.dictionaries(KEYS, st.lists(st.integers(0, 100_000), min_size=len(FIELDS), max_size=len(FIELDS)), max_size=20)


@given(ROWS, st.integers(0, 2**32 - 1), st.sampled_from([evidence.DOOR, evidence.EDGE]))
def test_what_is_told_is_what_was_counted(rows: dict[bytes, list[int]], overflow: int, role: int) -> None:
    (data,) = encode(role, 7, 123_456, overflow, rows)
    batch = decode(data)
    assert (batch.role, batch.worker, batch.at_ms, batch.overflow) == (role, 7, 123_456, overflow)
    found = {record["key"].tobytes(): [int(record[name]) for name in FIELDS] for record in batch.records}
    assert found == {key: [min(count, COUNT_MAX) for count in counts] for key, counts in rows.items()}


def test_many_sources_take_several_datagrams() -> None:
    rows = {number.to_bytes(16, "big"): [1] * len(FIELDS) for number in range(RECORDS_MAX + 1)}
    told = encode(evidence.DOOR, 0, 1, 5, rows)
    assert [len(decode(data).records) for data in told] == [RECORDS_MAX, 1]
    assert [decode(data).overflow for data in told] == [5, 0]
    assert max(map(len, told)) <= evidence.DATAGRAM_BYTES_MAX


@given(st.binary(max_size=200))
def test_nothing_else_is_taken_for_evidence(data: bytes) -> None:
    if not data.startswith(b"EV1"):
        with pytest.raises(BadEvidence):
            decode(data)


@pytest.mark.parametrize("cut", [1, 20, 47])
def test_a_datagram_that_is_cut(cut: int) -> None:
    (data,) = encode(evidence.EDGE, 0, 1, 0, {bytes(16): [1] * len(FIELDS)})
    with pytest.raises(BadEvidence):
        decode(data[:-cut])


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("10.0.0.7", "10.0.0.7/32"),
        ("::ffff:10.0.0.7", "10.0.0.7/32"),
        ("2001:db8:1:2:3::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_the_network_of_a_source(source: str, network: str) -> None:
    assert target(key_of(source)) == network
    assert evidence.key_of_target(network) == key_of(source)


@pytest.mark.parametrize("source", ["", "unix:", "10.0.0", "x.y.z.w", "1:2:3"])
def test_what_is_no_address_has_no_key(source: str) -> None:
    assert key_of(source) == b""


@pytest.mark.parametrize("text", ["10.0.0.0/24", "2001:db8::/48", "2001:db8::1/128"])
def test_a_target_is_one_source(text: str) -> None:
    with pytest.raises(ValueError, match="not one"):
        evidence.key_of_target(text)
