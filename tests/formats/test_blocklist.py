"""Rules for workers, and lists for others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.formats import blocked, blocklist
from stentor.formats.blocked import DROP, FAVOUR, LIMIT, BadRules, Block

UNTIL = {"203.0.113.7/32": 2_000, "2001:db8::/64": 3_000}
BLOCKS = st.dictionaries(
    st.binary(min_size=16, max_size=16),
    st.builds(Block, st.sampled_from([LIMIT, DROP, FAVOUR]), st.integers(0, 2**63)),
    max_size=20,
)


@given(BLOCKS)
def test_what_is_read_is_what_was_written(blocks: dict[bytes, Block]) -> None:
    assert blocked.decode(blocked.encode(7, blocks)) == blocks


@given(st.binary(max_size=60))
def test_nothing_else_is_taken_for_rules(data: bytes) -> None:
    if not data.startswith(b"SR1"):
        with pytest.raises(BadRules):
            blocked.decode(data)


def test_a_list_of_networks() -> None:
    assert blocklist.cidr(UNTIL) == "2001:db8::/64\n203.0.113.7/32\n" and blocklist.cidr({}) == ""


def test_a_map_for_haproxy() -> None:
    assert blocklist.haproxy(UNTIL) == "2001:db8::/64 3000\n203.0.113.7/32 2000\n"


def test_sets_for_nft() -> None:
    text = blocklist.nft(UNTIL)
    assert "elements = { 203.0.113.7/32 }" in text and "elements = { 2001:db8::/64 }" in text
    assert "elements" not in blocklist.nft({})
