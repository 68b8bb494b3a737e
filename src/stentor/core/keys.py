"""Which keys of an edge group count at a time, and the tickets minted by them. No files, no clock.

A ticket from the door is of an hour's key and lives as long as that at most. A ticket that somebody keeps, to come back
by, is of the show's key. `now` in Unix seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from stentor.formats import ticket
from stentor.formats.ticket import HOUR_S, SHOW_IDS, Class, Kind, Token

EARLY_S = 60  # clocks may differ by so much: a ticket counts, and so does the key of an hour, that much before its time
LASTING_S = 86_400  # life of a ticket that is kept; whoever listens gets a new one each time they come back
HOURS_KEPT = 4  # keys of so many hours stay on disk, in case the clock is put back


class Key(NamedTuple):
    id: int
    secret: bytes
    group: int


def hours(now: int) -> tuple[int, ...]:
    """The hours whose keys count, newest last: this one and the last, and shortly before it begins the next one."""
    return tuple(range(now // HOUR_S - 1, (now + EARLY_S) // HOUR_S + 1))


def oldest_kept(now: int) -> int:
    """The first hour whose key need not be forgotten yet."""
    return now // HOUR_S - HOURS_KEPT + 1


def show_key_ids(revoked: Collection[int]) -> range:
    """Ids of the keys of a show: the last one mints, those before it are revoked. Empty: all are revoked."""
    first = next((key_id for key_id in SHOW_IDS if key_id not in revoked), SHOW_IDS.stop)
    return range(SHOW_IDS.start, first + 1) if first in SHOW_IDS else range(0)


class Keys:
    """The keys that count at an edge, for one show. `by_id` is the same mapping for ever: it may be held on to."""

    def __init__(self) -> None:
        self.by_id: dict[int, bytes] = {}
        self._hours: set[int] = set()

    def tick(self, now: int) -> list[int]:
        """Let go of what counts no more; -> hours that count and whose keys are not here yet."""
        live = hours(now)
        for hour in self._hours.difference(live):
            self._hours.discard(hour)
            del self.by_id[ticket.hour_id(hour)]
        return [hour for hour in live if hour not in self._hours]

    def receive_hour(self, hour: int, secret: bytes) -> None:
        """The key of an hour that `tick` asked for."""
        self._hours.add(hour)
        self.by_id[ticket.hour_id(hour)] = secret

    def receive_show(self, secrets: Mapping[int, bytes]) -> None:
        """The keys of the show that is on, in the place of another's."""
        for key_id in [key_id for key_id in self.by_id if key_id in SHOW_IDS]:
            del self.by_id[key_id]
        self.by_id.update(secrets)

    def of_hour(self, now: int) -> tuple[int, bytes] | None:
        """Id and secret by which the door mints now; None while it is not here."""
        key_id = ticket.hour_id(now // HOUR_S)
        return (key_id, self.by_id[key_id]) if now // HOUR_S in self._hours else None


def admission(key: Key, show: bytes, seq: int, now: int, life_s: int, cls: Class = Class.LATE) -> str:
    """A ticket for who is let in. `show`: its tag."""
    return _mint(key, show, cls, seq, now, life_s)


def lasting(key: Key, show: bytes, seq: int, now: int) -> str:
    """A ticket to come back by, however late; `key` is the show's."""
    return _mint(key, show, Class.RECONNECT, seq, now, LASTING_S)


def _mint(key: Key, show: bytes, cls: Class, seq: int, now: int, life_s: int) -> str:
    times = (now, now - EARLY_S, now + life_s)
    return ticket.mint(Token(Kind.TICKET, show, cls, seq, *times, key.id, key.group), key.secret)
