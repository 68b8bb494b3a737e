"""Rules as a worker goes by them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stentor.core.attendance import HEARD_S, Attendance
from stentor.formats import blocked
from stentor.formats.blocked import DROP, FAVOUR, LIMIT, Block
from stentor.formats.evidence import key_of
from stentor.io.board import Board
from stentor.io.net.loop import Loop
from stentor.model import board
from stentor.nodes import guard
from stentor.nodes.guard import Guard, rules_path, shut_out
from stentor.settings import Settings

HOSTILE, OFFICE, LISTENER = "10.9.0.1", "10.3.0.1", "10.1.0.1"


class Gate:
    """A guard, and what the usher tells it."""

    def __init__(self, base: Path) -> None:
        self.settings = replace(Settings(), data_dir=base / "data", run_dir=base / "run")
        self.board, self.loop, self.attendance = Board(self.settings.board_dir), Loop(lambda fd: None), Attendance()
        self.guard = Guard(self.settings, self.board, self.loop, self.attendance)

    def rule(self, action: int, *sources: str, life_ms: int = 60_000) -> None:
        until_ms = time.time_ns() // 1_000_000 + life_ms
        path = rules_path(self.settings)
        path.parent.mkdir(exist_ok=True)
        scratch = path.with_suffix(".new")
        scratch.write_bytes(blocked.encode(0, {key_of(source): Block(action, until_ms) for source in sources}))
        scratch.rename(path)
        self.guard.look()

    def tell(self, age_ms: int = 0, **fields: object) -> None:
        self.board.put("shield", board.Shield(time.time_ns() // 1_000_000 - age_ms, **fields))  # type: ignore[arg-type]
        self.guard.look()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.loop.close()


def test_without_rules_everybody_is_let_in(gate: Gate) -> None:
    assert gate.guard.admits(HOSTILE) and gate.guard.shares(HOSTILE) and gate.guard.is_out() is None


def test_who_is_shut_out_is_not_let_in_until_the_rule_runs_out(gate: Gate) -> None:
    gate.rule(DROP, HOSTILE)
    assert not gate.guard.admits(HOSTILE) and gate.guard.admits(OFFICE) and gate.guard.blocked == 1
    is_out = gate.guard.is_out()
    assert is_out is not None and is_out(HOSTILE) and not is_out(OFFICE) and gate.guard.is_out() is None
    assert list(shut_out(gate.settings)) == [f"{HOSTILE}/32"]
    gate.rule(DROP, HOSTILE, life_ms=-1)
    assert gate.guard.admits(HOSTILE) and shut_out(gate.settings) == {}


def test_who_is_limited_is_let_in_a_few_times(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.time, "monotonic", lambda: 1_000.0)
    gate.rule(LIMIT, HOSTILE)
    assert [gate.guard.admits(HOSTILE) for _ in range(guard.LIMIT + 1)] == [True] * guard.LIMIT + [False]
    monkeypatch.setattr(guard.time, "monotonic", lambda: 1_000.0 + guard.SPAN_S)
    gate.guard.look()
    assert gate.guard.admits(HOSTILE)


def test_where_somebody_has_heard_something_nobody_is_shut_out(gate: Gate) -> None:
    gate.attendance.join(7, key_of(LISTENER), 0.0)
    gate.attendance.look(HEARD_S, lambda fd: 0)
    gate.rule(DROP, LISTENER)
    is_out = gate.guard.is_out()
    assert gate.guard.admits(LISTENER) and is_out is not None and not is_out(LISTENER)


def test_a_share_is_for_who_is_not_known_to_behave(gate: Gate) -> None:
    gate.tell(share=2, level=2)
    gate.rule(FAVOUR, OFFICE)
    assert [gate.guard.shares(HOSTILE) for _ in range(3)] == [True, True, False]
    assert all(gate.guard.shares(OFFICE) and gate.guard.admits(OFFICE) for _ in range(9))


@pytest.mark.parametrize("address", ["10.9.0.{}", "2001:db8:9:{}::1"])
def test_a_network_has_a_share_too(gate: Gate, address: str) -> None:
    gate.tell(share=2, level=2)
    shares = [gate.guard.shares(address.format(number)) for number in range(1, 40)]
    assert shares == [True] * (2 * guard.NETWORK_SHARES) + [False] * (39 - 2 * guard.NETWORK_SHARES)
    assert gate.guard.shares("10.8.0.1") and gate.guard.shares("2001:db8:8::1"), "others have their own"


def test_a_usher_that_says_nothing_any_more_limits_nobody(gate: Gate) -> None:
    gate.tell(age_ms=guard.STALE_MS + 1_000, share=1, level=guard.SIEGE)
    assert all(gate.guard.shares(HOSTILE) for _ in range(9)) and not gate.guard.besieged
    gate.tell(share=1, level=guard.SIEGE)
    assert gate.guard.besieged
    gate.tell(level=guard.SIEGE, dry_run=True)
    assert not gate.guard.besieged


def test_rules_that_cannot_be_read_change_nothing(gate: Gate) -> None:
    gate.rule(DROP, HOSTILE)
    rules_path(gate.settings).write_bytes(b"nonsense")
    gate.guard.look()
    assert not gate.guard.admits(HOSTILE)
