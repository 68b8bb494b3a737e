"""Honest people while a show is attacked: `python bench/attacked.py [--server NAME] [--only NAME] [--quick]` -> JSON.

For each attack a fresh installation with a show on air, chunks of half a second, in a network namespace of its own;
from another come 5,000 listeners (crowd.c) and 100 newcomers a second (tests/support/people.py), each from an address
of their own. First a control window, then one as long with the attack from its first packet on: 5,000 connections
whose requests do not end, as many streams that nobody reads, as many connections in which nothing is said from 200
addresses, and wrk from 200 addresses as fast as it can, which is what one core can ask and not ten times what another
can answer. The rules of the kernel are real. With `--server` the same befalls nginx, HAProxy or Icecast
(support/guarded.py). Needs root; nothing leaves the namespaces, and everything ends by itself.
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
from support import netns, siege
from support.contestants import tickets
from support.crowd import Crowd, crowd
from support.figures import machine
from support.guarded import MOUNT, guarded
from support.netns import HOUSE, Cable, entered
from support.processes import CROWD_CORE, BenchError, alone, compiled
from support.siege import House

AT_ONCE, SETTLE_S = 200, 6.0
STAY_S, LAST_S = 6, 8  # newcomers listen for so long; after the window, so that the last ones hear something
HOSTILE_NICE = 15
WRK_CONNECTIONS = 1_000
FIRST_SEQ = 1_000_000  # of the listeners' tickets: the door gives lower ones
FIRST, NET, SOURCES = "10.66.0.1", "10.67.0.0/16", 200
SERVERS = ("stentor", "nginx", "haproxy", "icecast")


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


class Place(NamedTuple):
    """What is attacked. `doors` is for the plan of people (support/people.py); `house` is Stentor's."""

    cable: Cable
    scratch: Path
    doors: dict[str, Any]
    paths: list[str]
    house: House | None = None

    def begin(self, part: dict[str, Any], for_s: float) -> subprocess.Popen[str]:
        process = siege.begin(self.cable, {**self.doors, "for_s": for_s, "parts": [part]}, self.scratch)
        os.sched_setaffinity(process.pid, {CROWD_CORE})
        return process


@contextlib.contextmanager
def stentor(scratch: Path, listeners: int) -> Iterator[Place]:
    with siege.house(scratch) as house:
        house.on_air.speak(house.on_air.made.crew_link)
        house.on_air.airs(4)
        settings, show = house.running.settings, house.on_air.made.show
        doors = {"door": settings.door_port, "edge": settings.edge_port, "show": show}
        yield Place(house.cable, scratch, doors, tickets(settings, listeners, show, FIRST_SEQ), house)


@contextlib.contextmanager
def other(server: str, scratch: Path) -> Iterator[Place]:
    with guarded(server, scratch) as there:
        doors = {"door": there.port, "edge": there.port, "show": "x", "ticket": there.ticket}
        time.sleep(SETTLE_S)
        yield Place(there.cable, scratch, doors, [MOUNT])


def play(server: str, name: str, plan: Plan) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="stentor-bench-", dir="/dev/shm") as directory:
        scratch = Path(directory)
        with (
            stentor(scratch, plan.listeners) if server == "stentor" else other(server, scratch) as place,
            entered(place.cable.world),
            crowd(place.doors["edge"], place.paths, scratch, host=HOUSE, sources=(FIRST, plan.listeners)) as people,
        ):
            people.join(plan.listeners, AT_ONCE)
            time.sleep(SETTLE_S)
            control = window(place, people, plan, {})
            return {"control": control, "attack": window(place, people, plan, ATTACKS[name])}


def window(place: Place, people: Crowd, plan: Plan, attack: dict[str, Any]) -> dict[str, Any]:
    """What everybody saw in so long."""
    newcomers = {"name": "newcomers", "kind": "joins", "net": "10.66.64.0/18", "per_s": plan.newcomers_s}
    newcomers |= {"stay_s": STAY_S, "for_s": plan.seconds}
    people.mark()
    with watched(place) as shield, hostile(place, plan, attack) as told:
        world = place.begin(newcomers, plan.seconds + LAST_S)
        time.sleep(plan.seconds)
        heard = people.mark()
        said, _ = world.communicate(timeout=60)
    honest = json.loads(said)["newcomers"]
    seen = {"listeners": heard, "newcomers": honest, "newcomers_heard": round(honest["heard"] / honest["came"], 5)}
    seen |= {"hostile": told, "shield": shield}
    print(seen, file=sys.stderr)
    return seen


