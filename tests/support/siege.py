"""An installation in a network of its own, and a world of people around it: what the shield says and does meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from stentor.io.board import Board
from stentor.model import board
from support import people
from support.netns import HOUSE, Cable, entered
from support.onair import OnAir
from support.running import Running, installation

HASHES = 200  # of a challenge: all people share the cores with what they ask
LOOK_S = 0.05
AFTER_S = 30.0  # beyond its time, in which a world that does not end by itself is ended

Part = dict[str, Any]


class Seen(NamedTuple):
    """What stood on the board at Unix milliseconds `at_ms`."""

    at_ms: int
    verdict: board.Verdict
    level: int
    enforced: int
    targets: frozenset[str]
    words: tuple[str, ...]


class Watch:
    """Looks at the board again and again, until `stop`."""

    def __init__(self, running: Running) -> None:
        self.seen: list[Seen] = []
        self._board = Board(running.settings.board_dir)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        shield = self._board.get("shield", board.Shield)
        rules = self._board.get("rules", board.Rules)
        if shield is not None:
            enforced = [rule for rule in rules.rules if rule.enforced_ms] if rules else []
            targets = frozenset(rule.target for rule in enforced)
            words = tuple(signal.words for signal in shield.signals)
            now_ms = time.time_ns() // 1_000_000
            self.seen.append(Seen(now_ms, shield.verdict, shield.level, len(enforced), targets, words))

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def first(self, holds: Callable[[Seen], bool], from_ms: int) -> float | None:
        """Seconds from then until `holds` first did; None if it never did."""
        return next(((one.at_ms - from_ms) / 1e3 for one in self.seen if one.at_ms >= from_ms and holds(one)), None)

    def verdicts(self) -> set[board.Verdict]:
        return {one.verdict for one in self.seen}

    def targets(self) -> set[str]:
        """Of every rule that was ever enforced."""
        return {target for one in self.seen for target in one.targets}


class Outcome(NamedTuple):
    parts: dict[str, dict[str, Any]]
    watch: Watch

    def detected_s(self, hostile: str) -> float | None:
        """From the first hostile packet to the verdict."""
        return self.watch.first(lambda one: one.verdict is board.Verdict.ATTACK, self.parts[hostile]["began_ms"])

    def mitigated_s(self, hostile: str, prefix: str = "") -> float | None:
        """To the first rule in force against an address that begins so."""
        began_ms = self.parts[hostile]["began_ms"]
        return self.watch.first(lambda one: any(target.startswith(prefix) for target in one.targets), began_ms)

    def summary(self, hostile: str = "") -> dict[str, Any]:
        times = {"detected_s": self.detected_s(hostile), "mitigated_s": self.mitigated_s(hostile)} if hostile else {}
        words = next((one.words for one in self.watch.seen if one.verdict is board.Verdict.ATTACK), ())
        return {
            "verdicts": sorted(str(one) for one in self.watch.verdicts()),
            **times,
            "rules_max": max((one.enforced for one in self.watch.seen), default=0),
            "words": list(words),
            "parts": self.parts,
        }


class House:
    """A show on air in the house. `rehearse` lets the world come."""

    def __init__(self, cable: Cable, running: Running, on_air: OnAir, tmp: Path) -> None:
        self.cable, self.running, self.on_air, self._tmp = cable, running, on_air, tmp

    def drops_by(self) -> str:
        """Who keeps out whom a rule shuts out."""
        shield = Board(self.running.settings.board_dir).get("shield", board.Shield)
        return shield.drops_by if shield is not None else ""

    def begin(self, parts: list[Part], for_s: float) -> subprocess.Popen[str]:
        """The world comes; -> its process, which ends by itself."""
        settings = self.running.settings
        doors = {"door": settings.door_port, "edge": settings.edge_port, "show": self.on_air.made.show}
        return begin(self.cable, {**doors, "for_s": for_s, "parts": parts}, self._tmp)

    def rehearse(
        self, parts: list[Part], for_s: float, meanwhile: Callable[[], None] = lambda: None, more_s: float = 0.0
    ) -> Outcome:
        """The world comes for so long, and the board is watched, for `more_s` longer."""
        watch, world = Watch(self.running), self.begin(parts, for_s)
        try:
            meanwhile()
            said, _ = world.communicate(timeout=for_s + AFTER_S)
            time.sleep(more_s)
        finally:
            world.kill()
            world.wait()
            watch.stop()
        assert world.returncode == 0, world.returncode
        return Outcome(json.loads(said), watch)


def begin(cable: Cable, plan: dict[str, Any], tmp: Path) -> subprocess.Popen[str]:
    """People of the world do as in `plan` (support/people.py)."""
    path = tmp / f"plan-{time.monotonic_ns()}.json"
    path.write_text(json.dumps({"host": HOUSE, **plan}))
    with entered(cable.world):
        return subprocess.Popen([sys.executable, people.__file__, str(path)], stdout=subprocess.PIPE, text=True)


@contextmanager
def house(
    tmp_path: Path, *, starts_in_s: float = 1.0, show: dict[str, Any] | None = None, **changes: Any
) -> Iterator[House]:
    """An installation with a show on air, alone in its network namespace; `changes` to its settings."""
    with ExitStack() as stack:
        cable = Cable(stack)
        stack.enter_context(entered(cable.house))
        settings = {"bind": "0.0.0.0", "challenge_hashes": HASHES, **changes}
        running = stack.enter_context(installation(tmp_path, **settings))
        running.start()
        on_air = OnAir(running, stack, tmp_path, starts_in_s=starts_in_s, **(show or {}))
        yield House(cable, running, on_air, tmp_path)
