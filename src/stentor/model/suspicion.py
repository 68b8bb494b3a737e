"""What the shield passes from one machine to the next: the window of evidence, and what is made of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stentor.model.board import Signal, Verdict

FIELDS = (
    "requests",  # of any kind
    "joins",  # that asked for a ticket or a place
    "starts",  # tickets given, and streams begun
    "completed",  # streams of which two seconds of audio were taken
    "held",  # put off, or given a place in line: by us, so it says nothing against anybody
    "places",  # given before the draw
    "polite",  # polls in good order
    "forged",  # tickets and places that are no such
    "early",  # polls far more often than was asked for
    "unfinished",  # requests that do not come to their end
    "undrained",  # streams that take nothing
    "live",  # streams at this moment
    "solved",  # challenges
    "unsolved",  # joins that were asked to solve one
    "tickets",  # given at the door; the rest of the starts are streams
    "queued",  # places given in the line
)
Counts = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


class Picture(NamedTuple):
    """The window as of `at_ms`: a row a source. `counts` by `FIELDS`; `ripe`: starts that are old enough to have been
    completed; `known`: who behaved well before. `overflow`: events of sources that there was no room for."""

    at_ms: int
    keys: npt.NDArray[np.void]
    counts: Counts
    ripe: Counts
    known: Flags
    overflow: int

    def column(self, name: str) -> Counts:
        return self.counts[:, FIELDS.index(name)]


class Suspect(NamedTuple):
    """A source that a rule may be made of. `spared` is what speaks for it; `words` are of the signs it showed."""

    key: bytes
    families: tuple[str, ...]
    events: int
    score: float
    words: str
    spared: str = ""
    unused: int = 0  # tickets with which nobody began to listen, and places in line


class Judgement(NamedTuple):
    at_ms: int
    verdict: Verdict
    since_ms: int
    signals: tuple[Signal, ...]
    suspects: tuple[Suspect, ...]
    sources: int
    joins: int
    completed: int
    vouched: frozenset[bytes]  # sources with a listener, or who had one just now: never to be shut out
    favoured: frozenset[bytes]  # of those, from which many come: a share is not for them
    gathered: frozenset[bytes] = frozenset()  # sources that many of the listeners of the last minutes came from
