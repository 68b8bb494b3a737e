"""The shows that are on the board: who holds a link to them, how far each has come, and when one leaves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from stentor.model.board import Desk, Phase, Seat, Show, Stage

SHOWS_MAX = 32
OVER_STAYS_MS = 3_600_000

_FINAL_BY_WISH = {"end": Phase.ENDED, "cancel": Phase.CANCELLED}
_FINAL = frozenset(_FINAL_BY_WISH.values())


class Entry(NamedTuple):
    """A show and the phase it was last seen in. `over_at_ms` (Unix) is 0 until it is known to be ended or cancelled."""

    show: Show
    phase: Phase = Phase.ANNOUNCED
    over_at_ms: int = 0

    @property
    def over(self) -> bool:
        return self.over_at_ms > 0


class Shows:
    """What the desk holds in memory. It follows the records: changes come here once they are stored."""

    def __init__(self, revision: int, entries: Iterable[Entry]) -> None:
        self.revision = revision
        self._entries = {entry.show.id: entry for entry in entries}
        self._holders: dict[str, tuple[str, str]] = {}
        self._index()

    def get(self, show_id: str) -> Entry | None:
        return self._entries.get(show_id)

    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries.values())

    def holder(self, token_hash: str) -> tuple[Entry, Seat] | None:
        """Whose link has this hash; whether it still works is another question (`core.desk.refuse_link`)."""
        show_id, seat_id = self._holders.get(token_hash, ("", ""))
        entry = self._entries.get(show_id)
        if entry is None:
            return None
        return entry, next(seat for seat in entry.show.seats if seat.id == seat_id)

    def has_room(self) -> bool:
        """Whether one more show can be announced: one that is over makes room."""
        return sum(not entry.over for entry in self._entries.values()) < SHOWS_MAX

    def size_with(self, show: Show) -> int:
        """Bytes that the board's value would have with `show` in it."""
        shows = {**{entry.show.id: entry.show for entry in self._entries.values()}, show.id: show}
        return len(msgspec.json.encode(Desk(self.revision + 1, tuple(shows.values()))))

    def receive_change(self, show: Show, revision: int) -> None:
        entry = self._entries.get(show.id, Entry(show))
        self._entries[show.id] = entry._replace(show=show)
        self.revision = revision
        self._index()

    def receive_stage(self, stage: Stage | None, now_ms: int) -> tuple[Entry, ...]:
        """What the studio says is; -> the shows that are over by it, and were not before."""
        seen = [self._seen(entry, stage, now_ms) for entry in self._entries.values() if not entry.over]
        self._entries.update((entry.show.id, entry) for entry in seen)
        return tuple(entry for entry in seen if entry.over)

    def tick(self, now_ms: int) -> bool:
        """Let go of shows that have long been over, and of more than `SHOWS_MAX`; -> whether any left."""
        over = sorted((entry for entry in self._entries.values() if entry.over), key=lambda entry: entry.over_at_ms)
        excess = max(0, len(self._entries) - SHOWS_MAX)
        gone = [e for i, e in enumerate(over) if i < excess or now_ms - e.over_at_ms > OVER_STAYS_MS]
        for entry in gone:
            del self._entries[entry.show.id]
        if gone:
            self._index()
        return bool(gone)

    def desk(self) -> Desk:
        """The board's value."""
        return Desk(self.revision, tuple(entry.show for entry in self._entries.values()))

    def _index(self) -> None:
        self._holders = {
            seat.token_hash: (entry.show.id, seat.id) for entry in self._entries.values() for seat in entry.show.seats
        }

    @staticmethod
    def _seen(entry: Entry, stage: Stage | None, now_ms: int) -> Entry:
        if stage is not None and stage.show == entry.show.id:
            return entry._replace(phase=stage.phase, over_at_ms=now_ms if stage.phase in _FINAL else 0)
        # The studio has let it go, or (cancelled) never took it up: nobody else will say that it is over.
        final = _FINAL_BY_WISH.get(entry.show.wish)
        if final is Phase.CANCELLED or (final is Phase.ENDED and stage is not None):
            return entry._replace(phase=final, over_at_ms=now_ms)
        return entry
