"""From which sources listeners are here, who of them has heard something, and who takes nothing. No clock.

A listener is looked at `HEARD_S` after coming: with (almost) nothing left in the kernel on our side, two seconds of
audio were taken. Who has something left is looked at again, and counted as taking nothing after `UNDRAINED_S`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

HEARD_S = 2.5
UNDRAINED_S = 5.0
LOOK_AGAIN_S = 0.5
PATIENCE_S = 15.0  # then whoever has not taken anything is no more looked at
LEFT_BYTES_MAX = 8_192  # of what was sent, on our side: less, and it was taken
LOOKS_MAX = 4_096  # at once
SLICES = 20  # of all that are here, one is told at a time


class _Due(NamedTuple):
    at_s: float
    fd: int
    number: int


class Attendance:
    """Of one worker. Times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._here: dict[int, tuple[int, bytes, float]] = {}  # by descriptor: number of the coming, key, when
        self._hearing: dict[int, bytes] = {}  # those who have heard something, by descriptor
        self._by_key: Counter[bytes] = Counter()  # of those
        self._fresh: deque[_Due] = deque()
        self._again: deque[_Due] = deque()
        self._tried: set[int] = set()  # numbers of those who were counted as taking nothing
        self._number = 0
        self._dropped: deque[bytes] = deque(maxlen=LOOKS_MAX)
        self._slice: deque[bytes] = deque()

    def __contains__(self, key: bytes) -> bool:
        """Whether somebody listens from there who has heard something: nobody listens to a stream that nobody takes."""
        return key in self._by_key

    def join(self, fd: int, key: bytes, now_s: float) -> None:
        if not key:
            return
        self._number += 1
        self._here[fd] = self._number, key, now_s
        self._fresh.append(_Due(now_s + HEARD_S, fd, self._number))

    def drop(self, fd: int) -> None:
        """Their socket has taken nothing for too long."""
        key = self._here.get(fd, (0, b"", 0.0))[1]
        if key:
            self._dropped.append(key)

    def part(self, fd: int) -> None:
        """They have gone."""
        self._tried.discard(self._here.pop(fd, (0, b"", 0.0))[0])
        key = self._hearing.pop(fd, b"")
        if key:
            self._by_key[key] -= 1
            if not self._by_key[key]:
                del self._by_key[key]

    def look(self, now_s: float, left_bytes: Callable[[int], int]) -> list[tuple[bytes, str]]:
        """-> (key, "completed" or "undrained") of those of whom that shows now. `left_bytes` is what the kernel still
        has for a descriptor."""
        found = [(key, "undrained") for key in self._dropped]
        self._dropped.clear()
        for queue in (self._fresh, self._again):
            for _ in range(min(len(queue), LOOKS_MAX)):
                if queue[0].at_s > now_s:
                    break
                due = queue.popleft()
                number, key, came_s = self._here.get(due.fd, (0, b"", 0.0))
                if number != due.number:
                    continue
                if left_bytes(due.fd) <= LEFT_BYTES_MAX:
                    self._hear(due.fd, key)
                    found.append((key, "completed"))
                else:
                    found += self._wait(due, key, now_s - came_s, now_s)
        return found

    def _hear(self, fd: int, key: bytes) -> None:
        self._hearing[fd] = key
        self._by_key[key] += 1

    def _wait(self, due: _Due, key: bytes, age_s: float, now_s: float) -> list[tuple[bytes, str]]:
        told = age_s >= UNDRAINED_S and due.number not in self._tried
        if told:
            self._tried.add(due.number)
        if age_s < PATIENCE_S:
            self._again.append(due._replace(at_s=now_s + LOOK_AGAIN_S))
        return [(key, "undrained")] if told else []

    def some(self) -> list[bytes]:
        """A part of the sources that somebody listens from; in `SLICES` calls, all of them."""
        if not self._slice:
            self._slice.extend(self._by_key)
        count = -(-len(self._by_key) // SLICES)
        return [self._slice.popleft() for _ in range(min(count, len(self._slice)))]
