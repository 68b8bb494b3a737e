"""The after-action report, from the ledger of a show and its tape: sums, stretches, and what can be said of causes.

Cause is told by rules that anybody can check against the ledger:

    by the attack, or the answer to it   connections refused by a rule; joins challenged, and requests put off, while
                                         the verdict was attack
    not by it                            hold while nobody was on air, or the studio was silent or late; quality given
                                         up (the ladder counts listeners, and knows no verdict); all that was outside
                                         of the times with the verdict attack
    met it in time, cause not shown      all else that fell into these times
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from msgspec.structs import replace

from stentor.formats.ledger import Begun, Entry, Judged, Ledger, Noted, Ordered, Ruled, Sampled
from stentor.formats.report import Audio, Report, RuleLife, Said, Series, Source, Stretch, Taped, Totals
from stentor.formats.report_words import caveats, findings, summary

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600)
BINS_MAX = 360
GAP_MS = 5_000  # between samples of a second
IDLE_GAP_MS = 150_000  # between those of a minute
LEAD_MS = 60_000  # shown of what was before anything happened
VERDICTS = ("calm", "crowd", "undecided", "attack")
ENDS = ("expired", "over", "released")  # of a rule
Span = tuple[int, int]


class Empty(ValueError):
    """There is nothing in the ledger to report on."""


def make(ledger: Ledger, taped: Taped | None, source: Source, made_at_ms: int) -> Report:
    """Raises `Empty` if the ledger has no sample."""
    entries = _in_order(ledger.entries)
    samples = [entry for entry in entries if isinstance(entry, Sampled)]
    first = next((entry for entry in entries if isinstance(entry, Begun)), None)
    if not samples or first is None:
        raise Empty("the ledger has no sample yet: nothing was measured")
    begun = [entry for entry in entries if isinstance(entry, Begun)]
    shown = _shown(samples)
    verdicts, rules = stretches(entries), rule_lives(entries)
    attack = merged((one.from_ms, one.to_ms) for one in verdicts if one.verdict == "attack")
    totals = _totals(samples, rules, attack)
    audio = heard(samples, taped, attack)
    report = Report(
        show=first.show,
        title=begun[-1].title,
        from_ms=shown[0].at_ms,
        to_ms=shown[-1].at_ms,
        starts_at_ms=begun[-1].starts_at_ms,
        made_at_ms=made_at_ms,
        source=replace(source, entries=len(entries), unread=ledger.unread, torn=ledger.torn, ushers=len(begun)),
        summary=(),
        findings=(),
        totals=totals,
        audio=audio,
        verdicts=tuple(one for one in verdicts if one.verdict != "calm" or one.level),
        rules=rules,
        orders=tuple(Said(entry.at_ms, entry.words) for entry in entries if isinstance(entry, Ordered)),
        notes=tuple(Said(entry.at_ms, entry.words) for entry in entries if isinstance(entry, Noted)),
        series=series(shown, taped),
        caveats=(),
    )
    during = _during(samples, attack)
    return replace(
        report, summary=summary(report), findings=findings(report, during), caveats=caveats(report, taped is not None)
    )


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    """As they were written; a clock that was set back does not make time run back."""
    ordered: list[Entry] = []
    for entry in entries:
        before_ms = ordered[-1].at_ms if ordered else 0
        ordered.append(entry if entry.at_ms >= before_ms else replace(entry, at_ms=before_ms))
    return ordered


def _shown(samples: Sequence[Sampled]) -> Sequence[Sampled]:
    """From a little before the first sample that says anything."""
    told = next((sample for sample in samples if _says(sample)), samples[0])
    return [sample for sample in samples if sample.at_ms >= told.at_ms - LEAD_MS]


def _says(sample: Sampled) -> bool:
    counted = sample.joins or sample.waiting or sample.listening or sample.asked or sample.blocked
    return bool(counted or sample.level or sample.verdict != "calm" or sample.phase != "announced")


def stretches(entries: Iterable[Entry]) -> list[Stretch]:
    """Times with one verdict and one level, in order, without gaps but those in which nobody kept the ledger."""
    found: list[Stretch] = []
    for entry in entries:
        if found:
            found[-1] = replace(found[-1], to_ms=entry.at_ms)
        if isinstance(entry, Judged):
            found.append(_judged(entry))
        elif isinstance(entry, Sampled) and _is_other(entry, found[-1] if found else None):
            found.append(Stretch(entry.at_ms, entry.at_ms, entry.verdict.value, entry.level))
    return [one for one in found if one.to_ms > one.from_ms or one.signals]


def _is_other(sample: Sampled, stretch: Stretch | None) -> bool:
    return stretch is None or (sample.verdict.value, sample.level) != (stretch.verdict, stretch.level)


def _judged(entry: Judged) -> Stretch:
    return Stretch(
        entry.at_ms,
        entry.at_ms,
        entry.verdict.value,
        entry.level,
        entry.signals,
        entry.sources,
        entry.asked,
        entry.completed,
        entry.drops_by,
        entry.dry_run,
        entry.siege,
        entry.error,
    )


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch become one; they come in order."""
    result: list[Span] = []
    for first, last in spans:
        if result and first <= result[-1][1]:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def within(at_ms: int, spans: Sequence[Span]) -> bool:
    """Whether a moment lies in one of `spans`, which are apart and ascending. A span has its end and not its beginning:
    a sample there counts what was before it."""
    at = bisect_left(spans, (at_ms, -1)) - 1
    return at >= 0 and at_ms <= spans[at][1]


