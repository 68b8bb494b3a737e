"""The Merkle tree hash of RFC 6962 section 2.1 (SHA-256), over leaves that come one after the other.

MTH() = SHA-256(); a leaf is SHA-256(00 || data), a node SHA-256(01 || left || right), the left side being the largest
power of two below the number of leaves. `Tree` keeps one hash for each bit of that number.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

RECORD_BYTES = 8  # a leaf of the log of places: seq u32, issued u32, big-endian


class Tree:
    """`add` leaves in order, then ask for the `root`; more may be added afterwards."""

    def __init__(self) -> None:
        self.leaves = 0
        self._peaks: list[bytes] = []  # roots of whole trees, the largest first

    def add(self, leaf: bytes) -> None:
        node = sha256(b"\0" + leaf).digest()
        full = self.leaves
        while full & 1:
            node = _node(self._peaks.pop(), node)
            full >>= 1
        self._peaks.append(node)
        self.leaves += 1

    def add_records(self, records: bytes) -> None:
        """Add each `RECORD_BYTES` of `records` as a leaf."""
        assert len(records) % RECORD_BYTES == 0, len(records)
        for at in range(0, len(records), RECORD_BYTES):
            self.add(records[at : at + RECORD_BYTES])

    def root(self) -> bytes:
        """-> 32 bytes, of all leaves so far."""
        if not self._peaks:
            return sha256().digest()
        node = self._peaks[-1]
        for left in reversed(self._peaks[:-1]):
            node = _node(left, node)
        return node


def root(leaves: Iterable[bytes]) -> bytes:
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()
