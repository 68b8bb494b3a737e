"""A stem: one speaker's own packets, as they came, cut into files that begin where the speaker began.

A packet that was lost is replaced by one of no data, which a decoder conceals, so that a stem stays in time with the
program to its end. After a second without packets the next one begins a new file.
"""

from __future__ import annotations

from typing import NamedTuple

from stentor.formats import ogg

PAGE_SAMPLES = 48_000
GAP_SAMPLES_MAX = 48_000
FILL_SAMPLES = 960
_CONFIG_20MS = 0xF8  # RFC 6716, 3.1: CELT, full band, 20 ms, mono, one frame


class Append(NamedTuple):
    """Bytes for the end of a file, which may be new."""

    name: str
    data: bytes


class Stem:
    """The packets of one seat. Positions are samples since the recording began."""

    def __init__(self, seat: str, serial: int) -> None:
        self._seat, self._serial = seat, serial
        self._pager = ogg.Pager(serial)
        self._name = ""
        self._next = 0
        self._packets: list[bytes] = []
        self._samples = 0

    def receive(self, packet: bytes, samples: int, position: int) -> list[Append]:
        """Take a packet of `samples` that sounds at `position`; -> what is to be written."""
        if position < 0:
            return []
        if not self._name or position - self._next > GAP_SAMPLES_MAX:
            return [*self.finish(), *self._begin(position), *self._add(packet, samples)]
        written: list[Append] = []
        while position - self._next >= FILL_SAMPLES:
            written += self._add(bytes((_CONFIG_20MS,)), FILL_SAMPLES)
        return written + self._add(packet, samples)

    def _begin(self, position: int) -> list[Append]:
        self._name = f"{self._seat}-{position // 48:010d}ms.opus"
        self._next = position
        self._pager = ogg.Pager(self._serial)
        return [Append(self._name, self._pager.head(self._seat))]

    def _add(self, packet: bytes, samples: int) -> list[Append]:
        full = self._samples + samples > PAGE_SAMPLES or self._segments() + len(ogg.lacing(len(packet))) > 255
        written = self._page() if full else []
        self._packets.append(packet)
        self._samples += samples
        self._next += samples
        return written

    def _segments(self) -> int:
        return sum(len(packet) // 255 + 1 for packet in self._packets)

    def _page(self, *, last: bool = False) -> list[Append]:
        if not self._packets:
            return []
        page = self._pager.page(self._packets, self._samples, last=last)
        self._packets, self._samples = [], 0
        return [Append(self._name, page)]

    def finish(self) -> list[Append]:
        """End the file in hand, if there is one."""
        written = self._page(last=True)
        self._name = ""
        return written