def rule_lives(entries: Iterable[Entry]) -> tuple[RuleLife, ...]:
    """Every rule from its making to its end. Another usher may use an id again: a rule that is made begins a life."""
    open_lives: dict[tuple[str, str], RuleLife] = {}
    over: list[RuleLife] = []
    for entry in entries:
        if not isinstance(entry, Ruled):
            continue
        key = (entry.id, entry.source)
        if entry.change == "made" and key in open_lives:
            over.append(open_lives.pop(key))
        life = _lived(open_lives.get(key) or _made(entry), entry)
        if life.ended:
            open_lives.pop(key, None)
            over.append(life)
        else:
            open_lives[key] = life
    return tuple(sorted([*over, *open_lives.values()], key=lambda life: (life.made_ms, life.id)))


def _made(entry: Ruled) -> RuleLife:
    return RuleLife(entry.id, entry.action, entry.kind, entry.source, entry.at_ms)


def _lived(life: RuleLife, entry: Ruled) -> RuleLife:
    life = replace(
        life,
        action=entry.action,
        hits=max(life.hits, entry.hits),
        until_ms=max(life.until_ms, entry.until_ms),
        families=entry.families or life.families,
        why=entry.why or life.why,
        spared=entry.spared or life.spared,
    )
    if entry.change == "enforced":
        return replace(life, enforced_ms=life.enforced_ms or entry.at_ms)
    if entry.change in ENDS:
        return replace(life, ended=entry.change, ended_ms=entry.at_ms)
    return life


def _totals(samples: Sequence[Sampled], rules: Sequence[RuleLife], attack: Sequence[Span]) -> Totals:
    most, waiting = max(samples, key=lambda one: one.listening), max(samples, key=lambda one: one.waiting)
    return Totals(
        joins=sum(one.joins for one in samples),
        listening_most=most.listening,
        listening_most_ms=most.at_ms,
        waiting_most=waiting.waiting,
        waiting_most_ms=waiting.at_ms,
        blocked=sum(one.blocked for one in samples),
        shed=sum(one.shed for one in samples),
        challenged=sum(one.challenged for one in samples),
        dropped=sum(one.dropped for one in samples),
        skipped=sum(one.skipped for one in samples),
        rung_most=max(one.rung for one in samples),
        rules=len(rules),
        rules_enforced=sum(bool(rule.enforced_ms) for rule in rules),
        rules_spared=sum(bool(rule.spared) for rule in rules),
        rules_released=sum(rule.ended == "released" for rule in rules),
        attack_ms=sum(last - first for first, last in attack),
        unsampled_ms=sum(b.at_ms - a.at_ms for a, b in pairwise(samples) if b.at_ms - a.at_ms > _gap_ms(a)),
    )


def _gap_ms(sample: Sampled) -> int:
    return GAP_MS if _says(sample) else IDLE_GAP_MS


def _during(samples: Sequence[Sampled], attack: Sequence[Span]) -> Totals:
    """The sums of the samples that fell into an attack, and the listeners at its ends."""
    inside = [one for one in samples if within(one.at_ms, attack)]
    return _totals(inside, (), attack) if inside else Totals()


def heard(samples: Sequence[Sampled], taped: Taped | None, attack: Sequence[Span]) -> Audio:
    """How whole the audio was: by the tape where there is one, each chunk; else by what the samples counted."""
    late = sum(one.late for one in samples)
    if taped is not None and taped.lengths:
        return _by_tape(samples, taped, attack, late)
    count = Audio(by="ledger" if any(one.aired or one.held for one in samples) else "nothing", late=late)
    for one in samples:
        if one.phase == "live":
            count = _counted(count, [one], one.aired, one.held, within(one.at_ms, attack))
    return count


