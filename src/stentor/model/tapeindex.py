"""Where the chunks of a tape are: a row a chunk, a column a rendition, in some 75 bytes a chunk.

A long show has a hundred thousand of these places: objects would take ten times the memory, and longer than the disk.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple


class Entry(NamedTuple):
    """Where a chunk of one rendition is: `length` 0 for hold."""

    segment: int
    offset: int
    length: int


class TapeIndex:
    """`ids`: those of the renditions, in the order in which rows have them. Rows count from the tape's first chunk."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = tuple(ids)
        self._segments = array("H")
        self._offsets = array("Q")
        self._lengths = array("I")

    def __len__(self) -> int:
        return len(self._segments)

    def add(self, segment: int, offsets: Sequence[int], lengths: Sequence[int]) -> None:
        """The next chunk."""
        self._segments.append(segment)
        self._offsets.extend(offsets)
        self._lengths.extend(lengths)

    def add_row(self, segment: int, offset: int, lengths: Sequence[int]) -> None:
        """The next chunk, whose renditions stand one after the other from `offset` on."""
        self._segments.append(segment)
        self._offsets.extend(accumulate((offset, *lengths[:-1])))
        self._lengths.extend(lengths)

    def add_run(self, segment: int, offsets: Sequence[int], lengths: Sequence[int], count: int) -> None:
        """The next `count` chunks, all at one place: a record of hold."""
        self._segments.extend(array("H", [segment]) * count)
        self._offsets.extend(array("Q", offsets) * count)
        self._lengths.extend(array("I", lengths) * count)

    def entry(self, rendition_id: int, row: int) -> Entry:
        """Raises `IndexError` for a row that there is not, `ValueError` for such a rendition."""
        segment = self._segments[row]
        at = row * len(self.ids) + self.ids.index(rendition_id)
        return Entry(segment, self._offsets[at], self._lengths[at])

    def entries(self, rendition_id: int) -> Iterator[Entry]:
        """Those of one rendition, in order."""
        return (self.entry(rendition_id, row) for row in range(len(self)))

    def lengths(self, rendition_id: int) -> array[int]:
        """The bytes of each chunk of one rendition, 0 for hold."""
        return self._lengths[self.ids.index(rendition_id) :: len(self.ids)]
