"""What an edge gives up, as the board's ladder has it, and what it says of that, and of the crew's notice, in-band.

The words are a piece of the `now` object, by the same names: `at_ms`, `notice`, `reason`, `ladder`. They go to every
listener of a framed rendition before the next chunk when they change, and to a new one before the first.
"""

from __future__ import annotations

import time

from stentor.core.outlet import GROUPS
from stentor.core.usher import ladder_fields
from stentor.formats import emsg
from stentor.io.board import Board
from stentor.io.net.mounts import Mounts
from stentor.model import board
from stentor.model.rendition import LOW, OPUS, OPUS_LOW, Rendition
from stentor.nodes.program import Program
from stentor.nodes.values import get

_NOTHING = board.Ladder(0)
_SPLICED = {OPUS.id: OPUS_LOW.id}  # they share a header, and Opus goes on from any frame


class EdgeLadder:
    """Keeps outlets and mounts to the ladder. `words` is what a new listener gets first; empty if all is as usual."""

    def __init__(self, values: Board, program: Program, mounts: Mounts) -> None:
        self.words = b""
        self._board = values
        self._program = program
        self._mounts = mounts
        self._ladder = _NOTHING
        self._desk = board.Desk()
        self._said: tuple[object, ...] = ("", "", _switch(_NOTHING))

    @property
    def plain(self) -> bool:
        """Whether HLS is given to new loads without parts."""
        return self._ladder.group > 1

    def given(self, asked: Rendition) -> Rendition:
        """What a new listener gets who asks for `asked`."""
        return LOW.get(asked, asked) if self._ladder.low else asked

    @property
    def low(self) -> bool:
        return self._ladder.low

    def look(self) -> None:
        """Follow the board. What cannot be read changes nothing; the ladder of another show gives nothing up."""
        ladder = get(self._board, "ladder", board.Ladder)
        if ladder is None or ladder.group not in GROUPS:
            ladder = self._ladder
        self._ladder = ladder if ladder.show == self._program.show else _NOTHING
        self._carry_out()
        self._say()

    def _carry_out(self) -> None:
        ladder, feeds = self._ladder, self._program.feeds
        for rendition_id, outlet in self._program.outlets.items():
            outlet.regroup(ladder.group, ladder.from_n)
            if rendition_id in _SPLICED:
                low = bool(ladder.low_from_n)
                outlet.turn_to(feeds[_SPLICED[rendition_id] if low else rendition_id], ladder.low_from_n)

    def _say(self) -> None:
        """Only what is new."""
        desk = get(self._board, "desk", board.Desk) or self._desk
        self._desk = desk
        show = next((one for one in desk.shows if one.id == self._program.show), None)
        notice, reason = (show.notice, show.reason) if show else ("", "")
        said = (notice, reason, _switch(self._ladder))
        if said == self._said:
            return
        self._said, at_ms = said, time.time_ns() // 1_000_000
        body = {"at_ms": at_ms, "notice": notice, "reason": reason, "ladder": ladder_fields(self._ladder)}
        box = emsg.pack(body, at_ms)
        self.words = box if notice or reason or self._ladder.rung else b""
        self._mounts.say(box)


def _switch(ladder: board.Ladder) -> tuple[object, ...]:
    """What is new when it changes: not the number of seats, which those who listen have."""
    return ladder.rung, ladder.group, ladder.from_n, ladder.low, ladder.reason