def _by_tape(samples: Sequence[Sampled], taped: Taped, attack: Sequence[Span], late: int) -> Audio:
    times = [one.at_ms for one in samples]
    count = Audio("tape", taped.chunk_ms, late=late, signed=taped.signed, chain=taped.chain)
    for at, length in enumerate(taped.lengths):
        due_ms = taped.first_ms + (at + 1) * taped.chunk_ms  # a chunk is out when its last sample is
        after = bisect_left(times, due_ms)
        near = samples[max(0, after - 1) : after + 1]
        count = _counted(count, near, int(length > 0), int(not length), within(due_ms, attack))
    lost = sum(last - first + 1 for first, last in taped.lost)
    return replace(count, lost=lost, last_n=taped.first_n + len(taped.lengths) - 1)


def _counted(count: Audio, near: Sequence[Sampled], aired: int, held: int, in_attack: bool) -> Audio:
    """`count` and some chunks more, of the time of `near`: a voice or a studio may come and go between two samples."""
    studio = held if any("studio" in one.absent for one in near) else min(held, max(one.late for one in near))
    unvoiced = held - studio if any(not one.voices for one in near) else 0
    rest = held - studio - unvoiced
    return replace(
        count,
        chunks=count.chunks + aired + held,
        aired=count.aired + aired,
        held=count.held + held,
        studio=count.studio + studio,
        unvoiced=count.unvoiced + unvoiced,
        unexplained=count.unexplained + rest,
        unexplained_in_attack=count.unexplained_in_attack + rest * in_attack,
        in_attack=count.in_attack + (aired + held) * in_attack,
    )


@dataclass(slots=True)
class _Bin:
    """What is known of a step of time: the most of some values, the sums of others."""

    most: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)

    def take(self, one: Sampled) -> None:
        values = {
            "listening": one.listening,
            "waiting": one.waiting,
            "asked": one.asked,
            "verdict": VERDICTS.index(one.verdict.value),
            "level": one.level,
            "rung": one.rung,
        }
        self.most = {name: max(value, self.most.get(name, 0)) for name, value in values.items()}
        counted = {"joins": one.joins, "blocked": one.blocked, "aired": one.aired, "held": one.held}
        self.sums = {name: value + self.sums.get(name, 0) for name, value in counted.items()}


def series(samples: Sequence[Sampled], taped: Taped | None = None) -> Series:
    """The samples in as many bins as a plot can show; where there is a tape, it says what was hold."""
    from_ms = samples[0].at_ms
    length_s = (samples[-1].at_ms - from_ms) // 1000 + 1
    step_s = next((step for step in STEPS_S if length_s / step <= BINS_MAX), -(-length_s // BINS_MAX))
    bins: list[_Bin | None] = [None] * (length_s // step_s + 1)
    for one in samples:
        at = (one.at_ms - from_ms) // 1000 // step_s
        held = bins[at] = bins[at] or _Bin()
        held.take(one)
    return Series(
        from_ms,
        step_s,
        _most(bins, "listening"),
        _most(bins, "waiting"),
        _rates(bins, "joins", step_s),
        tuple(None if one is None else one.most["asked"] / 10 for one in bins),
        _rates(bins, "blocked", step_s),
        _most(bins, "verdict"),
        _most(bins, "level"),
        _most(bins, "rung"),
        tuple(_held(one) for one in bins) if taped is None else _held_on_tape(taped, from_ms, step_s, len(bins)),
    )


def _held_on_tape(taped: Taped, from_ms: int, step_s: int, size: int) -> tuple[float | None, ...]:
    counts = [[0, 0] for _ in range(size)]  # of program, of hold
    for at, length in enumerate(taped.lengths):
        step = (taped.first_ms + at * taped.chunk_ms - from_ms) // (step_s * 1000)
        if 0 <= step < size:
            counts[step][not length] += 1
    return tuple(round(held / (aired + held), 3) if aired + held else None for aired, held in counts)


def _most(bins: Iterable[_Bin | None], name: str) -> tuple[int | None, ...]:
    return tuple(None if one is None else one.most[name] for one in bins)


def _rates(bins: Iterable[_Bin | None], name: str, step_s: int) -> tuple[float | None, ...]:
    return tuple(None if one is None else round(one.sums[name] / step_s, 3) for one in bins)


def _held(one: _Bin | None) -> float | None:
    chunks = 0 if one is None else one.sums["aired"] + one.sums["held"]
    return round(one.sums["held"] / chunks, 3) if one is not None and chunks else None
