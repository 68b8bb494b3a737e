"""The places of one show as the usher holds them: read from the doors' log, drawn when it is time, kept in order.

Everything is done in steps of a few milliseconds: between two of them the usher may have hold to write.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stentor.core import draw
from stentor.core.order import Order
from stentor.formats.merkle import Tree
from stentor.io.places import Reader

STEP = 1_024  # places read or drawn at a time
DRAW_GRACE_MS = 2_000  # from the draw's time until what doors gave out before it is in the log
BEACON_WAIT_MS = 120_000  # a beacon that has not come by then is not used
Records = npt.NDArray[np.uint64]  # seq << 32 | issued, which in big-endian is the record of the log


class Drawn(NamedTuple):
    """What was drawn: the Merkle root, of how many places, with which beacon, at which second."""

    root: str
    places: int
    beacon: str
    base_s: int


class Roll:
    """`base_s` as in core/draw.py. Without `drawn`, ranks are not known until `begin_draw` and enough steps."""

    def __init__(self, shows: Path, show: str, secret: bytes, base_s: int, drawn: Drawn | None) -> None:
        self.order = Order()  # by rank
        self.base_s = base_s
        self.drawn = drawn
        self.records = b""  # those drawn, once they all are, until they are taken
        self.caught_up = False
        self._reader = Reader(shows, show)
        self._secret = secret
        self._key = draw.draw_key(secret, drawn.beacon) if drawn is not None else b""
        self._gathered = Order()  # records that will be drawn
        self._late: list[Records] = []
        self._drawing: _Drawing | None = None

    @property
    def ready(self) -> bool:
        """Whether the order holds everybody in the log, as of the last step."""
        return self.caught_up and self.drawn is not None and not self._late

    @property
    def total(self) -> int:
        """Places in the log, in order or to be drawn."""
        return self.order.total + self._gathered.total + sum(map(len, self._late))

    def step(self) -> bool:
        """A few milliseconds' work; -> whether there is more. Raises `OSError`."""
        data = self._reader.read(STEP)
        self.caught_up |= len(data) < STEP
        if data:
            self._receive(np.frombuffer(data, ">u8").astype(np.uint64))
        elif self._drawing is not None:
            self._draw()
        elif self.drawn is not None and self._late:
            self._rank(self._late.pop())
        return bool(data) or self._drawing is not None or (self.drawn is not None and bool(self._late))

    def begin_draw(self, beacon: str) -> None:
        """From now on what is gathered is drawn: step until `drawn`."""
        if self.drawn is None and self._drawing is None:
            self._key = draw.draw_key(self._secret, beacon)
            self._drawing = _Drawing(beacon)

    def _receive(self, records: Records) -> None:
        if self.drawn is not None:
            self._rank(records)
            return
        early = (records & np.uint64(0xFFFFFFFF)) < self.base_s
        if self._drawing is None:
            self._gathered.add(records[early])
            self._late.append(records[~early])
        else:
            self._late.append(records)

    def _draw(self) -> None:
        drawing = self._drawing
        assert drawing is not None
        k = min(self._gathered.total, drawing.done + STEP)
        if k > drawing.done:
            up_to = self._gathered.at(k)
            part = self._gathered.between(drawing.last, up_to)
            drawing.take(part, up_to, self._gathered.up_to(up_to))
            self._rank(part)
            return
        self.records = bytes(drawing.records)
        self.drawn = Drawn(drawing.tree.root().hex(), drawing.tree.leaves, drawing.beacon, self.base_s)
        self._drawing, self._gathered = None, Order()

    def _rank(self, records: Records) -> None:
        seqs = (records >> np.uint64(32)).astype(np.uint32)
        issued = (records & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        self.order.add(draw.ranks(self._key, seqs, issued, self.base_s).astype(np.uint64))


class _Drawing:
    """How far a draw has come, in order of seq."""

    def __init__(self, beacon: str) -> None:
        self.beacon = beacon
        self.tree = Tree()
        self.records = bytearray()
        self.last = 0
        self.done = 0

    def take(self, part: Records, last: int, done: int) -> None:
        data = part.astype(">u8").tobytes()
        self.tree.add_records(data)
        self.records += data
        self.last, self.done = last, done
