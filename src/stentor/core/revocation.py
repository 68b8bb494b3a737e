"""Tickets that are void before their time: one by one at the gate, and all at once among those who listen."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from stentor.formats.seqs import merged
from stentor.formats.ticket import Token
from stentor.model.board import Revoked

Numbers = npt.NDArray[np.int64]


class Revocation:
    """What the crew has revoked of one show. False if that is nothing."""

    def __init__(self, revoked: Revoked) -> None:
        self._keys = frozenset(revoked.keys)
        self._classes = frozenset(revoked.classes)
        ranges = merged(revoked.seqs)
        self._first = [first for first, _ in ranges]
        self._last = [last for _, last in ranges]

    def __bool__(self) -> bool:
        return bool(self._keys or self._classes or self._first)

    @property
    def keys(self) -> frozenset[int]:
        """Ids of the keys by which nothing may be minted any more."""
        return self._keys

    def covers(self, token: Token) -> bool:
        """Whether this ticket is void."""
        if token.key_id in self._keys or token.cls in self._classes:
            return True
        return bool(self._first) and self.covers_seq(token.seq)

    def covers_seq(self, seq: int) -> bool:
        at = bisect_right(self._first, seq) - 1
        return at >= 0 and seq <= self._last[at]

    def among(self, seqs: Numbers, key_ids: Numbers, classes: Numbers) -> npt.NDArray[np.bool_]:
        """Which of many tickets are void: rows of what each of them says."""
        void = np.isin(key_ids, list(self._keys)) | np.isin(classes, list(self._classes))
        if self._first:
            at = np.searchsorted(self._first, seqs, side="right") - 1
            void |= (at >= 0) & (seqs <= np.asarray(self._last)[np.maximum(at, 0)])
        return void
