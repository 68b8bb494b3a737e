"""Tickets and places as the door gives and takes them: by which key, and how long each lives."""

from __future__ import annotations

from collections.abc import Mapping

from stentor.core import keys
from stentor.core.keys import EARLY_S
from stentor.core.revocation import Revocation
from stentor.formats import ticket
from stentor.formats.ticket import Class, Kind, Refusal, Token, show_tag
from stentor.formats.waiting import Ticket
from stentor.model.board import Revoked, Show
from stentor.nodes.keyring import Keyring
from stentor.settings import Settings

PLACE_LIFE_S = 86_400  # from the start of the show, or from the giving where that is later


class Tokens:
    """Of one edge group. `shows` is followed, not copied; times are Unix seconds."""

    def __init__(self, settings: Settings, shows: Mapping[str, Show]) -> None:
        self._keyring = Keyring(settings)
        self._life_s = settings.ticket_life_s
        self._shows = shows
        self._revocations: dict[str, tuple[Revoked, Revocation]] = {}  # by show, until the crew changes it

    def look(self, now: int) -> None:
        """To be called now and then."""
        self._keyring.look(now, self._shows)
        for gone in self._revocations.keys() - self._shows.keys():
            del self._revocations[gone]

    def ticket(self, show: str, seq: int, cls: Class, now: int) -> Ticket | None:
        """For who is let in; None: there is no key at the moment."""
        key = self._keyring.admitting(show, self._revoked(show).keys, now)
        if key is None:
            return None
        text = keys.admission(key, show_tag(show), seq, now, self._life_s, cls)
        return Ticket(text, seq, (now + self._life_s) * 1000)

    def lasting(self, show: str, seq: int, now: int) -> Ticket | None:
        """The same for an address that players keep."""
        key = self._keyring.lasting(show, self._revoked(show).keys)
        if key is None:
            return None
        return Ticket(keys.lasting(key, show_tag(show), seq, now), seq, (now + keys.LASTING_S) * 1000)

    def place(self, show: str, seq: int, cls: Class, issued: int, now: int) -> tuple[Token, str] | None:
        """A place lives longer than the key of an hour, so it is of the show's. It counts at once, also if it is
        `issued` at a second to come."""
        key = self._keyring.lasting(show, self._revoked(show).keys)
        if key is None:
            return None
        starts = self._shows[show].starts_at_ms // 1000 if show in self._shows else 0
        times = (issued, now - EARLY_S, max(issued, starts) + PLACE_LIFE_S)
        token = Token(Kind.PLACE, show_tag(show), cls, seq, *times, key.id, key.group)
        return token, ticket.mint(token, key.secret)

    def open_place(self, text: str, show: str, now: int) -> Token | Refusal:
        revoked = self._revoked(show)
        secrets = self._keyring.of_show(show, revoked.keys)
        token = ticket.check(text, secrets, show_tag(show), now, Kind.PLACE, self._keyring.group)
        return Refusal.REVOKED if isinstance(token, Token) and self._revocation(show, revoked).covers(token) else token

    def _revocation(self, show: str, revoked: Revoked) -> Revocation:
        """With many ranges it takes long to make, and everybody asks."""
        kept = self._revocations.get(show)
        if kept is None or kept[0] != revoked:
            kept = revoked, Revocation(revoked)
            if show in self._shows:
                self._revocations[show] = kept
        return kept[1]

    def withdrawn(self, show: str, cls: Class) -> bool:
        """Whether what is of that class is void as soon as it is given."""
        return cls in self._revoked(show).classes

    def is_withdrawn_number(self, show: str, seq: int) -> bool:
        """Whether a ticket with that number is void, whatever else it says."""
        revoked = self._revoked(show)
        return bool(revoked.seqs) and self._revocation(show, revoked).covers_seq(seq)

    def _revoked(self, show: str) -> Revoked:
        return self._shows[show].revoked if show in self._shows else Revoked()
