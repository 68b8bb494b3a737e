"""Who asks about one place far more often than was asked for; whoever loads a page again is not meant. No clock."""

from __future__ import annotations

AT_ONCE = 12  # polls of one place: a few tabs, and somebody who loads the page again
EACH_S = 2.0  # and then one in so long; what is asked for is five seconds and more (core/admission.py)
PLACES_MAX = 65_536


class Polls:
    """Of one worker. Places are kept as numbers that say nothing to anybody else; of too many, the one that has not
    been asked about for longest is forgotten, as if it had never been."""

    def __init__(self, places_max: int = PLACES_MAX) -> None:
        self._max = places_max
        self._due_s: dict[int, float] = {}  # when it has a full number of polls again; who was heard last comes last

    def receive(self, place: str, now_s: float) -> bool:
        """Whether this poll is in good order, by the generic cell rate algorithm (ITU-T I.371, annex A)."""
        key = hash(place)
        due_s = max(self._due_s.pop(key, now_s), now_s)
        in_order = due_s + EACH_S <= now_s + AT_ONCE * EACH_S
        self._due_s[key] = due_s + EACH_S if in_order else due_s
        if len(self._due_s) > self._max:
            del self._due_s[next(iter(self._due_s))]
        return in_order
