"""When more is asked than can be answered: who notices, and what those are told who are put off.

The notion of a standing queue is CoDel's (RFC 8289): not how long the queue is, but whether the *least* wait within an
interval stays above a target. A burst that drains within the interval is left alone. What is done about it is not
CoDel's: senders of requests do not slow down as TCP does when it loses a packet, so dropping one here and there does
nothing. While the queue stands, a share of each turn goes to the newest, and the rest are told to come again (Maurer,
"Fail at Scale", ACM Queue 13(8), 2015, takes the newest first for the same reason: the oldest have given up soonest).
"""

from __future__ import annotations

import math
from typing import Protocol

from stentor.formats.problem import Refused, refusal
from stentor.model.http import Request, Response

TARGET_S = 0.005
INTERVAL_S = 0.1
SOON_INTERVALS = 16  # who sheds again so soon, waits less before it does (RFC 8289, 5.5)
QUIET_INTERVALS = 4  # in which nobody came: there was no queue
AGAIN_MAX = 256  # times that counts
RETRY_AFTER_S = (2, 10)
_NEVER_PUT_OFF = ("/now", "/healthz")  # cheap, and what everybody needs who is to wait in good order


class Random(Protocol):
    def randrange(self, start: int, stop: int) -> int: ...


class StandingQueue:
    """`shedding` as long as the queue stands. Nothing is kept that could hold it there once the load has gone: one wait
    below the target ends it."""

    def __init__(self, target_s: float = TARGET_S, interval_s: float = INTERVAL_S) -> None:
        self._target_s, self._interval_s = target_s, interval_s
        self._since_s: float | None = None  # the wait has been above the target from then on
        self._heard_s = -math.inf
        self._ended_s = -math.inf  # when it last shed
        self._again = 1
        self.shedding = False

    def receive_wait(self, waited_s: float, now: float) -> bool:
        """Whoever is next has waited so long; -> whether to shed."""
        if now - self._heard_s > QUIET_INTERVALS * self._interval_s:
            self._end(now)
        self._heard_s = now
        if waited_s <= self._target_s:
            self._end(now)
        elif self._since_s is None:
            self._since_s = now
        elif not self.shedding and now - self._since_s >= self._patience_s(now):
            self._begin(now)
        return self.shedding

    def _patience_s(self, now: float) -> float:
        """How long a queue may stand: an interval, less where it has stood only just before."""
        return self._interval_s / math.sqrt(self._again if self._is_soon(now) else 1)

    def _is_soon(self, now: float) -> bool:
        return now - self._ended_s < SOON_INTERVALS * self._interval_s

    def _begin(self, now: float) -> None:
        self._again = min(self._again + 1, AGAIN_MAX) if self._is_soon(now) else 1
        self.shedding = True

    def _end(self, now: float) -> None:
        if self.shedding:
            self._ended_s = now
        self._since_s = None
        self.shedding = False


def is_put_off(path: str) -> bool:
    """Whether the door tells who asks for `path` to come again, when it has to tell somebody."""
    return not path.endswith(_NEVER_PUT_OFF)


def is_stranger(request: Request) -> bool:
    """Whether somebody asks to be let in who has neither ticket nor place."""
    asks = request.path.endswith(("/join", "/wait") if request.method == "POST" else "/listen.mp3")
    return asks and not request.query.get("place")


SHARED_OUT = Refused(
    429, "fair-share", "Many ask from this address", "each gets a share at the moment; come again", retry_after_s=10
)
SHUT_OUT = refusal(  # by a proxy: who comes by themselves has no connection
    429, "shut-out", "Too much came from this address", "come again in a few minutes", retry_after_s=60
)
BESIEGED = Refused(
    503, "siege", "Only those with a ticket or a place are let in", "come again in a minute", retry_after_s=60
)
_SECONDS = range(RETRY_AFTER_S[0], RETRY_AFTER_S[1] + 1)
_TITLE = "More people ask than can be answered; come again"
_BUSY = tuple(refusal(503, "busy", _TITLE, retry_after_s=seconds) for seconds in _SECONDS)
_PAGE = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><title>Stentor</title>'
    b"<p>More people ask than can be answered at once. This page looks again by itself."
)
_PAGE_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
)
_BUSY_PAGES = tuple(
    Response(503, (*_PAGE_HEADERS, ("Retry-After", str(seconds)), ("Refresh", str(seconds))), _PAGE)
    for seconds in _SECONDS
)


def _is_page(path: str) -> bool:
    """Whether a browser shows what is at `path`, and no script of ours is there to ask again."""
    parts = path.strip("/").split("/")
    return parts == [""] or (parts[0] == "s" and (len(parts) == 2 or parts[2] == "wait"))


def busy(rng: Random, path: str) -> Response:
    """The answer for those who are put off, made beforehand. They are not all told the same time, lest they all come
    at it."""
    kinds = _BUSY_PAGES if _is_page(path) else _BUSY
    return kinds[rng.randrange(0, len(kinds))]
