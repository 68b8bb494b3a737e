"""What one worker saw of each source since it last told. No clock, no sockets."""

from __future__ import annotations

from collections.abc import Iterable

from stentor.formats import evidence
from stentor.formats.evidence import key_of
from stentor.model.http import Request, Response
from stentor.model.suspicion import FIELDS

SOURCES_MAX = 16_384  # between two tellings; of more, only how much there was is told
_AT = {name: at for at, name in enumerate(FIELDS)}


class Witness:
    """Counts by source and field, for a worker of `role` (formats/evidence)."""

    def __init__(self, role: int, worker: int) -> None:
        self._role, self._worker = role, worker
        self._rows: dict[bytes, list[int]] = {}
        self._overflow = 0

    def count(self, source: str, field: str, n: int = 1) -> None:
        """Of an address as text; whoever has none is not counted."""
        key = key_of(source)
        if key:
            self.count_key(key, field, n)

    def count_all(self, source: str, fields: Iterable[str]) -> None:
        """One of each."""
        key = key_of(source)
        row = self._rows.get(key)
        if row is None:
            for field in fields if key else ():
                self.count_key(key, field)
            return
        for field in fields:
            row[_AT[field]] += 1

    def count_key(self, key: bytes, field: str, n: int = 1) -> None:
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= SOURCES_MAX:
                self._overflow += n
                return
            row = self._rows[key] = [0] * len(FIELDS)
        row[_AT[field]] += n

    def flush(self, now_ms: int) -> list[bytes]:
        """Datagrams of what there is, which begins anew; none if that is nothing."""
        if not self._rows and not self._overflow:
            return []
        told = evidence.encode(self._role, self._worker, now_ms, self._overflow, self._rows)
        self._rows, self._overflow = {}, 0
        return told


def of_door(request: Request, response: Response) -> tuple[str, ...]:
    """What a request to the door, and its answer, are counted as."""
    posted = request.method == "POST" and request.path.endswith(("/join", "/wait"))
    if response.status == _FORBIDDEN:
        return (*_JOINS[posted], "forged")
    if posted and response.status == _ASKED:
        return _UNSOLVED
    if posted or request.path.endswith("/listen.mp3"):
        if response.status in (_OK, _ON):
            return _STARTS
        if _GATHERING in (response.body or b""):
            return ("requests", "joins", "places")
        return _QUEUED if response.status == _ACCEPTED else ("requests", "joins", "held")
    if response.status == _OK and request.path.split("/")[3:4] == ["place"]:
        return POLITE
    return _JOINS[False]


POLITE, EARLY = ("requests", "polite"), ("requests", "early")  # polls of a place
_OK, _ACCEPTED, _ON, _FORBIDDEN, _ASKED = 200, 202, 307, 403, 428
_GATHERING = b'"state": "gathering"'
_STARTS = ("requests", "joins", "starts", "tickets")
_QUEUED = ("requests", "joins", "held", "queued")
_UNSOLVED = ("requests", "joins", "held", "unsolved")
_JOINS = {True: ("requests", "joins"), False: ("requests",)}
