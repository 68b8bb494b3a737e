"""The epoll loop: a tick that always comes first, then events, then what can wait (accepting).

Level-triggered throughout: an event list may be left half handled, what is left is reported again.
"""

from __future__ import annotations

import math
import os
import select
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

READABLE = select.EPOLLIN
ENDED = select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP  # the peer sends nothing any more
Handler = Callable[[int, int], object]  # (descriptor, epoll mask)
EVENTS_A_TURN = 256  # events handled between two ticks
TURN_S = 0.01  # so long at most: a TLS handshake takes as much time as fifty requests
Item = TypeVar("Item")


class Loop:
    """Waits for descriptors and deadlines. `on_fault` is called inside the `except` of a handler that raised.

    A handler that raises loses its descriptor's events, so that it cannot spin; whoever owns the descriptor closes it.
    A tick or timer that raises ends `run`.
    """

    def __init__(self, on_fault: Callable[[int], None]) -> None:
        self._on_fault = on_fault
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._deferred: list[Callable[[], None]] = []
        self._timers: list[_Timer] = []
        self._tick: Callable[[], float] = lambda: math.inf
        self._stopped = False
        self._looked_s = math.inf  # when the last turn had its events
        self._hear: Callable[[float], object] = lambda waited_s: None
        self.turns = 0
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.watch(self._alarm, select.EPOLLIN, lambda fd, mask: os.eventfd_read(fd))

    def watch(self, fd: int, mask: int, handler: Handler) -> None:
        """From now on `handler` gets the events in `mask` of `fd`, whoever had them before."""
        if fd in self._handlers:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """No more events of `fd`, not even those already fetched. Nothing happens if it is not watched."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def report_fault(self, fd: int) -> None:
        """To be called inside an `except` by a handler that goes on by itself."""
        self._on_fault(fd)

    def defer(self, call: Callable[[], None]) -> None:
        """Run `call` after the events at hand. Descriptors are made only there: a number closed in this turn is not
        taken again in it, so no event meets the wrong owner."""
        self._deferred.append(call)

    def spread(self, table: Mapping[int, Item], work: Callable[[int, Item], object]) -> None:
        """`work` on every entry that `table` has now, and has still when its turn comes, in as many turns as that
        takes: closing thousands of sockets keeps nobody else waiting."""
        rest = iter(list(table.items()))

        def go_on() -> None:
            until_s = time.monotonic() + TURN_S
            for key, item in rest:
                if table.get(key) is item:
                    work(key, item)
                if time.monotonic() > until_s:
                    self.call_soon(go_on)
                    return

        go_on()

    def call_soon(self, call: Callable[[], None]) -> None:
        """Run `call` in the next turn; may be called from a signal handler."""
        self._deferred.append(call)
        os.eventfd_write(self._alarm, 1)

    def tick_first(self, tick: Callable[[], float]) -> None:
        """Call `tick` at each turn before anything else; it says when it wants to be called again (monotonic, s)."""
        self._tick = tick

    def hear_waits(self, hear: Callable[[float], object]) -> None:
        """At each turn `hear` is told how long the events at hand may have waited, s, before they are handled."""
        self._hear = hear

    def every(self, period_s: float, call: Callable[[], None]) -> None:
        self._timers.append(_Timer(period_s, call))

    def stop(self) -> None:
        """Make `run` return, or not begin; may be called from a signal handler."""
        self._stopped = True
        os.eventfd_write(self._alarm, 1)

    def run(self) -> None:
        """Turn until `stop`."""
        wake_s = self._tick()
        while not self._stopped:
            wake_s = self.turn(wake_s)

    def turn(self, wake_s: float) -> float:
        """Wait for events, no longer than until `wake_s`; handle them; -> when the tick wants to be called again."""
        for timer in self._timers:
            wake_s = min(wake_s, timer.due_s)
        wait_s = None if wake_s == math.inf else max(0.0, wake_s - time.monotonic())
        events = self._look(wait_s)
        tick_s = self._tick()
        until_s = time.monotonic() + TURN_S
        for fd, mask in events:
            handler = self._handlers.get(fd)
            if handler:
                self._handle(handler, fd, mask)
            if time.monotonic() > until_s:
                break
        self._run_deferred()
        now = time.monotonic()
        for timer in self._timers:
            timer.run_if_due(now)
        return tick_s

    def _look(self, wait_s: float | None) -> list[tuple[int, int]]:
        """The events there are, else those that come. Only the first have waited: since the last look, at most."""
        self.turns += 1
        before_s, events = self._looked_s, self._epoll.poll(0, EVENTS_A_TURN)
        found = bool(events)
        if not found:
            events = self._epoll.poll(wait_s, EVENTS_A_TURN)
        self._looked_s = time.monotonic()
        self._hear(max(0.0, self._looked_s - before_s) if found else 0.0)
        return events

    def _handle(self, handler: Handler, fd: int, mask: int) -> None:
        try:
            handler(fd, mask)
        except Exception:
            self.forget(fd)
            self._on_fault(fd)

    def _run_deferred(self) -> None:
        calls, self._deferred = self._deferred, []
        for call in calls:
            call()

    def close(self) -> None:
        self._epoll.close()
        os.close(self._alarm)


class _Timer:
    """A call at every period; periods missed are not made up for."""

    __slots__ = ("_call", "_period_s", "due_s")

    def __init__(self, period_s: float, call: Callable[[], None]) -> None:
        self._period_s = period_s
        self._call = call
        self.due_s = time.monotonic() + period_s

    def run_if_due(self, now: float) -> None:
        if now >= self.due_s:
            self.due_s = max(now, self.due_s) + self._period_s
            self._call()