@contextlib.contextmanager
def watched(place: Place) -> Iterator[dict[str, Any]]:
    """-> what the shield and the roles said meanwhile; nothing of other servers."""
    told: dict[str, Any] = {}
    if place.house is None:
        yield told
        return
    before, watch, began_ms = counters(place.house), siege.Watch(place.house.running), time.time_ns() // 1_000_000
    try:
        yield told
    finally:
        watch.stop()
    after, targets = counters(place.house), watch.targets()
    told |= {name: after[name] - before[name] for name in after}
    told |= {
        "verdicts": sorted(str(one) for one in watch.verdicts()),
        "seen_s": watch.first(lambda one: one.verdict is board.Verdict.ATTACK, began_ms),
        "shut_out_s": watch.first(lambda one: any(target.startswith("10.67.") for target in one.targets), began_ms),
        "rules": len(targets),
        "rules_against_honest": sum(target.startswith("10.66.") for target in targets),
        "words": next((one.words for one in watch.seen if one.verdict is board.Verdict.ATTACK), ()),
    }


def counters(house: House) -> dict[str, int]:
    values = Board(house.running.settings.board_dir)
    edges = [edge for key in values.keys("edge-") if (edge := values.get(key, board.Edge)) is not None]
    stage = values.get("stage", board.Stage)
    if stage is None:
        raise BenchError("no word of the stage")
    told = {name: sum(getattr(edge, name) for edge in edges) for name in ("skips", "drops")}
    return told | {"late_ticks": stage.late_ticks, "late_chunks": stage.late_chunks}


@contextlib.contextmanager
def hostile(place: Place, plan: Plan, attack: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """-> what it did, once that is over."""
    told: dict[str, Any] = {}
    if not attack:
        yield told
        return
    process = _wrk(place, attack, plan.seconds) if "wrk" in attack else _people(place, attack, plan)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, HOSTILE_NICE)
    try:
        yield told
        said, _ = process.communicate(timeout=60)
        told |= _told(said) if "wrk" in attack else json.loads(said)["hostile"]
    finally:
        process.kill()
        process.wait()


def _people(place: Place, attack: dict[str, Any], plan: Plan) -> subprocess.Popen[str]:
    return place.begin({"name": "hostile", "net": NET, "count": plan.hostile, **attack}, plan.seconds)


def _wrk(place: Place, attack: dict[str, Any], seconds: int) -> subprocess.Popen[str]:
    url = f"http://{HOUSE}:{place.doors['door']}{attack['wrk']}".format(show=place.doors["show"])
    more = ["-s", str(Path(__file__).with_name("post.lua"))] if attack.get("post") else []
    wrk = ["wrk", "-t1", "-c", str(WRK_CONNECTIONS), "-d", f"{seconds}s", *more, "-H", "Connection: close", url]
    shim = compiled("sources.c", "-shared", "-fPIC")
    environ = os.environ | {"LD_PRELOAD": str(shim), "SOURCES": f"10.67.0.1 {SOURCES}"}
    with (place.scratch / "wrk.log").open("wb") as log:
        process = subprocess.Popen(wrk, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)
    os.sched_setaffinity(process.pid, {CROWD_CORE})
    return process


def _told(said: str) -> dict[str, Any]:
    found = re.search(r"(\d+) requests in", said)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return {"answered": int(found[1]) if found else 0, "of_them_refused": int(bad[1]) if bad else 0}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="300 listeners, 20 newcomers a second, 300 connections")
    parser.add_argument("--server", choices=SERVERS, default=SERVERS[0])
    parser.add_argument("--only", choices=tuple(ATTACKS), action="append")
    arguments = parser.parse_args()
    if problem := netns.missing():
        print(problem, file=sys.stderr)
        return 2
    plan = QUICK if arguments.quick else FULL
    with alone():
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # `serve` says itself who goes first
        result: dict[str, Any] = {"machine": machine(), "server": arguments.server, **plan._asdict()}
        for name in arguments.only or ATTACKS:
            result[name] = play(arguments.server, name, plan)
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
