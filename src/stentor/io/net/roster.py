"""Who listens here, by what their tickets say: at most one listener a seq."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stentor.formats.ticket import Token

Numbers = npt.NDArray[np.int64]


class Roster:
    """Descriptors by seq, and what stands in the tickets. Listeners without one are not in it."""

    __slots__ = ("_fds", "_held")

    def __init__(self) -> None:
        self._fds: dict[int, int] = {}  # by seq
        self._held: dict[int, int] = {}  # by descriptor: seq, key id and class in one number, for `rows`

    def __len__(self) -> int:
        return len(self._fds)

    def get(self, seq: int) -> int | None:
        """The descriptor of the listener with that seq."""
        return self._fds.get(seq)

    def put(self, fd: int, token: Token) -> int | None:
        """A listener comes; -> the descriptor of the one who had the seq before."""
        older = self._fds.get(token.seq)
        self._fds[token.seq] = fd
        self._held[fd] = token.seq << 16 | token.key_id << 8 | token.cls
        return older

    def drop(self, fd: int) -> None:
        """A listener goes, if it is here at all."""
        held = self._held.pop(fd, None)
        if held is not None and self._fds.get(held >> 16) == fd:
            del self._fds[held >> 16]

    def rows(self) -> tuple[Numbers, Numbers, Numbers]:
        """Seqs, key ids and classes of all, in the same order."""
        held = np.fromiter(self._held.values(), np.int64, len(self._held))
        return held >> 16, held >> 8 & 0xFF, held & 0xFF
