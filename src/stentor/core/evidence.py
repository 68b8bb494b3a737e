"""What all workers saw in the last ten seconds, source by source: a table that is bounded, and forgets.

Counts are kept in buckets of 250 ms, so that each leaves the window ten seconds after it came. A source without a count
in the window is not in the table. Beside it stand those who behaved well in the last quarter of an hour: they speak
for an address before anybody could complete anything. No clock, no sockets.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stentor.formats.evidence import GOOD, KEY_BYTES, Batch
from stentor.model.suspicion import FIELDS, Counts, Picture

BUCKET_MS = 250
WINDOW_MS = 10_000
RIPE_MS = 4_000  # from a start until it can have been completed, and told
SOURCES_MAX = 131_072
KNOWN_MAX = 262_144
KNOWN_MS = 900_000
_STARTS = FIELDS.index("starts")
_VOUCHING = [FIELDS.index(name) for name in (*GOOD, "places", "solved")]


class _Bucket(NamedTuple):
    at_ms: int
    rows: npt.NDArray[np.int64]
    counts: Counts
    overflow: int


class Evidence:
    """`receive` what workers tell; `tick` several times a second. Times are milliseconds of a clock that never goes
    back."""

    def __init__(self, sources_max: int = SOURCES_MAX) -> None:
        self._rows: dict[bytes, int] = {}
        self._free = list(range(sources_max - 1, -1, -1))
        self._keys = np.zeros(sources_max, f"V{KEY_BYTES}")
        self._counts: Counts = np.zeros((sources_max, len(FIELDS)), np.int32)
        self._unripe: Counts = np.zeros(sources_max, np.int32)
        self._buckets: deque[_Bucket] = deque()
        self._ripening: deque[tuple[int, npt.NDArray[np.int64], Counts]] = deque()
        self._overflow = 0
        self._known: dict[bytes, int] = {}  # until when; who was seen last comes last

    def receive(self, batch: Batch, now_ms: int) -> None:
        """Take in what a worker saw in its last quarter of a second."""
        records = batch.records
        keys = [record.tobytes() for record in records["key"]]
        rows = np.fromiter((self._row(key) for key in keys), np.int64, len(keys))
        counts = np.stack([records[name] for name in FIELDS], axis=1).astype(np.int32) if len(keys) else None
        overflow = batch.overflow
        if counts is not None:
            kept = rows >= 0
            overflow += int(counts[~kept].sum())
            self._add(rows[kept], counts[kept], now_ms)
            for at in np.flatnonzero(counts[:, _VOUCHING].any(axis=1)).tolist():
                self._note_known(keys[at], now_ms)
        if overflow:
            self._overflow += overflow
            self._buckets.append(_Bucket(now_ms, np.zeros(0, np.int64), np.zeros((0, len(FIELDS)), np.int32), overflow))

    def _row(self, key: bytes) -> int:
        """-1: the table is full."""
        row = self._rows.get(key)
        if row is None:
            if not self._free:
                return -1
            row = self._rows[key] = self._free.pop()
            self._keys[row] = np.void(key)
        return row

    def _add(self, rows: npt.NDArray[np.int64], counts: Counts, now_ms: int) -> None:
        np.add.at(self._counts, rows, counts)
        np.add.at(self._unripe, rows, counts[:, _STARTS])
        self._buckets.append(_Bucket(now_ms, rows, counts, 0))
        self._ripening.append((now_ms, rows, counts[:, _STARTS]))

    def _note_known(self, key: bytes, now_ms: int) -> None:
        self._known.pop(key, None)
        self._known[key] = now_ms + KNOWN_MS
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]

    def tick(self, now_ms: int) -> Picture:
        """Forget what is older than the window; -> what is left."""
        while self._ripening and self._ripening[0][0] <= now_ms - RIPE_MS:
            _, rows, starts = self._ripening.popleft()
            np.subtract.at(self._unripe, rows, starts)
        while self._buckets and self._buckets[0].at_ms <= now_ms - WINDOW_MS:
            self._forget(self._buckets.popleft())
        while self._known and (first := next(iter(self._known))) and self._known[first] <= now_ms:
            del self._known[first]
        return self._picture(now_ms)

    def _forget(self, bucket: _Bucket) -> None:
        self._overflow -= bucket.overflow
        np.subtract.at(self._counts, bucket.rows, bucket.counts)
        rows = np.unique(bucket.rows)
        for row in rows[~self._counts[rows].any(axis=1)].tolist():
            if self._rows.pop(self._keys[row].tobytes(), None) is not None:
                self._free.append(row)

    def _picture(self, now_ms: int) -> Picture:
        rows = np.fromiter(self._rows.values(), np.int64, len(self._rows))
        known = np.fromiter((key in self._known for key in self._rows), np.bool_, len(self._rows))
        counts = self._counts[rows]
        ripe = counts[:, _STARTS] - self._unripe[rows]
        return Picture(now_ms, self._keys[rows], counts, ripe, known, self._overflow)
