"""Who is not let in: the usher's rules, as a worker of door or edge goes by them. They run out by themselves, also when
no usher is there to take them back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import structlog

from stentor.core.attendance import Attendance
from stentor.formats import blocked
from stentor.formats.blocked import DROP, FAVOUR, Block
from stentor.formats.evidence import key_of, network_of, target
from stentor.io.board import Board
from stentor.io.net.loop import Loop
from stentor.model import board
from stentor.nodes.values import get
from stentor.settings import Settings

LOOK_S = 0.1
SPAN_S = 10.0
NETWORK_SHARES = 10  # of a source, that a network of them has together: /24, and /48 of IPv6
LIMIT = 5  # new connections of a source in that time
STALE_MS = 5_000  # a word of the shield that is older counts no more
COUNTED_MAX = 65_536
SIEGE = 4
log = structlog.get_logger()


class Guard:
    """`attendance`: who is never shut out here, because somebody listens from there."""

    def __init__(self, settings: Settings, values: Board, loop: Loop, attendance: Attendance) -> None:
        self.blocked = 0
        self._path, self._board, self._attendance = rules_path(settings), values, attendance
        self._stamp = (0, 0)
        self._blocks: dict[bytes, Block] = {}
        self._new: frozenset[bytes] = frozenset()
        self._counts: Counter[bytes] = Counter()  # of connections under a limit, and joins under a share, in this span
        self._span = 0
        self._shield = board.Shield(0)
        loop.every(LOOK_S, self.look)

    def look(self) -> None:
        """Follow the usher."""
        now_ms = time.time_ns() // 1_000_000
        shield = get(self._board, "shield", board.Shield)
        stale = shield is None or abs(now_ms - shield.at_ms) > STALE_MS
        self._shield = board.Shield(0) if stale or shield is None else shield
        self._read()
        over = [key for key, block in self._blocks.items() if block.until_ms <= now_ms]
        for key in over:
            del self._blocks[key]
        if (span := int(time.monotonic() / SPAN_S)) != self._span:
            self._span = span
            self._counts.clear()

    def _read(self) -> None:
        try:
            stat = self._path.stat()
            if (stat.st_mtime_ns, stat.st_ino) == self._stamp:
                return
            self._stamp = stat.st_mtime_ns, stat.st_ino
            blocks = blocked.decode(self._path.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, blocked.BadRules) as error:
            log.error("no rules can be read", reason=str(error))
            return
        self._new |= {key for key, block in blocks.items() if block.action != FAVOUR} - self._blocks.keys()
        self._blocks = blocks

    def is_out(self) -> Callable[[str], bool] | None:
        """For the sources that rules were made for since the last call: whether an address is of one of them."""
        if not self._new:
            return None
        new, self._new = self._new, frozenset()
        return lambda source: (key := key_of(source)) in new and key not in self._attendance

    def admits(self, source: str) -> bool:
        """Whether a connection from there is taken."""
        if not self._blocks:
            return True
        key = key_of(source)
        block = self._blocks.get(key)
        if block is None or block.action == FAVOUR or key in self._attendance:
            return True
        if block.action != DROP and self._within(key, LIMIT):
            return True
        self.blocked += 1
        return False

    def shares(self, source: str) -> bool:
        """Whether a join from there is within its fair share; while there is none, all are."""
        share = self._shield.share
        if not share or self.favours(source):
            return True
        key = key_of(source)
        return self._within(network_of(key), NETWORK_SHARES * share) and self._within(key, share)

    def favours(self, source: str) -> bool:
        """Whether a source is known to behave."""
        block = self._blocks.get(key_of(source))
        return block is not None and block.action == FAVOUR

    def _within(self, key: bytes, limit: int) -> bool:
        if key not in self._counts and len(self._counts) >= COUNTED_MAX:
            return True
        self._counts[key] += 1
        return self._counts[key] <= limit

    @property
    def besieged(self) -> bool:
        """Whether only tickets and who has a place are let in."""
        return self._shield.level >= SIEGE and not self._shield.dry_run


def rules_path(settings: Settings) -> Path:
    return settings.run_dir / "shield.rules"


def read_blocks(settings: Settings) -> dict[bytes, Block]:
    """What workers go by at this moment, by key; nothing if that cannot be read."""
    try:
        return blocked.decode(rules_path(settings).read_bytes())
    except (OSError, blocked.BadRules):
        return {}


def shut_out(settings: Settings) -> dict[str, int]:
    """Everybody whom a rule shuts out at this moment: Unix seconds until when, by target."""
    now_ms = time.time_ns() // 1_000_000
    return {
        target(key): block.until_ms // 1000
        for key, block in read_blocks(settings).items()
        if block.action == DROP and block.until_ms > now_ms
    }
