"""What counts as a solution: right, given to this source, not too old, and once."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core import challenge
from stentor.core.challenge import LIFE_S, SLOT_S, TABLE_BYTES, WAIT_LIFE_S, Bad, Challenger, Spent
from stentor.formats import challenge as form
from stentor.formats.challenge import Needed
from stentor.formats.problem import Refused

KEY, OTHER_KEY = bytes(32), bytes(31) + b"\1"
SOURCE, NOW_S = "192.0.2.7", 1_790_000_010


class Numbers:
    """Random salts, and numbers that are soon found."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(seed)

    def randbytes(self, n: int) -> bytes:
        return self._rng.randbytes(n)

    def randrange(self, start: int, stop: int) -> int:
        return self._rng.randrange(start, 50)


def challenger(table: bytearray | None = None, key: bytes = KEY, seed: int = 0) -> Challenger:
    return Challenger(key, bytearray(TABLE_BYTES) if table is None else table, Numbers(seed))


def needed(answer: Refused | None) -> Needed:
    assert isinstance(answer, Needed) and answer.challenge is not None
    return answer


def solve(asked: Needed) -> str:
    given = needed(asked).challenge
    assert given is not None
    for number in range(50):
        text = form.text(given, number)
        if form.solves(KEY, form.parse(text)) or form.solves(OTHER_KEY, form.parse(text)):
            return text
    raise AssertionError("no solution")


def ask(door: Challenger, source: str = SOURCE, now_s: int = NOW_S) -> Needed:
    return needed(door.receive("", "", source, now_s, 0.0))


def test_a_solution_lets_in_once() -> None:
    door = challenger()
    asked = ask(door)
    solution = solve(asked)
    assert door.receive(solution, asked.stamp, SOURCE, NOW_S + 3, 1.0) is None
    assert (door.challenged, door.solved) == (1, 1)
    again = needed(door.receive(solution, asked.stamp, SOURCE, NOW_S + 4, 2.0))
    assert again.detail == Bad.SPENT
    assert (door.challenged, door.solved) == (2, 1)


@pytest.mark.parametrize("digits", [1, 2, 3, 4])
def test_solutions_may_be_padded_or_not(digits: int) -> None:
    made = form.make(KEY, bytes(12), 10 ** (digits - 1), 10_000)
    bare = form.text(made, 10 ** (digits - 1))
    padded = bare + "=" * (-len(bare) % 4)
    assert form.parse(padded) == form.parse(bare) == form.parse(padded.replace("-", "+").replace("_", "/"))


def test_a_solution_counts_once_in_all_workers() -> None:
    table = bytearray(TABLE_BYTES)
    one, other = challenger(table), challenger(table, seed=1)
    asked = ask(one)
    solution = solve(asked)
    assert other.receive(solution, asked.stamp, SOURCE, NOW_S, 0.0) is None, "whoever gave it"
    assert needed(one.receive(solution, asked.stamp, SOURCE, NOW_S, 0.0)).detail == Bad.SPENT


def test_what_was_solved_elsewhere_or_kept_is_refused() -> None:
    door = challenger()
    asked = ask(door)
    solution = solve(asked)
    assert needed(door.receive(solution, asked.stamp, "192.0.2.8", NOW_S, 0.0)).detail == Bad.FORGED
    assert needed(door.receive(solution, asked.stamp, SOURCE, NOW_S + LIFE_S + 1, 0.0)).detail == Bad.EXPIRED
    assert needed(door.receive(solution, asked.stamp, SOURCE, NOW_S - 1, 0.0)).detail == Bad.EXPIRED
    assert needed(door.receive(solution, ask(door).stamp, SOURCE, NOW_S, 0.0)).detail == Bad.FORGED
    assert needed(door.receive(solution, asked.wait_stamp, SOURCE, NOW_S, 0.0)).detail == Bad.FORGED
    assert door.solved == 0
    assert door.receive(solution, asked.stamp, SOURCE, NOW_S + LIFE_S, 0.0) is None, "none of that has used it up"


def test_challenges_of_another_key_do_not_count() -> None:
    forger, door = challenger(key=OTHER_KEY), challenger()
    asked = ask(forger)
    assert needed(door.receive(solve(asked), asked.stamp, SOURCE, NOW_S, 0.0)).detail == Bad.FORGED
    given = form.make(OTHER_KEY, bytes(12), 7, 50)
    stamp = form.stamp(KEY, form.Kind.SOLVE, NOW_S, SOURCE, given.signature)
    assert needed(door.receive(form.text(given, 7), stamp, SOURCE, NOW_S, 0.0)).detail == Bad.WRONG


def test_a_wrong_number_is_no_solution() -> None:
    door = challenger()
    asked = ask(door)
    assert asked.challenge is not None
    wrong = form.text(asked.challenge, 60)
    assert needed(door.receive(wrong, asked.stamp, SOURCE, NOW_S, 0.0)).detail == Bad.WRONG


@given(st.text(max_size=700), st.text(max_size=80))
def test_nothing_that_was_made_up_lets_in(solution: str, stamp: str) -> None:
    door = challenger(bytearray(TABLE_BYTES))
    answer = needed(door.receive(solution, stamp, SOURCE, NOW_S, 0.0))
    assert answer.detail in (Bad.NONE, Bad.FORGED) and door.solved == 0


@given(st.integers(0, 10**6), st.data())
def test_a_changed_solution_or_stamp_does_not_count(seed: int, data: Any) -> None:
    door = challenger(seed=seed)
    asked = ask(door)
    solution, stamp = solve(asked), asked.stamp
    changed = solution + "." + stamp
    at = data.draw(st.integers(0, len(changed) - 1))
    new = data.draw(st.sampled_from("0123456789abcdefABC.-"))
    changed = changed[:at] + new + changed[at + 1 :]
    sent, _, told = changed.partition(".")
    if (_meaning(sent), told.lower()) == (_meaning(solution), stamp.lower()):
        return
    assert door.receive(sent, told, SOURCE, NOW_S, 0.0) is not None


