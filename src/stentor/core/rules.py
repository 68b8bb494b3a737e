"""What is done about it, by level, and who is shut out for how long.

    0 open    nothing
    1 crowd   nothing but the line and the ladder
    2 doubt   a fair share a source of joins without a ticket, but for sources that are known to behave
    3 attack  rules: in shadow first, then `limit` (new connections), then `drop`
    4 siege   tickets and reconnects only

A rule is for one source and runs out by itself, or when nothing comes any more of what all rules shut out. It is not
enforced where somebody listens or has just listened, nor where many of the listeners of the last five minutes came
from. While a good part of all rules is of that kind, none is enforced: then it is the verdict that is wrong. The crew
may lift a rule, or have all of them written down and none enforced (`dry_run`). No clock, no sockets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from stentor.formats.evidence import key_of_target, target
from stentor.model.board import Rule, Verdict
from stentor.model.suspicion import Judgement, Suspect

OPEN, CROWD, DOUBT, ATTACK, SIEGE = range(5)
LIFE_MS, LIFE_MS_MAX = 60_000, 900_000
REMEMBERED_MS = 900_000  # after the longest life of a rule: no address is kept for longer
SHADOW_MS, LIMIT_MS = 500, 1_000  # until a rule is enforced; until it drops, from then on
LEAVE_MS = 60_000  # without a sign, until a level is left
GUARD_SHARE, GUARD_MIN = 0.001, 1  # of the sources that listen, whom rules may hit
GUARD_RULES = 0.05  # of the rules, that may hit some: whoever attacks could easily listen from a few addresses
RULES_MAX = 12_000
BUSY_SHARE, BUSY_MS = 0.9, 5_000  # of a core that the door takes, for so long
SHARE_JOINS = 30  # a source in 10 s, in doubt


class Wishes(NamedTuple):
    """What the crew wants. `released` are targets."""

    dry_run: bool = False
    siege: bool = False
    released: tuple[str, ...] = ()


NO_WISHES = Wishes()


class Load(NamedTuple):
    """`busy`: the share of its core that the busiest door worker takes; `pressed_ms`: when much of what rules shut out
    came last."""

    busy: float = 0.0
    pressed_ms: int = 0


IDLE = Load()


class Change(NamedTuple):
    """Something that became of a rule: made, enforced, spared, expired, over (nothing comes any more), released."""

    what: str
    rule: Rule
    families: tuple[str, ...] = ()
    events: int = 0


class Decision(NamedTuple):
    """`void`: tickets and places, counted from the beginning, of no use to whoever got them and is shut out."""

    level: int
    share: int
    enforced: tuple[Rule, ...]
    rules: tuple[Rule, ...]
    changes: tuple[Change, ...]
    void: int = 0


@dataclass(slots=True)
class _Held:
    id: str
    key: bytes
    target: str
    since_ms: int
    until_ms: int
    life_ms: int
    why: str
    families: tuple[str, ...]
    events: int
    enforced_ms: int = 0
    unused: int = 0
    spared: str = ""

    def rule(self, now_ms: int) -> Rule:
        drops = self.enforced_ms and now_ms - self.enforced_ms >= LIMIT_MS
        action = "drop" if drops else "limit"
        times = (self.since_ms, self.until_ms, self.enforced_ms)
        return Rule(self.id, action, self.target, *times, self.events, self.why, self.spared)  # type: ignore[arg-type]


class Rulebook:
    """`receive` a judgement several times a second; times are Unix milliseconds."""

    def __init__(self) -> None:
        self._held: dict[bytes, _Held] = {}
        # How long the next rule for a source lives, and until when that is remembered; who came last comes last.
        self._lives: dict[bytes, tuple[int, int]] = {}
        self._number = 0
        self._level, self._left_ms = OPEN, 0
        self._busy_since_ms = 0
        self._ordered = False  # the siege
        self._void = 0
        self._attacked_ms = 0

    def restore(self, rules: Iterable[Rule], now_ms: int) -> None:
        """What a usher before this one enforced, as far as it has not run out. What was spared or in shadow is left
        behind: who listens is not known yet, and what still goes on gets a rule anew."""
        self._attacked_ms = now_ms
        for rule in rules:
            key = key_of_target(rule.target)
            if rule.enforced_ms and rule.until_ms > now_ms and len(self._held) < RULES_MAX:
                times = (rule.since_ms, rule.until_ms, LIFE_MS)
                self._held[key] = _Held(rule.id, key, rule.target, *times, rule.why, (), rule.hits, rule.enforced_ms)
                self._number = max(self._number, int(rule.id[1:] or 0))

    def receive(self, judged: Judgement, now_ms: int, *, load: Load = IDLE, wishes: Wishes = NO_WISHES) -> Decision:
        changes: list[Change] = []
        self._set_level(judged.verdict, now_ms, load.busy, wishes)
        if judged.verdict is Verdict.ATTACK:
            self._attacked_ms = now_ms
        self._expire(now_ms, wishes, changes, over=self._is_over(now_ms, load.pressed_ms))
        if judged.verdict is Verdict.ATTACK:
            for suspect in judged.suspects:
                self._suspect(suspect, now_ms, wishes, changes)
        self._enforce(judged, now_ms, wishes, changes)
        rules = tuple(held.rule(now_ms) for held in self._held.values())
        doubt = self._level >= DOUBT and not wishes.dry_run
        enforced = tuple(rule for rule in rules if rule.enforced_ms)
        return Decision(self._level, SHARE_JOINS if doubt else 0, enforced, rules, tuple(changes), self._void)

    def _set_level(self, verdict: Verdict, now_ms: int, busy: float, wishes: Wishes) -> None:
        wanted = {Verdict.CALM: OPEN, Verdict.CROWD: CROWD, Verdict.UNDECIDED: DOUBT, Verdict.ATTACK: ATTACK}[verdict]
        if wishes.siege or (wanted == ATTACK and self._is_busy(busy, now_ms)):
            wanted = SIEGE
        freed, self._ordered = self._ordered and not wishes.siege, wishes.siege
        if wanted >= self._level or now_ms >= self._left_ms or freed:
            self._level, self._left_ms = wanted, now_ms + LEAVE_MS

    def _is_busy(self, busy: float, now_ms: int) -> bool:
        """For a while, without a break."""
        if busy < BUSY_SHARE:
            self._busy_since_ms = 0
        elif not self._busy_since_ms:
            self._busy_since_ms = now_ms
        return bool(self._busy_since_ms) and now_ms - self._busy_since_ms >= BUSY_MS

    def _is_over(self, now_ms: int, pressed_ms: int) -> bool:
        """Whether rules stop nobody any more: whoever is behind such an address now is somebody else."""
        return now_ms - max(self._attacked_ms, pressed_ms) >= LEAVE_MS

    def _expire(self, now_ms: int, wishes: Wishes, changes: list[Change], *, over: bool) -> None:
        for held in list(self._held.values()):
            ends = "expired" if held.until_ms <= now_ms else "over" if over else ""
            what = "released" if held.target in wishes.released else ends
            if what:
                del self._held[held.key]
                changes.append(_change(what, held, now_ms))
        while self._lives and self._lives[oldest := next(iter(self._lives))][1] <= now_ms:
            del self._lives[oldest]

    def _suspect(self, suspect: Suspect, now_ms: int, wishes: Wishes, changes: list[Change]) -> None:
        held = self._held.get(suspect.key)
        if held is not None:
            self._prolong(held, suspect, now_ms)
            return
        name = target(suspect.key)
        if name in wishes.released or len(self._held) >= RULES_MAX:
            return
        self._number += 1
        life_ms = self._life_ms(suspect.key, now_ms)
        made = _Held(
            f"r{self._number}", suspect.key, name, now_ms, now_ms + life_ms, life_ms, suspect.words,
            suspect.families, suspect.events, unused=suspect.unused,
        )  # fmt: skip
        self._held[suspect.key] = made
        changes.append(_change("made", made, now_ms))

    def _prolong(self, held: _Held, suspect: Suspect, now_ms: int) -> None:
        """One that still matches when half of its life is over lives twice as long."""
        held.events = max(held.events, suspect.events)
        if not held.enforced_ms:
            held.unused = suspect.unused
        if held.until_ms - now_ms < held.life_ms // 2 and held.life_ms < LIFE_MS_MAX:
            held.life_ms = min(LIFE_MS_MAX, 2 * held.life_ms)
            held.until_ms = now_ms + held.life_ms

    def _life_ms(self, key: bytes, now_ms: int) -> int:
        """Of a new rule: twice as long as the last one for the same source, if that is not long ago."""
        life_ms = min(LIFE_MS_MAX, 2 * self._lives.pop(key, (LIFE_MS // 2, 0))[0])
        self._lives[key] = life_ms, now_ms + LIFE_MS_MAX + REMEMBERED_MS
        if len(self._lives) > RULES_MAX:
            del self._lives[next(iter(self._lives))]
        return life_ms

    def _enforce(self, judged: Judgement, now_ms: int, wishes: Wishes, changes: list[Change]) -> None:
        vouched = judged.vouched
        hit = sum(key in vouched for key in self._held)
        guarded = hit > max(GUARD_MIN, GUARD_SHARE * len(vouched), GUARD_RULES * len(self._held))
        for held in self._held.values():
            spared = self._spared(held, judged, wishes, guarded=guarded)
            if spared and (held.enforced_ms or spared != held.spared):
                held.enforced_ms, held.spared = 0, spared
                changes.append(_change("spared", held, now_ms))
            elif not spared and not held.enforced_ms and now_ms - held.since_ms >= SHADOW_MS:
                held.enforced_ms, held.spared = now_ms, ""
                self._void, held.unused = self._void + held.unused, 0
                changes.append(_change("enforced", held, now_ms))

    def _spared(self, held: _Held, judged: Judgement, wishes: Wishes, *, guarded: bool) -> str:
        if wishes.dry_run:
            return "the crew has ordered a dry run"
        if held.key in judged.vouched:
            return "somebody listens there, or has just listened"
        if held.key in judged.gathered:
            return "more than a thousandth of those who listened in the last five minutes came from there"
        if guarded:
            return "the rules would hit more than a thousandth of those who listen"
        return ""


def _change(what: str, held: _Held, now_ms: int) -> Change:
    return Change(what, held.rule(now_ms), held.families, held.events)
