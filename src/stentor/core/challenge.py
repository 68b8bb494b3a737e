"""The challenge at the door: made beforehand, given with a stamp, taken once. No sockets, no clock.

Cheap checks come first: a stamp that was not given to this source costs its sender more than the door. What passes
them is hashed within a budget. What was taken is remembered until it is too old to count anyway, in a table that all
workers of a machine share: in rows of eight, so that nothing is ever forgotten for want of room - a full row takes
nobody, and says so.
"""

from __future__ import annotations

import struct
from collections import deque
from enum import StrEnum
from typing import Protocol

from stentor.formats import challenge as form
from stentor.formats.challenge import BadSolution, Challenge, Kind, Needed
from stentor.formats.problem import Refused
from stentor.model.budget import Budget

HASHES = 125_000  # that a join costs, on average; settings may say otherwise
POOL = 1_024
MADE_AT_ONCE = 64
LIFE_S = 120  # from the giving to the taking of a solution
SLOT_S = 15  # whoever waits instead waits one to two of these
WAIT_LIFE_S = 120
SOLUTIONS_PER_S = 500  # that a worker looks at
WAITS_PER_S = 5  # that a worker lets in without a solution
RETRY_AFTER_S = 2
ROWS = 32_768
_WAYS = 8
_SLOT = struct.Struct("<II")  # tag, and the Unix second until which it counts; 0: free
TABLE_BYTES = ROWS * _WAYS * _SLOT.size
_BUSY = Refused(
    503, "challenge-busy", "More solutions come than can be looked at; come again", retry_after_s=RETRY_AFTER_S
)


class Random(Protocol):
    def randbytes(self, n: int) -> bytes: ...

    def randrange(self, start: int, stop: int) -> int: ...


class Bad(StrEnum):
    """Why what came was not taken, in words."""

    NONE = ""
    FORGED = "What came with it was not given here, or to another address."
    EXPIRED = "What came with it is too old."
    EARLY = "It came too early."
    WRONG = "What came with it is no solution."
    SPENT = "What came with it has been used before."


class Spent:
    """What was taken. `table` has `TABLE_BYTES`, zero at first. Two workers that are asked within the same microsecond
    may both take the same: it is a price, not a proof."""

    def __init__(self, table: bytearray | memoryview) -> None:
        self._table = table

    def take(self, mac: bytes, until_s: int, now_s: int) -> bool | None:
        """Whether nobody has yet; None: there is no room for it. `mac` has at least 8 bytes."""
        row, tag = struct.unpack_from("<II", mac)
        start, free = row % ROWS * _WAYS * _SLOT.size, -1
        for at in range(start, start + _WAYS * _SLOT.size, _SLOT.size):
            known, until = _SLOT.unpack_from(self._table, at)
            if until >= now_s and known == tag:
                return False
            if until < now_s and free < 0:
                free = at
        if free < 0:
            return None
        _SLOT.pack_into(self._table, free, tag, until_s)
        return True


class Challenger:
    """Of one worker. `key` is the same in all of them, `hashes` the price on average; times
    are Unix seconds, but `clock_s` never steps."""

    def __init__(self, key: bytes, table: bytearray | memoryview, rng: Random, hashes: int = HASHES) -> None:
        self._key, self._rng, self._spent, self._number_max = key, rng, Spent(table), 2 * hashes
        self._pool: deque[Challenge] = deque()
        self._looks = Budget(SOLUTIONS_PER_S, 1.0)
        self._waits = Budget(WAITS_PER_S, 1.0)
        self.challenged = self.solved = 0

    def refill(self) -> None:
        """To be called now and then, so that nothing has to be made while many ask."""
        for _ in range(min(MADE_AT_ONCE, POOL - len(self._pool))):
            self._pool.append(self._make())

    def _make(self) -> Challenge:
        salt, number = self._rng.randbytes(form.SALT_BYTES), self._rng.randrange(0, self._number_max + 1)
        return form.make(self._key, salt, number, self._number_max)

    def receive(self, solution: str, stamp: str, source: str, now_s: int, clock_s: float) -> Refused | None:
        """What a join brings with it; -> None: it may come in, or what it has to do first."""
        bad = self._look(solution, stamp, source, now_s, clock_s) if stamp else Bad.NONE
        if bad is None:
            self.solved += 1
            return None
        if isinstance(bad, Refused):
            return bad
        self.challenged += 1
        return self._give(source, now_s, bad, stamp if bad is Bad.EARLY else "")

    def _give(self, source: str, now_s: int, bad: Bad, kept: str) -> Needed:
        given = self._pool.popleft() if self._pool else self._make()
        wait = kept or form.stamp(self._key, Kind.WAIT, now_s // SLOT_S * SLOT_S, source)
        ready_s = int(wait.split(".")[1], 16) + 2 * SLOT_S
        return Needed(
            form.STATUS,
            form.CODE,
            form.TITLE,
            bad.value,
            challenge=given,
            stamp=form.stamp(self._key, Kind.SOLVE, now_s, source, given.signature),
            wait_stamp=wait,
            wait_s=max(1, ready_s - now_s),
        )

    def _look(self, solution: str, stamp: str, source: str, now_s: int, clock_s: float) -> Bad | Refused | None:
        if not solution:
            return self._look_at_wait(stamp, source, now_s, clock_s)
        try:
            found = form.parse(solution)
        except BadSolution:
            return Bad.FORGED
        opened = form.open_stamp(self._key, stamp, source, found.signature)
        if opened is None or opened.kind is not Kind.SOLVE:
            return Bad.FORGED
        if not 0 <= now_s - opened.at_s <= LIFE_S:
            return Bad.EXPIRED
        if not self._looks.take(1, clock_s):
            return _BUSY
        if not form.solves(self._key, found):
            return Bad.WRONG
        return self._take(bytes.fromhex(found.signature), opened.at_s + LIFE_S, now_s)

    def _look_at_wait(self, stamp: str, source: str, now_s: int, clock_s: float) -> Bad | Refused | None:
        """Each source has one stamp in each slot, and each counts once: that is its share."""
        opened = form.open_stamp(self._key, stamp, source)
        if opened is None or opened.kind is not Kind.WAIT:
            return Bad.FORGED
        waited_s = now_s - opened.at_s
        if waited_s < 2 * SLOT_S:
            return Bad.EARLY
        if waited_s > WAIT_LIFE_S:
            return Bad.EXPIRED
        if not self._waits.take(1, clock_s):
            return _BUSY
        return self._take(opened.mac, opened.at_s + WAIT_LIFE_S, now_s)

    def _take(self, mac: bytes, until_s: int, now_s: int) -> Bad | Refused | None:
        taken = self._spent.take(mac, until_s, now_s)
        if taken is None:
            return _BUSY
        return None if taken else Bad.SPENT