def _meaning(solution: str) -> list[str] | None:
    """Several texts say the same: base64 has spare bits, JSON names that nobody looks at, hex letters of two kinds."""
    try:
        return [str(field).lower() for field in msgspec.structs.astuple(form.parse(solution))]
    except form.BadSolution:
        return None


def test_solutions_are_looked_at_within_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenge, "SOLUTIONS_PER_S", 2)
    door = challenger()
    asked = ask(door)
    assert asked.challenge is not None
    wrong = form.text(asked.challenge, 60)
    answers = [door.receive(wrong, asked.stamp, SOURCE, NOW_S, 5.0) for _ in range(4)]
    assert [answer and answer.code for answer in answers] == ["challenge-needed"] * 2 + ["challenge-busy"] * 2
    refused = answers[-1]
    assert refused is not None and refused.status == 503 and refused.retry_after_s > 0
    assert needed(door.receive(wrong, asked.wait_stamp, SOURCE, NOW_S, 5.0)).detail == Bad.FORGED, "costs nothing"
    assert door.receive(solve(asked), asked.stamp, SOURCE, NOW_S, 6.0) is None, "a second later it is looked at again"


def test_whoever_waits_comes_in_without_solving() -> None:
    door = challenger()
    asked = ask(door)
    assert SLOT_S <= asked.wait_s <= 2 * SLOT_S
    early = needed(door.receive("", asked.wait_stamp, SOURCE, NOW_S + asked.wait_s - 1, 0.0))
    assert (early.detail, early.wait_stamp, early.wait_s) == (Bad.EARLY, asked.wait_stamp, 1), "the wait goes on"
    ready_s = NOW_S + asked.wait_s
    assert needed(door.receive("", asked.wait_stamp, "192.0.2.8", ready_s, 0.0)).detail == Bad.FORGED
    assert door.receive("", asked.wait_stamp, SOURCE, ready_s, 0.0) is None
    assert needed(door.receive("", asked.wait_stamp, SOURCE, ready_s, 0.0)).detail == Bad.SPENT


def test_a_wait_is_not_kept_for_later() -> None:
    door = challenger()
    asked = ask(door)
    late = needed(door.receive("", asked.wait_stamp, SOURCE, NOW_S + WAIT_LIFE_S + SLOT_S, 0.0))
    assert late.detail == Bad.EXPIRED and late.wait_stamp != asked.wait_stamp


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60).map(sorted))
def test_a_source_that_only_waits_has_one_turn_a_slot(moments: list[int]) -> None:
    door, stamps, turns = challenger(), set[str](), 0
    for moment in moments:
        now_s = NOW_S + moment
        stamps.add(ask(door, now_s=now_s).wait_stamp)
        turns += sum(door.receive("", stamp, SOURCE, now_s, float(now_s)) is None for stamp in stamps)
    assert turns <= (moments[-1] - moments[0]) // SLOT_S


def test_one_has_a_share_of_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenge, "WAITS_PER_S", 1)
    door = challenger()
    stamps = [(f"192.0.2.{n}", ask(door, f"192.0.2.{n}").wait_stamp) for n in range(3)]
    answers = [door.receive("", stamp, source, NOW_S + 2 * SLOT_S, 9.0) for source, stamp in stamps]
    assert [answer.code if answer else "" for answer in answers] == ["", "challenge-busy", "challenge-busy"]


@given(st.lists(st.tuples(st.binary(min_size=8, max_size=8), st.integers(0, 50)), max_size=80))
def test_what_was_taken_is_never_taken_again_before_its_time(takes: list[tuple[bytes, int]]) -> None:
    spent, kept, now_s = Spent(bytearray(TABLE_BYTES)), dict[bytes, int](), 1
    for mac, step in takes:
        now_s += step
        fresh = kept.get(mac, 0) >= now_s
        took = spent.take(mac, now_s + 20, now_s)
        assert took is (not fresh)
        if took:
            kept[mac] = now_s + 20


def test_a_full_row_takes_nobody_and_forgets_nobody() -> None:
    spent = Spent(bytearray(TABLE_BYTES))
    macs = [bytes(4) + bytes([n, 1, 0, 0]) for n in range(9)]
    assert [spent.take(mac, 100, 50) for mac in macs] == [True] * 8 + [None]
    assert [spent.take(mac, 100, 50) for mac in macs[:8]] == [False] * 8
    assert spent.take(macs[8], 200, 101) is True, "room again"


def test_what_was_made_beforehand_is_given_once() -> None:
    door = challenger()
    for _ in range(challenge.POOL // challenge.MADE_AT_ONCE + 1):
        door.refill()
    given = {ask(door).challenge for _ in range(challenge.POOL + 1)}
    assert len(given) == challenge.POOL + 1, "and one on the spot when there is none left"


def test_an_ipv6_source_is_its_network() -> None:
    door = challenger()
    asked = ask(door, "2001:db8::1")
    assert needed(door.receive(solve(asked), asked.stamp, "2001:db8:0:1::1", NOW_S, 0.0)).detail == Bad.FORGED
    assert door.receive(solve(asked), asked.stamp, "2001:db8::2", NOW_S, 0.0) is None
    asked = ask(door, "::ffff:192.0.2.7")
    assert door.receive(solve(asked), asked.stamp, "192.0.2.7", NOW_S, 0.0) is None
