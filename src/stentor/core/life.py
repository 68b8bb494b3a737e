"""The life of a show as one table: `MOVES` says from which phase what leads where; everything else reads it.

The studio drives it, so a show goes live at its minute whoever else is down. A wish of the crew comes before the
clock; a phase that no move leaves is final. docs/LIFE.md holds the diagram that `mermaid()` draws of the table.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from stentor.model.board import Phase, Wish


class Cause(StrEnum):
    """What moves a show on: a wish of the crew, or an instant that the clock has reached."""

    GO = "go"
    HOLD = "hold"
    END = "end"
    CANCEL = "cancel"
    OPENS = "doors open"
    DRAWS = "draw"
    STARTS = "T0"


class Move(NamedTuple):
    before: Phase
    cause: Cause
    after: Phase


_WAITING = (Phase.ANNOUNCED, Phase.OPEN, Phase.DRAWN)

MOVES: tuple[Move, ...] = (
    Move(Phase.ANNOUNCED, Cause.OPENS, Phase.OPEN),
    Move(Phase.OPEN, Cause.DRAWS, Phase.DRAWN),
    Move(Phase.OPEN, Cause.STARTS, Phase.LIVE),
    Move(Phase.DRAWN, Cause.STARTS, Phase.LIVE),
    *(Move(phase, Cause.GO, Phase.LIVE) for phase in (*_WAITING, Phase.HELD)),
    *(Move(phase, Cause.HOLD, Phase.HELD) for phase in _WAITING),
    *(Move(phase, Cause.CANCEL, Phase.CANCELLED) for phase in (*_WAITING, Phase.HELD)),
    # What is ended before it began has no recording to promise.
    *(Move(phase, Cause.END, Phase.CANCELLED) for phase in (*_WAITING, Phase.HELD)),
    Move(Phase.LIVE, Cause.END, Phase.ENDED),
    # Given just before T0, on what was then a show to come, it finds a live one: that nobody wanted it stays true.
    Move(Phase.LIVE, Cause.CANCEL, Phase.ENDED),
)

FINAL = frozenset(Phase) - {move.before for move in MOVES}

_NEXT = {(move.before, move.cause): move.after for move in MOVES}
_WISHES = {cause.value: cause for cause in (Cause.GO, Cause.HOLD, Cause.END, Cause.CANCEL)}


class Times(NamedTuple):
    """Unix milliseconds. `draws_at_ms` is 0 where there is no draw: such a show goes from open to live."""

    opens_at_ms: int
    starts_at_ms: int
    draws_at_ms: int = 0


class Change(NamedTuple):
    """A step that was made. `reason` is the crew's, empty where the clock moved the show."""

    at_ms: int
    before: Phase
    cause: Cause
    after: Phase
    reason: str


class Life:
    """One show on its way. A restarted studio goes on by giving the `phase` that it had."""

    def __init__(self, times: Times, phase: Phase = Phase.ANNOUNCED) -> None:
        assert times.opens_at_ms <= times.starts_at_ms, times
        assert times.draws_at_ms <= times.starts_at_ms, times
        self.phase = phase
        self._clock = {Cause.OPENS: times.opens_at_ms, Cause.STARTS: times.starts_at_ms}
        if times.draws_at_ms:
            self._clock[Cause.DRAWS] = times.draws_at_ms

    def tick(self, now_ms: int, wish: Wish, reason: str = "") -> tuple[Change, ...]:
        """Every step that is due at `now_ms` (Unix) under this wish, in order; mostly none."""
        changes = []
        while (cause := self._due(now_ms, wish)) is not None:
            after = _NEXT[self.phase, cause]
            changes.append(Change(now_ms, self.phase, cause, after, reason if cause.value == wish else ""))
            self.phase = after
        return tuple(changes)

    def next_deadline(self) -> int | None:
        """Unix milliseconds of the next step by the clock; None if only a wish can move this show."""
        return min((at for cause, at in self._clock.items() if (self.phase, cause) in _NEXT), default=None)

    def _due(self, now_ms: int, wish: Wish) -> Cause | None:
        wished = _WISHES.get(wish)
        if wished is not None and (self.phase, wished) in _NEXT:
            return wished
        due = (cause for cause, at in self._clock.items() if at <= now_ms and (self.phase, cause) in _NEXT)
        return min(due, key=self._clock.__getitem__, default=None)


def outcome(phase: Phase, wish: Wish) -> Phase | None:
    """Where `wish` takes a show in `phase`: that same phase if it is there already, None if it is not heeded there."""
    cause = _WISHES[wish]
    if any(move.cause == cause and move.after == phase for move in MOVES):
        return phase
    return _NEXT.get((phase, cause))


def mermaid() -> str:
    """The table as a Mermaid state diagram, one line for each pair of phases."""
    edges: dict[tuple[Phase, Phase], list[str]] = {}
    for move in MOVES:
        edges.setdefault((move.before, move.after), []).append(move.cause.value)
    lines = [f"    {before} --> {after}: {', '.join(causes)}" for (before, after), causes in edges.items()]
    last = [f"    {phase} --> [*]" for phase in Phase if phase in FINAL]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {Phase.ANNOUNCED}", *lines, *last]) + "\n"
