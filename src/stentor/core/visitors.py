"""Who plays HLS at an edge. Nobody is connected: pieces have addresses that are the same for all, and caches answer for
them, so what an edge sees of one listener is the playlist of playlists, and a page's beacons.

Who sends beacons is counted one by one, until two have failed to come. Of the others only their coming is seen; how
many of them still listen is an estimate: with every `HALF_S` half of them are taken to have left. That half-life is
chosen, not measured.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stentor.formats.ticket import Token

BEACON_S = 30  # between two beacons of a page
GONE_S = 2.5 * BEACON_S
HALF_S = 600.0
FORGOTTEN_S = 6 * HALF_S  # one of 64 would still be there
VISITORS_MAX = 100_000  # of each kind; whoever was seen longest ago makes room

Numbers = npt.NDArray[np.int64]


class Count(NamedTuple):
    """Listeners by HLS: those who say so, and an estimate of those who cannot."""

    signed: int
    estimated: int


class Visitors:
    """`visit` and `beacon` with the token of a ticket that admits; times in seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._signed: dict[int, _Seen] = {}  # by seq, whoever was seen last comes last
        self._others: dict[int, _Seen] = {}
        self._estimate = _Fading()

    def visit(self, token: Token, now_s: float) -> None:
        """The playlist of playlists was asked for. Who sends beacons asks for it as well."""
        if token.seq in self._signed:
            _note(self._signed, token, now_s)
            return
        for seen in _note(self._others, token, now_s):
            self._estimate.drop(seen.at_s)
        self._estimate.add(now_s)

    def beacon(self, token: Token, now_s: float) -> None:
        self._leave_others(token.seq)
        _note(self._signed, token, now_s)

    def leave(self, seq: int) -> None:
        """It plays elsewhere, or otherwise, or not any more."""
        self._signed.pop(seq, None)
        self._leave_others(seq)

    def _leave_others(self, seq: int) -> None:
        seen = self._others.pop(seq, None)
        if seen is not None:
            self._estimate.drop(seen.at_s)

    def clear(self) -> None:
        self._signed.clear()
        self._others.clear()
        self._estimate = _Fading()

    def count(self, now_s: float) -> Count:
        """How many there are now; whoever is long gone is forgotten."""
        _forget(self._signed, now_s - GONE_S)
        for seen in _forget(self._others, now_s - FORGOTTEN_S):
            self._estimate.drop(seen.at_s)
        return Count(len(self._signed), round(self._estimate.at(now_s)))

    def seqs(self) -> Numbers:
        """Of all: looked at every second, so without a tuple for each."""
        return np.fromiter(chain(self._signed, self._others), np.int64, len(self._signed) + len(self._others))

    def rows(self) -> tuple[Numbers, Numbers, Numbers]:
        """Seqs, key ids and classes of all, in the same order."""
        all_of = [*self._signed.items(), *self._others.items()]
        table = np.array([(seq, seen.key_id, seen.cls) for seq, seen in all_of], np.int64).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]


class _Seen(NamedTuple):
    at_s: float
    key_id: int
    cls: int


class _Fading:
    """The sum of 2 ** -(age / HALF_S) over all who were seen, kept while they come and go: there may be many."""

    def __init__(self) -> None:
        self._sum = self._as_of_s = 0.0

    def at(self, now_s: float) -> float:
        self._sum *= 2 ** ((self._as_of_s - now_s) / HALF_S)
        self._as_of_s = now_s
        return self._sum

    def add(self, now_s: float) -> None:
        self._sum = self.at(now_s) + 1

    def drop(self, seen_s: float) -> None:
        """Somebody who was seen then is counted no more."""
        self._sum = max(0.0, self._sum - 2 ** ((seen_s - self._as_of_s) / HALF_S))


def _note(kind: dict[int, _Seen], token: Token, now_s: float) -> list[_Seen]:
    """-> those who are forgotten for it: the same one as seen before, and who makes room."""
    gone = [before] if (before := kind.pop(token.seq, None)) else []
    kind[token.seq] = _Seen(now_s, token.key_id, token.cls)
    if len(kind) > VISITORS_MAX:
        gone.append(kind.pop(next(iter(kind))))
    return gone


def _forget(kind: dict[int, _Seen], before_s: float) -> list[_Seen]:
    """-> those who were seen before then."""
    gone = []
    while kind and kind[seq := next(iter(kind))].at_s <= before_s:
        gone.append(kind.pop(seq))
    return gone
