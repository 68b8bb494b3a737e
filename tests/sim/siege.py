"""Evenings at the door as evidence alone: people and attackers by the thousand, a quarter of a second at a time.

What workers would tell is made from a seed, and goes through the very machines of the usher: evidence, verdict, rules.
Who is shut out does nothing any more. `Evening` has a script of people and attackers; what came of it is in `Outcome`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from stentor.core.evidence import Evidence
from stentor.core.rules import Rulebook
from stentor.core.verdict import Judge
from stentor.core.witness import Witness
from stentor.formats import evidence
from stentor.formats.evidence import decode, key_of
from stentor.model.board import Verdict

TICK_MS = 250
HEARD_MS = 2_500
POLL_MS = 5_000
LIVE_TOLD_MS = 5_000


class Deed(NamedTuple):
    """At `at_ms`, `source` did `field`."""

    at_ms: int
    source: str
    field: str


class Outcome(NamedTuple):
    """Times are milliseconds from the first hostile deed; None: never. `harmed`: honest sources that a rule was
    enforced against; `shut_out`: hostile ones."""

    verdicts: frozenset[Verdict]
    detected_ms: int | None
    mitigated_ms: int | None
    harmed: int
    honest: int
    shut_out: int
    hostile: int
    calm_ms: int | None  # from the last hostile deed until nothing is enforced and the verdict is none


class Evening:
    """`honest` and `hostile` are deeds in any order; the evening ends `more_ms` after the last of them."""

    def __init__(self, honest: list[Deed], hostile: list[Deed]) -> None:
        self._honest = {deed.source for deed in honest}
        self._hostile = {deed.source for deed in hostile}
        self._deeds = sorted((*honest, *hostile))
        self._first_ms = min((deed.at_ms for deed in hostile), default=0)
        self._last_ms = max((deed.at_ms for deed in hostile), default=0)

    def run(self, more_ms: int = 0) -> Outcome:
        window, judge, book = Evidence(), Judge(), Rulebook()
        witness, deeds = Witness(evidence.DOOR, 0), iter(self._deeds)
        deed, end_ms = next(deeds, None), self._deeds[-1].at_ms + more_ms
        blocked: set[bytes] = set()
        enforced_ever: set[bytes] = set()
        verdicts: set[Verdict] = set()
        detected = mitigated = calm = None
        for now_ms in range(0, end_ms + TICK_MS, TICK_MS):
            while deed is not None and deed.at_ms < now_ms:
                if key_of(deed.source) not in blocked:
                    witness.count(deed.source, deed.field)
                deed = next(deeds, None)
            for data in witness.flush(now_ms):
                window.receive(decode(data), now_ms)
            judged = judge.receive(window.tick(now_ms))
            decision = book.receive(judged, now_ms)
            verdicts.add(judged.verdict)
            blocked = {evidence.key_of_target(rule.target) for rule in decision.enforced}
            enforced_ever |= blocked
            if judged.verdict is Verdict.ATTACK and detected is None:
                detected = now_ms - self._first_ms
            if blocked and mitigated is None:
                mitigated = now_ms - self._first_ms
            over = now_ms > self._last_ms and not blocked and judged.verdict is not Verdict.ATTACK
            calm = (now_ms - self._last_ms if calm is None else calm) if over else None
        honest, hostile = ({key_of(source) for source in group} for group in (self._honest, self._hostile))
        return Outcome(
            frozenset(verdicts), detected, mitigated, len(enforced_ever & honest), len(honest),
            len(enforced_ever & hostile), len(hostile), calm if self._hostile else None,
        )  # fmt: skip


# ---- people


def listener(source: str, at_ms: int, until_ms: int, rng: random.Random, *, waits: bool = False) -> Iterator[Deed]:
    """Opens the page, joins, (waits in line,) listens, and asks for `now` from time to time."""
    yield Deed(at_ms, source, "requests")
    yield Deed(at_ms + 300, source, "joins")
    if waits:
        yield Deed(at_ms + 300, source, "held")
        at_ms += rng.randrange(POLL_MS, 4 * POLL_MS)
        yield Deed(at_ms, source, "polite")
    yield from (Deed(at_ms + after, source, "starts") for after in (300, 600))
    if rng.random() < 0.01:  # a network that fails
        yield Deed(at_ms + 1_000, source, "unfinished")
    heard_ms = at_ms + 600 + HEARD_MS
    if heard_ms < until_ms:
        yield Deed(heard_ms, source, "completed")
    for again in range(heard_ms + rng.randrange(LIVE_TOLD_MS), until_ms, LIVE_TOLD_MS):
        yield Deed(again, source, "live")
    for again in range(at_ms + rng.randrange(POLL_MS), until_ms, POLL_MS):
        yield Deed(again, source, "requests")


def crowd(
    count: int,
    over_ms: int,
    until_ms: int,
    rng: random.Random,
    *,
    behind: int = 1,
    nat_share: float = 0.0,
    net: int = 1,
) -> list[Deed]:
    """So many people who come within `over_ms`; a `nat_share` of them `behind` addresses that many share."""
    deeds: list[Deed] = []
    for number in range(count):
        shared = rng.random() < nat_share
        source = (
            f"10.{100 + net}.{number % max(1, count // behind) // 250 % 250}.{number % max(1, count // behind) % 250}"
            if shared
            else f"10.{net}.{number // 250 % 250}.{number % 250}"
        )
        deeds += listener(source, rng.randrange(1, over_ms), until_ms, rng)
    return deeds


def prequeue(count: int, over_ms: int, rng: random.Random, net: int = 1) -> list[Deed]:
    """The same people, before the draw."""
    return [
        Deed(rng.randrange(1, over_ms), f"10.{net}.{number // 250 % 250}.{number % 250}", field)
        for number in range(count)
        for field in ("requests", "joins", "places")
    ]


# ---- attackers


def repeated(
    sources: list[str], fields: tuple[str, ...], per_s: float, from_ms: int, until_ms: int, rng: random.Random
) -> list[Deed]:
    """`per_s` times a second one of the sources, in turn, does these things."""
    step_ms, deeds = 1000 / per_s, []
    for number in range(int((until_ms - from_ms) / step_ms)):
        at_ms = from_ms + int(number * step_ms + rng.random() * step_ms)
        deeds += [Deed(at_ms, sources[number % len(sources)], field) for field in fields]
    return deeds


def addresses(count: int, net: int = 200) -> list[str]:
    return [f"10.{net + number // 60_000}.{number // 250 % 240}.{number % 250 + 1}" for number in range(count)]


def hopping(count: int, rng: random.Random) -> list[str]:
    """Addresses of one /48, each in a /64 of its own."""
    return [f"2001:db8:7:{rng.randrange(65_536):x}::{number:x}" for number in range(count)]


JOIN, FORGED, SLOW = ("requests", "joins", "starts"), ("requests", "forged"), ("unfinished",)
DRY, MADE = ("requests", "starts", "undrained"), (*JOIN, "forged")
NEIGHBOURS = [f"10.1.{net}.{250 + number}" for net in range(4) for number in range(5)]  # in the /24s of people
HOUSEMATES = [f"10.101.0.{number}" for number in range(5)]  # behind the very addresses of people
Script = Callable[[random.Random], Evening]
START_MS, OVER_MS = 20_000, 60_000


def _among(hostile: Callable[[random.Random], list[Deed]]) -> Script:
    """An attack from `START_MS` to 40 s among a thousand people, who have been coming for some time."""

    def script(rng: random.Random) -> Evening:
        honest = crowd(1_000, 40_000, OVER_MS, rng, behind=20, nat_share=0.2)
        return Evening(honest, hostile(rng))

    return script


def _flash_crowd(rng: random.Random, nat_share: float = 0.0) -> Evening:
    early = crowd(300, 10_000, 40_000, rng)
    return Evening(early + crowd(3_000, 25_000, 40_000, rng, behind=100, nat_share=nat_share, net=20), [])


def _before_start(rng: random.Random) -> Evening:
    honest = prequeue(800, 30_000, rng) + crowd(800, 40_000, OVER_MS, rng)
    return Evening(honest, repeated(addresses(200), ("requests", "joins", "forged"), 300, START_MS, 40_000, rng))


def _storm(rng: random.Random) -> Evening:
    """Everybody is dropped at once, and comes back."""
    honest = crowd(1_500, 15_000, OVER_MS, rng)
    for number in range(1_500):
        source = f"10.1.{number // 250}.{number % 250}"
        honest += [Deed(20_000 + rng.randrange(4_000), source, field) for field in ("requests", "starts", "requests")]
        honest.append(Deed(27_000 + rng.randrange(1_000), source, "completed"))
    return Evening(honest, [])


def _exit(rng: random.Random) -> Evening:
    return Evening(crowd(1_500, 15_000, 25_000, rng) + crowd(50, 5_000, OVER_MS, rng, net=20), [])


def _door_killed(rng: random.Random) -> Evening:
    """For five seconds nobody is answered; then all who had waited ask again, and again."""
    honest = crowd(1_000, 20_000, OVER_MS, rng)
    for number in range(600):
        source = f"10.30.{number // 250}.{number % 250}"
        at_ms = 25_000 + rng.randrange(3_000)
        honest += [Deed(at_ms, source, "requests")] * 3 + list(listener(source, at_ms, OVER_MS, rng, waits=True))
    return Evening(honest, [])


def _pulses(rng: random.Random) -> list[Deed]:
    spans = ((20_000, 30_000), (40_000, 50_000))
    return [deed for begins, ends in spans for deed in repeated(addresses(60), JOIN, 400, begins, ends, rng)]


def _mimicry(rng: random.Random) -> list[Deed]:
    return crowd(600, 20_000, OVER_MS, rng, net=200)


SCENARIOS: dict[str, tuple[Script, bool]] = {  # and whether it is an attack
    "crowd only": (_flash_crowd, False),
    "crowd, 30 % behind shared addresses": (lambda rng: _flash_crowd(rng, 0.3), False),
    "crowd and flood of joins": (_among(lambda r: repeated(addresses(40), JOIN, 400, START_MS, 40_000, r)), True),
    "attack before the start": (_before_start, True),
    "pulses of ten seconds": (_among(_pulses), True),
    "slow requests": (_among(lambda r: repeated(addresses(400), SLOW, 150, START_MS, 40_000, r)), True),
    "slow reading": (_among(lambda r: repeated(addresses(300), DRY, 60, START_MS, 40_000, r)), True),
    "forged tickets": (_among(lambda r: repeated(addresses(30), FORGED, 100, START_MS, 40_000, r)), True),
    "answers made beforehand": (_among(lambda r: repeated(addresses(80), MADE, 100, START_MS, 40_000, r)), True),
    "hopping in a /48": (_among(lambda r: repeated(hopping(1_200, r), JOIN, 100, START_MS, 40_000, r)), True),
    "forwarded addresses made up": (_among(lambda r: repeated(addresses(5), JOIN, 300, START_MS, 40_000, r)), True),
    "in people's own networks": (
        _among(lambda r: repeated(NEIGHBOURS + HOUSEMATES, JOIN, 250, START_MS, 40_000, r)), True
    ),
    "mimicry": (_among(_mimicry), True),
    "the door is killed": (_door_killed, False),
    "everybody comes back at once": (_storm, False),
    "everybody leaves at once": (_exit, False),
}  # fmt: skip


def play(name: str, seed: int) -> Outcome:
    script, _ = SCENARIOS[name]
    return script(random.Random(f"{name} {seed}")).run(more_ms=110_000)
