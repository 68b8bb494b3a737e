"""The command line in words."""

from __future__ import annotations

from msgspec.structs import replace

from stentor.commands import shown
from stentor.formats.crew import ShieldView
from stentor.model.board import Rule, Shield, Signal, Verdict

ATTACK = Shield(
    1, Verdict.ATTACK, 1, 3, (Signal("completion", "412 addresses and none played"),), 412, 9_800, 3, 2, "kernel",
    error="wrong in 0 of 300 rehearsed crowds",
)  # fmt: skip
RULES = (
    Rule("r1", "drop", "203.0.113.7/32", 1, 9, enforced_ms=2, hits=1_204, why="66 sessions begun and none played"),
    Rule("r2", "limit", "2001:db8::/64", 1, 9, spared="a listener plays there"),
    Rule("r3", "limit", "198.51.100.7/32", 1, 9),
)


def test_the_shield_in_words() -> None:
    text = shown.shield_of(ShieldView(ATTACK, RULES, True, False))
    for words in (
        "attack since",
        "412 addresses and none played",
        "9,800 joins asked for by about 412 sources, 3 played",
        "3, attack",
        "kernel",
        "rules are made, but not enforced",
        "wrong in 0 of 300",
        "enforced, 1,204 events in 10 s: 66 sessions begun and none played",
        "spared: a listener plays there",
        "198.51.100.7/32",
    ):
        assert words in text
    assert "siege" not in text


def test_a_siege_says_who_began_it() -> None:
    by_itself, ordered = replace(ATTACK, level=4), replace(ATTACK, level=4, siege=True)
    assert "the door has no time left" in shown.shield_of(ShieldView(by_itself, (), False, False))
    assert "by order" in shown.shield_of(ShieldView(ordered, (), False, True))


def test_without_a_usher_nothing_is_made_up() -> None:
    assert shown.shield_of(ShieldView(None, (), False, False)).startswith("nobody judges")
