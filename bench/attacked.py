"""Honest people while a show is attacked: `python bench/attacked.py [--only NAME] [--quick]` -> JSON.

For each attack a fresh installation with a show on air, chunks of half a second, in a network namespace of its own;
from another come 5,000 listeners (crowd.c) and 100 newcomers a second (tests/support/people.py), each from an address
of their own. First a control window, then one as long with the attack from its first packet on: 5,000 connections
whose requests do not end, as many streams that nobody reads, as many connections in which nothing is said from 200
addresses, and wrk from 200 addresses as fast as it can, which is what one core can ask and not ten times what another
can answer. The rules of the kernel are real. Needs root; nothing leaves the namespaces, and everything ends by
itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stentor.io.board import Board
from stentor.model import board
from support import netns
from support.contestants import tickets
from support.crowd import Crowd, crowd
from support.figures import machine
from support.netns import HOUSE, entered
from support.processes import CROWD_CORE, BenchError, alone, compiled
from support.siege import House, Watch, house

AT_ONCE, SETTLE_S = 200, 6.0
STAY_S, LAST_S = 6, 8  # newcomers listen for so long; after the window, so that the last ones hear something
HOSTILE_NICE = 15
WRK_CONNECTIONS = 1_000
FIRST_SEQ = 1_000_000  # of the listeners' tickets: the door gives lower ones
NET, SOURCES = "10.67.0.0/16", 200


class Plan(NamedTuple):
    listeners: int
    newcomers_s: int
    hostile: int
    seconds: int


FULL, QUICK = Plan(5_000, 100, 5_000, 30), Plan(300, 20, 300, 12)
ATTACKS: dict[str, dict[str, Any]] = {
    "slow requests": {"kind": "slow_headers", "ramp_s": 5},
    "slow reading": {"kind": "slow_read", "ramp_s": 10},
    "hoarding of connections": {"kind": "hoard", "sources": SOURCES},
    "flood of requests": {"wrk": "/s/{show}/now"},
    "flood of joins": {"wrk": "/s/{show}/join", "post": True},
}


def play(name: str, plan: Plan) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as scratch,
        house(Path(scratch)) as place,
    ):
        place.on_air.speak(place.on_air.made.crew_link)
        place.on_air.airs(4)
        paths = tickets(place.running.settings, plan.listeners, place.on_air.made.show, FIRST_SEQ)
        with entered(place.cable.world):
            port = place.running.settings.edge_port
            with crowd(port, paths, Path(scratch), host=HOUSE, sources=("10.66.0.1", plan.listeners)) as people:
                people.join(plan.listeners, AT_ONCE)
                time.sleep(SETTLE_S)
                control = window(place, people, plan, {}, Path(scratch))
                return {"control": control, "attack": window(place, people, plan, ATTACKS[name], Path(scratch))}


def window(place: House, people: Crowd, plan: Plan, attack: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """What everybody saw in so long."""
    newcomers = {"name": "newcomers", "kind": "joins", "net": "10.66.64.0/18", "per_s": plan.newcomers_s}
    newcomers |= {"stay_s": STAY_S, "for_s": plan.seconds}
    before, watch = counters(place), Watch(place.running)
    people.mark()
    world, began_ms = place.begin([newcomers], plan.seconds + LAST_S), time.time_ns() // 1_000_000
    os.sched_setaffinity(world.pid, {CROWD_CORE})
    with hostile(place, plan, attack, scratch) as told:
        time.sleep(plan.seconds)
        heard = people.mark()
        said, _ = world.communicate(timeout=60)
    watch.stop()
    after = counters(place)
    honest = json.loads(said)["newcomers"]
    targets = watch.targets()
    seen = {
        "listeners": heard | {name: after[name] - before[name] for name in after},
        "newcomers": honest,
        "newcomers_heard": round(honest["heard"] / honest["came"], 5),
        "hostile": told,
        "verdicts": sorted(str(one) for one in watch.verdicts()),
        "seen_s": watch.first(lambda one: one.verdict is board.Verdict.ATTACK, began_ms),
        "shut_out_s": watch.first(lambda one: any(target.startswith("10.67.") for target in one.targets), began_ms),
        "rules": len(targets),
        "rules_against_honest": sum(target.startswith("10.66.") for target in targets),
    }
    print(seen, file=sys.stderr)
    return seen


def counters(place: House) -> dict[str, int]:
    values = Board(place.running.settings.board_dir)
    edges = [edge for key in values.keys("edge-") if (edge := values.get(key, board.Edge)) is not None]
    stage = values.get("stage", board.Stage)
    if stage is None:
        raise BenchError("no word of the stage")
    told = {name: sum(getattr(edge, name) for edge in edges) for name in ("skips", "drops")}
    return told | {"late_ticks": stage.late_ticks, "late_chunks": stage.late_chunks}


@contextlib.contextmanager
def hostile(place: House, plan: Plan, attack: dict[str, Any], scratch: Path) -> Iterator[dict[str, Any]]:
    """-> what it did, once that is over."""
    told: dict[str, Any] = {}
    if not attack:
        yield told
        return
    process = _wrk(place, attack, plan.seconds, scratch) if "wrk" in attack else _people(place, attack, plan)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(process.pid, {CROWD_CORE})
        os.setpriority(os.PRIO_PROCESS, process.pid, HOSTILE_NICE)
    try:
        yield told
        said, _ = process.communicate(timeout=60)
        told |= _told(said) if "wrk" in attack else json.loads(said)["hostile"]
    finally:
        process.kill()
        process.wait()


def _people(place: House, attack: dict[str, Any], plan: Plan) -> subprocess.Popen[str]:
    part = {"name": "hostile", "net": NET, "count": plan.hostile, **attack}
    return place.begin([part], plan.seconds)


def _wrk(place: House, attack: dict[str, Any], seconds: int, scratch: Path) -> subprocess.Popen[str]:
    url = f"http://{HOUSE}:{place.running.settings.door_port}{attack['wrk']}".format(show=place.on_air.made.show)
    more = ["-s", str(Path(__file__).with_name("post.lua"))] if attack.get("post") else []
    argv = ["wrk", "-t1", "-c", str(WRK_CONNECTIONS), "-d", f"{seconds}s", *more, "-H", "Connection: close", url]
    shim = compiled("sources.c", "-shared", "-fPIC")
    environ = os.environ | {"LD_PRELOAD": str(shim), "SOURCES": f"10.67.0.1 {SOURCES}"}
    with (scratch / "wrk.log").open("wb") as log:
        return subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)


def _told(said: str) -> dict[str, Any]:
    found = re.search(r"(\d+) requests in", said)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return {"answered": int(found[1]) if found else 0, "of_them_refused": int(bad[1]) if bad else 0}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="300 listeners, 20 newcomers a second, 300 connections")
    parser.add_argument("--only", choices=tuple(ATTACKS), action="append")
    arguments = parser.parse_args()
    if problem := netns.missing():
        print(problem, file=sys.stderr)
        return 2
    plan = QUICK if arguments.quick else FULL
    with alone():
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # `serve` says itself who goes first
        result: dict[str, Any] = {"machine": machine(), **plan._asdict()}
        for name in arguments.only or ATTACKS:
            result[name] = play(name, plan)
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
