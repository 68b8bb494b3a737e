"""What the shield costs, and how often it errs: `python bench/shield.py [--quick]` -> JSON.

`matrix`: fifteen evenings under simulated time (tests/sim/siege.py), each from many seeds: how often its verdict was
*attack*, how long that took, and against whom rules were enforced. `evidence`: memory of the window and of those who
behaved after a million sources, and the usher's CPU at 20,000 events a second. `rules`: ten thousand addresses from the
decision to the sets of the kernel, by real nft, in a network namespace of its own (needs root).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from stentor.core.evidence import Evidence
from stentor.core.rules import Rulebook
from stentor.core.verdict import Judge
from stentor.core.witness import Witness
from stentor.formats import evidence
from stentor.formats.evidence import decode
from stentor.io import nft
from support.figures import machine, median
from support.processes import BenchError, alone

sys.path.append(str(Path(__file__).parents[1] / "tests"))
SEEDS_CROWD, SEEDS_ATTACK, SEEDS_QUICK = 100, 20, 1
SOURCES, SOURCES_QUICK = 1_000_000, 50_000
EVENTS_S, SECONDS, SECONDS_QUICK = 20_000, 20, 3
LOOKS_S = 4
RULES, ROUNDS = 10_000, 7


def matrix(crowds: int, attacks: int) -> dict[str, Any]:
    from sim import siege

    found = {}
    for name, (_, attack) in siege.SCENARIOS.items():
        seeds = attacks if attack else crowds
        outcomes = [siege.play(name, seed) for seed in range(seeds)]
        found[name] = {
            "evenings": seeds,
            "is_attack": attack,
            "called_attack": sum("attack" in one.verdicts for one in outcomes),
            "in_doubt": sum(not one.verdicts <= {"calm", "crowd"} for one in outcomes),  # strangers were challenged
            "missed": sum(one.detected_ms is None for one in outcomes) if attack else 0,
            "detected_ms_p95": _p95([one.detected_ms for one in outcomes]),
            "shut_out_ms_p95": _p95([one.mitigated_ms for one in outcomes]),
            "honest_shut_out": sum(one.harmed for one in outcomes),
            "honest": sum(one.honest for one in outcomes),
            "hostile_shut_out": sum(one.shut_out for one in outcomes),
            "hostile": sum(one.hostile for one in outcomes),
            "over_after_ms_max": max((one.calm_ms or 0 for one in outcomes), default=0),
        }
        print(f"{name}: {found[name]}", file=sys.stderr)
    return found


def _p95(values: list[int | None]) -> int | None:
    known = sorted(value for value in values if value is not None)
    return known[min(len(known) - 1, int(0.95 * len(known)))] if known else None


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


def memory(quick: bool) -> dict[str, float]:
    """A million sources, each once, within a minute."""
    before, window, count = rss_bytes(), Evidence(), SOURCES_QUICK if quick else SOURCES
    witness, now_ms = Witness(evidence.DOOR, 0), 0
    for number in range(count):
        witness.count(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", "places")
        if number % (count // 240) == 0:
            for data in witness.flush(now_ms):
                window.receive(decode(data), now_ms)
            window.tick(now_ms)
            now_ms += 250
    evidence.key_of.cache_clear()
    return {"sources": count, "mib": round((rss_bytes() - before) / 2**20, 1)}


def load(quick: bool) -> dict[str, float]:
    """CPU of the usher's part: datagrams in, judged four times a second, among 20,000 sources."""
    rng, window, judge, book = random.Random(1), Evidence(), Judge(), Rulebook()
    sources = [f"10.{number >> 8 & 255}.{number & 255}.7" for number in range(20_000)]
    seconds, spent_s = SECONDS_QUICK if quick else SECONDS, 0.0
    for look in range(seconds * LOOKS_S):
        now_ms, witness = look * 250, Witness(evidence.DOOR, 0)
        for _ in range(EVENTS_S // LOOKS_S):
            witness.count(rng.choice(sources), rng.choice(("requests", "starts", "completed", "polite")))
        told = witness.flush(now_ms)
        began_s = time.thread_time()
        for data in told:
            window.receive(decode(data), now_ms)
        book.receive(judge.receive(window.tick(now_ms)), now_ms)
        spent_s += time.thread_time() - began_s
    return {"events_per_s": EVENTS_S, "share_of_a_core": round(spent_s / seconds, 3)}


def rules() -> dict[str, Any]:
    """In a namespace of its own."""
    argv = ["unshare", "-n", sys.executable, __file__, "--rules-here"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise BenchError(done.stderr[-500:])
    return dict(json.loads(done.stdout))


def rules_here() -> dict[str, Any]:
    kernel = nft.Kernel((8000, 8001))
    taken: list[float] = []
    for turn in range(ROUNDS):
        now_s = int(time.time())
        wanted = {f"10.{turn}.{number >> 8}.{number & 255}/32": now_s + 60 for number in range(RULES)}
        began_s = time.monotonic()
        kernel.apply(wanted, now_s)
        taken.append(time.monotonic() - began_s)
        kernel.apply({}, now_s)
    kernel.close()
    return {"addresses": RULES, "s": median(taken)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one evening of each, fewer sources")
    parser.add_argument("--rules-here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--crowds", type=int, default=SEEDS_CROWD, help="evenings of each kind of crowd")
    parser.add_argument("--attacks", type=int, default=SEEDS_ATTACK)
    parser.add_argument("--only", choices=("matrix", "evidence", "rules"))
    arguments = parser.parse_args()
    if arguments.rules_here:
        print(json.dumps(rules_here()))
        return 0
    with alone():
        result: dict[str, Any] = {"machine": machine()}
        if arguments.only in (None, "rules"):
            result["rules"] = rules()
        if arguments.only in (None, "evidence"):
            result["memory"], result["load"] = memory(arguments.quick), load(arguments.quick)
        if arguments.only in (None, "matrix"):
            seeds = (SEEDS_QUICK, SEEDS_QUICK) if arguments.quick else (arguments.crowds, arguments.attacks)
            result["matrix"] = matrix(*seeds)
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
