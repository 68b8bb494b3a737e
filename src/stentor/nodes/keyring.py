"""The keys of tickets of this edge group, as door and edge hold them: the files, kept up with the clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import structlog

from stentor.core import keys
from stentor.core.keys import Key, Keys
from stentor.formats.ticket import HOUR_S, show_tag
from stentor.io.keys import GroupKeys
from stentor.settings import Settings

SHOWS_MAX = 64  # whose keys are kept in memory
log = structlog.get_logger()


class Keyring:
    """`look` is to be called now and then. What the disk does not give is asked for again, and the log says so."""

    def __init__(self, settings: Settings) -> None:
        self.group = settings.edge_group
        self._files = GroupKeys(settings.keys_dir, settings.edge_group)
        self._keys = Keys()
        self._of_shows: dict[tuple[str, int], bytes] = {}  # by show and key id
        self._hour = 0
        self._problem = ""

    @property
    def by_id(self) -> Mapping[int, bytes]:
        """Keys that count: those of hours, and those of the show that is followed. The same mapping for ever."""
        return self._keys.by_id

    def look(self, now: int, shows: Iterable[str] = ()) -> None:
        """Bring the keys that count at `now` (Unix seconds), and remove those that are over: not those of `shows`."""
        for hour in self._keys.tick(now):
            bring = self._files.hour if hour >= now // HOUR_S else self._files.known_hour
            secret = self._brought(bring, hour)
            if secret is not None:
                self._keys.receive_hour(hour, secret)
        if now // HOUR_S != self._hour:
            self._hour = now // HOUR_S
            self._of_shows.clear()  # to be asked for again: whose files nobody asks for are removed
            for show in shows:
                self._files.hold(show_tag(show))
            self._brought(self._files.forget, keys.oldest_kept(now))

    def follow(self, show: str, revoked: Collection[int]) -> None:
        """Tickets of this show's keys count from now on, of no other's."""
        self._keys.receive_show(self.of_show(show, revoked) if show else {})

    def of_show(self, show: str, revoked: Collection[int]) -> dict[int, bytes]:
        """The show's keys by id: the last one mints, those before it are revoked."""
        found = ((key_id, self._of_show(show, key_id)) for key_id in keys.show_key_ids(revoked))
        return {key_id: secret for key_id, secret in found if secret is not None}

    def lasting(self, show: str, revoked: Collection[int]) -> Key | None:
        """The key of tickets that are kept; None: there is none at the moment."""
        ids = keys.show_key_ids(revoked)
        secret = self._of_show(show, ids[-1]) if ids else None
        return Key(ids[-1], secret, self.group) if secret is not None else None

    def admitting(self, show: str, revoked: Collection[int], now: int) -> Key | None:
        """The key by which the door admits: the hour's, or the show's where that is revoked or not to be had."""
        found = self._keys.of_hour(now)
        if found is not None and found[0] not in revoked:
            return Key(*found, self.group)
        return self.lasting(show, revoked)

    def _of_show(self, show: str, key_id: int) -> bytes | None:
        secret = self._of_shows.get((show, key_id))
        if secret is None:
            secret = self._brought(lambda number: self._files.show(show_tag(show), number), key_id)
            if len(self._of_shows) >= SHOWS_MAX:
                self._of_shows.clear()
            if secret is not None:
                self._of_shows[show, key_id] = secret
        return secret

    def _brought(self, bring: Callable[[int], bytes | None], number: int) -> bytes | None:
        try:
            found = bring(number)
        except (OSError, ValueError) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.error("a key of tickets cannot be had", reason=self._problem)
            return None
        return found
