"""The after-action report of a show as values: what `stentor report --json` gives, and what the page is made of.

All times are Unix milliseconds. A verdict is a judgement from counts, not a proof of anybody's intent; what is said to
be the attack's doing is said only where the ledger shows the cause, and not where two things merely met in time.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from stentor.model.board import Signal

VERSION = 1
Kind = Literal["attack", "unclear", "other"]


class Source(msgspec.Struct, frozen=True):
    """What the report was made from, so that it can be made again: `sha256` (hex) is of the ledger's file."""

    file: str
    sha256: str
    bytes: int
    entries: int
    unread: int  # lines that are no entries
    torn: bool  # the last line was cut short
    ushers: int  # how many kept it, one after the other


class Stretch(msgspec.Struct, frozen=True):
    """A time with one verdict and one level, and what they rested on when it began."""

    from_ms: int
    to_ms: int
    verdict: str
    level: int
    signals: tuple[Signal, ...] = ()
    sources: int = 0
    asked: int = 0
    completed: int = 0
    drops_by: str = ""
    dry_run: bool = False
    siege: bool = False
    error: str = ""


class RuleLife(msgspec.Struct, frozen=True):
    """A rule from its making to its end. `enforced_ms` 0: never was. `ended` is expired, over, released (by the crew),
    or "" where the ledger does not say: then it ran out by `until_ms`. `source` is a keyed hash; `hits` are the most
    events that it showed in 10 s."""

    id: str
    action: str
    kind: str
    source: str
    made_ms: int
    enforced_ms: int = 0
    ended_ms: int = 0
    ended: str = ""
    until_ms: int = 0
    hits: int = 0
    why: str = ""
    spared: str = ""
    families: tuple[str, ...] = ()


class Said(msgspec.Struct, frozen=True):
    """What the crew ordered, or the ledger noted of itself."""

    at_ms: int
    words: str


class Finding(msgspec.Struct, frozen=True):
    """`kind`: by the attack, or the answer to it; met it in time, cause not shown; or not by it."""

    kind: Kind
    words: str


class Totals(msgspec.Struct, frozen=True):
    """Over the whole ledger."""

    joins: int = 0
    listening_most: int = 0
    listening_most_ms: int = 0
    waiting_most: int = 0
    waiting_most_ms: int = 0
    blocked: int = 0
    shed: int = 0
    challenged: int = 0
    dropped: int = 0
    skipped: int = 0
    rung_most: int = 0
    rules: int = 0
    rules_enforced: int = 0
    rules_spared: int = 0
    rules_released: int = 0
    attack_ms: int = 0
    unsampled_ms: int = 0  # nobody kept the ledger


class Audio(msgspec.Struct, frozen=True):
    """How whole the audio was. `by` says who says so: the tape (each recorded chunk), or the ledger's samples alone.

    Of `held` chunks, `unvoiced` were hold because nobody was on air, `studio` because the studio was silent or late;
    `unexplained` are the others, of which `unexplained_in_attack` fell into a time with the verdict attack."""

    by: Literal["tape", "ledger", "nothing"] = "nothing"
    chunk_ms: int = 0
    chunks: int = 0
    aired: int = 0
    held: int = 0
    lost: int = 0  # aired, but not recorded: the disk failed for too long
    late: int = 0  # too late from the studio: hold went out in their place
    unvoiced: int = 0
    studio: int = 0
    unexplained: int = 0
    unexplained_in_attack: int = 0
    in_attack: int = 0  # chunks that were due in a time with the verdict attack
    signed: bool = False  # the tape has its signed end
    chain: str = ""  # hex, after the last chunk
    last_n: int = 0


class Series(msgspec.Struct, frozen=True):
    """Bins of `step_s` from `from_ms` on, a value each; null where nobody kept the ledger. Rates are a second, over the
    bin; the others the most in it. `verdict`: 0 calm, 1 crowd, 2 undecided, 3 attack. `held`: share of the chunks."""

    from_ms: int
    step_s: int
    listening: tuple[int | None, ...]
    waiting: tuple[int | None, ...]
    joins_hz: tuple[float | None, ...]
    asked_hz: tuple[float | None, ...]
    blocked_hz: tuple[float | None, ...]
    verdict: tuple[int | None, ...]
    level: tuple[int | None, ...]
    rung: tuple[int | None, ...]
    held: tuple[float | None, ...]


class Report(msgspec.Struct, frozen=True):
    show: str
    title: str
    from_ms: int
    to_ms: int
    starts_at_ms: int
    made_at_ms: int
    source: Source
    summary: tuple[str, ...]
    findings: tuple[Finding, ...]
    totals: Totals
    audio: Audio
    verdicts: tuple[Stretch, ...]
    rules: tuple[RuleLife, ...]
    orders: tuple[Said, ...]
    notes: tuple[Said, ...]
    series: Series
    caveats: tuple[str, ...]
    version: int = VERSION


class Taped(msgspec.Struct, frozen=True):
    """What the tape says: `lengths` of each chunk of one rendition from `first_n` on, 0 for hold; `first_ms`: when the
    first was due. `lost`: ranges (first, last) that the disk did not take."""

    first_n: int
    first_ms: int
    chunk_ms: int
    lengths: tuple[int, ...]
    lost: tuple[tuple[int, int], ...] = ()
    signed: bool = False
    chain: str = ""


def encode(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
