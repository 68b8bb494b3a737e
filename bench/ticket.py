"""A ticket at the gate: `python bench/ticket.py [--quick]` -> JSON.

Microseconds of CPU that an edge takes to find out whether a ticket admits, in its own process and with its own table of
sessions in shared memory, where the crew has revoked keys, classes and ranges of seqs: `admit_us` is the check, what is
revoked, and the session taken from whoever had it. Beside it the parts. Rounds are by turns, each over tickets of its
own; a round's figure is the mean over them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stentor.core import mount
from stentor.core.fanout import Patience
from stentor.core.keys import Key, admission
from stentor.formats import ticket
from stentor.io.board import Board
from stentor.io.keys import GroupKeys
from stentor.io.net.loop import Loop
from stentor.io.net.mounts import Mounts
from stentor.model import board
from stentor.nodes.admission import Admission
from stentor.settings import Settings
from support.figures import machine, median
from support.processes import alone

SHOW = "bench"
TAG = ticket.show_tag(SHOW)
ROUNDS, ROUNDS_QUICK = 15, 9
TICKETS, TICKETS_QUICK = 20_000, 2_000
LISTENERS = 18_000  # of one worker, by default
GOAL_US = 5.0
RANGES = tuple((2**31 + start, 2**31 + start + 5) for start in range(0, 160, 10))
REVOKED = board.Revoked((130, 131), (int(ticket.Class.INVITED),), RANGES)


class Gate:
    """What an edge admits by."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(data_dir=directory / "data", run_dir=directory / "run")
        values = Board(self.settings.board_dir)
        values.put("desk", board.Desk(1, (board.Show(SHOW, "Bench", 1, 1, revoked=REVOKED),)))
        self._loop = Loop(lambda fd: None)
        self._mounts = Mounts(self._loop, Patience(6.0, 20.0), 16_384)
        self.admission = Admission(self.settings, values, self._mounts, self._loop)
        self.admission.look(SHOW)
        keyring = self.admission.keyring
        self.view = mount.View(
            show_tag=lambda: TAG,
            full=lambda seq: False,
            keys=keyring.by_id,
            group=keyring.group,
            revoked=self.admission.revoked,
            now_text=lambda show: None,
        )

    def tickets(self, first: int, count: int) -> list[str]:
        now, group = int(time.time()), self.settings.edge_group
        hour = now // ticket.HOUR_S
        key = Key(ticket.hour_id(hour), GroupKeys(self.settings.keys_dir, group).hour(hour), group)
        return [admission(key, TAG, seq, now, 3_600) for seq in range(first, first + count)]

    def admit(self, text: str) -> None:
        """What happens at a join, up to the socket."""
        token = mount.check(text, self.view, TAG, int(time.time()))
        if isinstance(token, ticket.Refusal):
            raise AssertionError(token)
        self.admission.begin(token)

    def refuse(self, text: str) -> None:
        token = mount.check(text, self.view, TAG, int(time.time()))
        if token is not ticket.Refusal.FORGED:
            raise AssertionError(token)

    def fill(self, count: int) -> None:
        """So many listeners, as far as a sweep is concerned."""
        now = int(time.time())
        for number, text in enumerate(self.tickets(1, count)):
            token = mount.check(text, self.view, TAG, now)
            assert isinstance(token, ticket.Token)
            self.admission.begin(token)
            self._mounts.roster.put(number, token)

    def close(self) -> None:
        self.admission.close()
        self._mounts.close()
        self._loop.close()


def forged(text: str) -> str:
    """The same ticket with another MAC."""
    return text[:-1] + ("A" if text[-1] != "A" else "B")


def each_us(do: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Mean of `do` over `items`, of CPU: what else runs on the machine does not count as ours."""
    begun = time.thread_time_ns()
    for item in items:
        do(item)
    return (time.thread_time_ns() - begun) / len(items) / 1000


@contextlib.contextmanager
def gate() -> Iterator[Gate]:
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        one = Gate(Path(directory))
        try:
            yield one
        finally:
            one.close()


def measure(at: Gate, first: int, count: int) -> dict[str, float]:
    """One round, over tickets that nobody has seen."""
    texts, now = at.tickets(first, count), int(time.time())
    tokens = [token for text in texts if isinstance(token := mount.check(text, at.view, TAG, now), ticket.Token)]
    assert len(tokens) == count
    return {
        "admit_us": each_us(at.admit, texts),
        "admit_again_us": each_us(at.admit, texts),
        "refuse_forged_us": each_us(at.refuse, [forged(text) for text in texts]),
        "check_alone_us": each_us(lambda text: ticket.check(text, at.view.keys, TAG, now), texts),
        "revoked_alone_us": each_us(at.admission.revoked, tokens),
        "session_alone_us": each_us(at.admission.begin, tokens),
        "renew_us": each_us(lambda token: at.admission.lasting(token, now), tokens),
    }


def sweeps_ms(listeners: int, rounds: int) -> list[float]:
    """How long a look for tickets that play elsewhere takes: it comes once a second, between two chunks."""
    with gate() as at:
        at.fill(listeners)
        return [each_us(lambda _: at.admission.sweep(), range(10)) / 1000 for _ in range(rounds)]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer tickets a round")
    quick = parser.parse_args().quick
    rounds, count = (ROUNDS_QUICK, TICKETS_QUICK) if quick else (ROUNDS, TICKETS)
    with alone(), gate() as at:
        before = machine()
        measure(at, 1, count)  # to warm up
        taken = [measure(at, 1 + count * number, count) for number in range(1, rounds + 1)]
        figures = {name: median([one[name] for one in taken], 2) for name in taken[0]}
        figures[f"sweep_{LISTENERS}_ms"] = median(sweeps_ms(LISTENERS, rounds))
        result = {"machine": before, "tickets_a_round": count, "goal_us": GOAL_US}
        print(json.dumps(result | {"met": figures["admit_us"]["median"] <= GOAL_US} | figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
