"""A thousand airs from a thousand seeds: every edge sends every chunk once and in order, all the same bytes, in whole
groups; a switch is announced before it comes; the ladder goes one rung at a time; the show is live at its minute. A
seed that fails is named: `Air(Plan.of(seed)).run()` repeats it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sim.air import CHUNK_S, SECONDS, SLOTS, STARTS_S, Air, Edge, Plan, Sent
from stentor.core.ladder import GROUPS, STEP_S, UP_SHARE
from stentor.model.board import Phase
from stentor.nodes.usher_ladder import LEAD_S

SEEDS, PARTS = 1_000, 10


@pytest.mark.parametrize("part", range(PARTS))
def test_invariants(part: int) -> None:
    for seed in range(part * SEEDS // PARTS, (part + 1) * SEEDS // PARTS):
        air = Air(Plan.of(seed)).run()
        try:
            check(air)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}\n{air.plan}") from error


def check(air: Air) -> None:
    for edge in air.lives:
        for lane, sent in edge.sent.items():
            in_order(air, sent)
            as_in_the_ring(air, lane, sent)
            in_groups(air, sent)
    assert max(last_n(edge) for edge in air.edges) > (SECONDS - 10) / CHUNK_S, "the sound has stopped"
    switched(air)
    assert [phase for _, phase in air.phases] == [Phase.OPEN, Phase.LIVE] and air.phases[-1][0] == STARTS_S


def last_n(edge: Edge) -> int:
    return max((sent[-1].n for sent in edge.sent.values() if sent), default=0)


def in_order(air: Air, sent: list[Sent]) -> None:
    """Nothing twice, nothing left out but by an edge that stood still for longer than the ring is."""
    still_s = sum(fault.for_s for fault in air.plan.faults if fault.what == "edge")
    for before, after in pairwise(sent):
        first = after.n - after.step + 1
        leapt = still_s > (SLOTS - 2) * CHUNK_S and first > before.n
        assert first == before.n + 1 or leapt, f"{after} behind {before}"


def as_in_the_ring(air: Air, lane: int, sent: list[Sent]) -> None:
    """The tape is what stands in the ring: what went out is on it, whoever wrote it, in whichever bitrate."""
    for one in sent:
        chunks = range(one.n - one.step + 1, one.n + 1)
        versions = [
            b"".join(air.ring.chunks[which][n] for n in chunks if n in air.ring.chunks[which]) for which in (lane, 1)
        ]
        gone = [which for which in (lane, 1) if any(n not in air.ring.chunks[which] for n in chunks)]
        assert gone or one.data in versions, f"{one} where the ring has {versions}"


def in_groups(air: Air, sent: list[Sent]) -> None:
    """Each write but the first, and the first behind a leap, is a whole group, or another grouping begins behind it."""
    turns = {switch.from_n - 1 for switch in air.switches}
    for before, one in pairwise(sent):
        assert one.step <= max(GROUPS), one
        leapt = one.n - one.step > before.n
        assert one.n % one.step == 0 or one.n in turns or leapt, one


def switched(air: Air) -> None:
    for switch in air.switches:
        assert switch.from_n >= switch.newest + LEAD_S / CHUNK_S, f"{switch} comes before it could be told"
        assert switch.group == GROUPS[switch.rung]
    for before, after in pairwise(air.switches):
        assert after.at_s - before.at_s >= STEP_S, f"{after} soon after {before}"
        assert abs(after.rung - before.rung) == 1
        wished = air.plan.rung if after.at_s > SECONDS / 2 else -1
        full = after.listeners >= UP_SHARE * air.plan.capacity[before.rung]
        assert after.rung < before.rung or full or after.rung <= wished, f"{after} without need"


def test_a_seed_repeats_itself() -> None:
    one, other = (Air(Plan.of(7)).run() for _ in range(2))
    assert one.switches == other.switches and one.lives[0].sent == other.lives[0].sent


def test_seeds_come_to_what_is_to_be_tested() -> None:
    """Every fault, every rung, hold and program."""
    airs = [Air(Plan.of(seed)).run() for seed in range(60)]
    assert {fault.what for air in airs for fault in air.plan.faults} == {"studio", "usher", "edge", "killed", "late"}
    assert {int(switch.rung) for air in airs for switch in air.switches} >= {1, 2, 3, 4}
    sent = b"".join(one.data for air in airs for edge in air.lives for one in edge.sent[0])
    assert b"hold 0" in sent and b"program 0" in sent and b"program 1" in sent
