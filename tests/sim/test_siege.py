"""Fifteen evenings at the door, from seeds: an attack is told from a crowd, and nobody honest is shut out."""

from __future__ import annotations

import pytest

from sim import siege
from stentor.model.board import Verdict

SEEDS = range(2)
SEEN_MS, SHUT_OUT_MS = 8_000, 10_000  # by completion; by conformance it is sooner
CALM_MS = 90_000
MIMICRY, SHARED = "mimicry", "in people's own networks"
ATTACKS = [name for name, (_, attack) in siege.SCENARIOS.items() if attack and name not in (MIMICRY, SHARED)]
CONFORMANCE = ("attack before the start", "slow requests", "forged tickets", "answers made beforehand")
CONFORMANCE_MS = 1_500
CROWDS = [name for name, (_, attack) in siege.SCENARIOS.items() if not attack]


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_named_and_shut_out_and_nobody_else(name: str) -> None:
    for seed in SEEDS:
        outcome = siege.play(name, seed)
        assert Verdict.ATTACK in outcome.verdicts, (seed, outcome)
        seen_ms = CONFORMANCE_MS if name in CONFORMANCE else SEEN_MS
        assert outcome.detected_ms is not None and outcome.detected_ms <= seen_ms, (seed, outcome)
        assert outcome.mitigated_ms is not None and outcome.mitigated_ms <= SHUT_OUT_MS, (seed, outcome)
        assert outcome.harmed == 0 and outcome.shut_out > 0.9 * outcome.hostile, (seed, outcome)
        assert outcome.calm_ms is not None and outcome.calm_ms <= CALM_MS, (seed, outcome)


@pytest.mark.parametrize("name", CROWDS)
def test_a_crowd_is_never_an_attack(name: str) -> None:
    for seed in SEEDS:
        outcome = siege.play(name, seed)
        assert Verdict.ATTACK not in outcome.verdicts and outcome.mitigated_ms is None, (seed, outcome)


def test_attackers_in_the_networks_of_people_are_found_by_their_addresses() -> None:
    """Of people, only those can be hit who share an address with one, while nobody listens from there."""
    for seed in SEEDS:
        outcome = siege.play(SHARED, seed)
        assert Verdict.ATTACK in outcome.verdicts, (seed, outcome)
        assert len(siege.NEIGHBOURS) <= outcome.shut_out <= outcome.hostile, (seed, outcome)
        assert outcome.harmed <= outcome.shut_out - len(siege.NEIGHBOURS), (seed, outcome)


def test_who_plays_the_whole_protocol_passes_as_people() -> None:
    """Said in the docs, too."""
    outcome = siege.play(MIMICRY, 0)
    assert (outcome.detected_ms, outcome.shut_out) == (None, 0)


def test_the_same_seed_makes_the_same_evening() -> None:
    assert siege.play(ATTACKS[0], 3) == siege.play(ATTACKS[0], 3)
