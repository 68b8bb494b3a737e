"""Overload of the intake: while its queue stands, who cannot be answered in a share of the turn is put off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from stentor.core.shed import StandingQueue
from stentor.io.net.loop import TURN_S
from stentor.io.net.server import Answer
from stentor.model.http import Request, Response

SHARE_S = 0.7 * TURN_S  # of a row of events, or of fresh connections: for answers, before the rest is put off
ROW_MIN = 4  # answered in any case: where so few take so long, it is not they who are too many


class Putting(Protocol):
    """Who answers, and who puts off: None for requests that never are."""

    def answer(self, request: Request) -> Answer: ...

    def put_off(self, request: Request) -> Response | None: ...


class Shedding:
    """Stands between a server and the worker that answers for it.

    Requests come in rows, on connections that are kept (a turn's events, io/net/loop) or fresh (io/net/server). Each
    kind has a queue of its own: where one stands, the other may be short. `begin_…` is told of the wait as a row
    begins, and says whether the queue stands. Fresh ones are then taken with the newest first, so that the share of the
    row goes to them. Kept ones keep their order, in which nobody starves: whoever has given up there has closed.
    """

    def __init__(self, worker: Putting, make_queue: Callable[[], StandingQueue]) -> None:
        self._worker = worker
        self.kept, self.fresh = make_queue(), make_queue()
        self._row = self.kept
        self._until_s = 0.0
        self._answered = 0  # in this row

    def begin_kept(self, waited_s: float) -> bool:
        return self._begin_row(self.kept, waited_s)

    def begin_fresh(self, waited_s: float) -> bool:
        return self._begin_row(self.fresh, waited_s)

    def _begin_row(self, queue: StandingQueue, waited_s: float) -> bool:
        now = time.monotonic()
        self._row, self._until_s, self._answered = queue, now + SHARE_S, 0
        return queue.receive_wait(waited_s, now)

    def answer(self, request: Request) -> Answer:
        if self._row.shedding and self._answered >= ROW_MIN and time.monotonic() > self._until_s:
            return self._worker.put_off(request) or self._worker.answer(request)
        self._answered += 1
        return self._worker.answer(request)
