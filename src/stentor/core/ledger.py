"""What goes into the ledger of a show, and how much of it: entries from what stands on the board, within a bound.

    what is in force    board `rules`, in tmpfs: a usher that comes later goes on from there. Lost with the machine, as
                        the kernel's own sets are, which hold the same.
    what has happened   the ledger, on disk, without addresses. Nothing is ever restored from it.

So raw addresses are in memory for as long as their rules live, and on no disk at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stentor.formats.ledger import (
    Begun,
    Change,
    Entry,
    Judged,
    Noted,
    Ordered,
    Ruled,
    encode,
    hashed,
    kind_of,
    nameless,
    nameless_signals,
)
from stentor.model.board import Phase, Rule, Shield, Show, Stage

BYTES_MAX = 64 * 1024 * 1024
RULES_BYTES_MAX = BYTES_MAX // 2  # an attack from ever new sources must not push out samples and verdicts
LAST_BYTES = 4_096  # kept for the last note
SAMPLE_MS = 1_000
IDLE_SAMPLE_MS = 60_000  # while the doors are shut and all is calm
AFTER_MS = 600_000  # a show that is over goes on being written about for so long
OVER = (Phase.ENDED, Phase.CANCELLED)


class Book:
    """The ledger of one show, of which `size` bytes are written already."""

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self._rules_left_out = size >= RULES_BYTES_MAX

    @property
    def full(self) -> bool:
        return self.size >= BYTES_MAX - LAST_BYTES

    def receive(self, entry: Entry) -> bytes:
        """-> what is to be appended for `entry`; nothing, where there is no room for it."""
        if self.full or (isinstance(entry, Ruled) and self._rules_left_out):
            return b""
        lines = encode(entry)
        if isinstance(entry, Ruled) and self.size + len(lines) >= RULES_BYTES_MAX:
            self._rules_left_out = True
            lines += encode(
                Noted(entry.at_ms, "From here on rules are counted, but no longer written down one by one.")
            )
        if self.size + len(lines) >= BYTES_MAX - LAST_BYTES:
            lines += encode(Noted(entry.at_ms, "The ledger is full; what came after is not in it."))
            self.size = BYTES_MAX
        self.size += len(lines)
        return lines


class Pace:
    """When a sample is due: each second while the doors are open or not all is calm, else each minute."""

    def __init__(self) -> None:
        self._last_ms: int | None = None

    def due(self, now_ms: int, *, busy: bool) -> bool:
        """-> whether to sample now; `now_ms` is of a clock that only goes forward."""
        every_ms = SAMPLE_MS if busy else IDLE_SAMPLE_MS
        if self._last_ms is not None and now_ms - self._last_ms < every_ms:
            return False
        late = self._last_ms is None or now_ms - self._last_ms >= 2 * every_ms
        self._last_ms = now_ms if late or self._last_ms is None else self._last_ms + every_ms
        return True


def subject(shows: Iterable[Show], stage: Stage | None, ended: Mapping[str, int], now_ms: int) -> Show | None:
    """The show that the ledger is of: on stage, or the next to begin, or the last that was. `ended`: when, by id."""
    known = {show.id: show for show in shows}
    if stage is not None and stage.show in known and stage.phase not in OVER:
        return known[stage.show]
    coming = [show for show in known.values() if show.id not in ended and show.wish != "cancel"]
    following = min(coming, key=lambda show: show.starts_at_ms, default=None)
    last = max((show for show in known.values() if show.id in ended), key=lambda show: ended[show.id], default=None)
    if last is None or (following is not None and following.opens_at_ms <= now_ms):
        return following
    return last if now_ms - ended[last.id] < AFTER_MS or following is None else following


def begun(show: Show, at_ms: int) -> Begun:
    return Begun(at_ms, show.id, show.title, show.opens_at_ms, show.starts_at_ms)


def judged(shield: Shield) -> Judged:
    return Judged(
        shield.at_ms,
        shield.verdict,
        shield.level,
        nameless_signals(shield.signals),
        shield.sources,
        shield.joins,
        shield.completed,
        nameless(shield.drops_by),
        shield.dry_run,
        shield.siege,
        nameless(shield.error),
    )


def judged_anew(before: Shield | None, after: Shield) -> bool:
    """Whether `after` is worth an entry: the verdict, the level, or who drops, is another."""
    if before is None:
        return after.verdict != "calm" or after.level > 0
    return (before.verdict, before.level, before.drops_by) != (after.verdict, after.level, after.drops_by)


def ruled(rule: Rule, change: Change, key: bytes, at_ms: int, families: tuple[str, ...] = ()) -> Ruled:
    """What became of `rule`, without its target. `key` is the day's."""
    return Ruled(
        at_ms,
        rule.id,
        change,
        rule.action,
        hashed(key, rule.target),
        kind_of(rule.target),
        rule.until_ms,
        rule.hits,
        nameless(rule.why),
        nameless(rule.spared),
        families,
    )


def orders(before: Show | None, after: Show, at_ms: int) -> Iterator[Ordered]:
    """What the crew has changed about a show that has to do with its door, in words. No address is named."""
    if before is None or before.id != after.id:
        return
    for name, words in _ORDERS.items():
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield Ordered(at_ms, words[0] if new else words[1])
    if after.cap != before.cap:
        yield Ordered(
            at_ms, f"At most {after.cap:,} listeners" if after.cap else "As many listeners as there is room for"
        )
    if after.rung != before.rung:
        yield Ordered(at_ms, f"Quality: step {after.rung} at least" if after.rung >= 0 else "Quality by measure alone")
    if count := len(set(after.released) - set(before.released)):
        yield Ordered(at_ms, f"Released {count} rule{'s' * (count > 1)}")
    if after.revoked != before.revoked:
        yield Ordered(at_ms, "Changed which tickets are void")


_ORDERS = {
    "dry_run": ("Dry run: rules are made, but not enforced", "Dry run over: rules are enforced again"),
    "siege": ("Siege: only tickets and places are let in", "Siege over"),
    "closed": ("Closed the door", "Opened the door again"),
}
