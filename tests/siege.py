"""Attacks on a running show, on real sockets between network namespaces: `python tests/siege.py [--only NAME]` -> JSON.

Each time a fresh installation with a show on air, honest people (listeners, newcomers, an office behind one address),
and one kind of attack among them; the rules of the kernel are real. Told is what the shield said and did, when, and
what became of everybody. Needs root. All traffic stays in namespaces of its own, and ends by itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from support import netns
from support.siege import House, Outcome, Part, house

FOR_S = 24.0
AFTER_S = 4.0  # in which people are alone
LISTENERS, NEWCOMERS_S, OFFICE_S = 300, 20, 4


def honest() -> list[Part]:
    return [
        {"name": "listeners", "kind": "listeners", "net": "10.66.0.0/18", "count": LISTENERS},
        {"name": "newcomers", "kind": "joins", "net": "10.66.64.0/18", "per_s": NEWCOMERS_S, "stay_s": 6},
        {"name": "office", "kind": "joins", "net": "10.66.128.0/24", "per_s": OFFICE_S, "behind": 1_000, "stay_s": 6},
    ]


def hostile(kind: str, net: str = "10.67.0.0/18", **fields: Any) -> list[Part]:
    return [{"name": "hostile", "kind": kind, "net": net, "after_s": AFTER_S, **fields}]


XFF = {"X-Forwarded-For": "*"}
SCENARIOS: dict[str, list[Part]] = {
    "crowd only": [
        {"name": "crowd", "kind": "joins", "net": "10.66.192.0/18", "per_s": 80, "stay_s": 6, "after_s": AFTER_S}
    ],
    "crowd behind shared addresses": [
        {
            "name": "crowd", "kind": "joins", "net": "10.66.192.0/18", "per_s": 80, "behind": 60, "stay_s": 6,
            "after_s": AFTER_S,
        }
    ],
    "flood of joins": hostile("join_flood", sources=40, per_s=400),
    "pulses of ten seconds": hostile("join_flood", sources=40, per_s=400, pulse_s=5),
    "flood of requests": hostile("join_flood", sources=40, per_s=600, method="GET", path="/s/x/now"),
    "slow requests": hostile("slow_headers", count=600),
    "slow reading": hostile("slow_read", count=400),
    "hoarding of connections": hostile("hoard", sources=200, count=1_000),
    "forged tickets": hostile("forged", tokens="forged", sources=40, per_s=100),
    "cut tickets": hostile("forged", tokens="cut", sources=40, per_s=100),
    "one ticket shared by many": hostile("forged", tokens="shared", per_s=60),
    "sessions begun and dropped": hostile("starts", sources=60, per_s=150),
    "hopping in a /48": hostile("join_flood", net="fd66:0:7::/48", per_s=200),
    "forwarded addresses made up": hostile("join_flood", sources=6, per_s=200, headers=XFF),
    "mimicry": hostile("mimicry", per_s=30, stay_s=8),
}  # fmt: skip


def play(name: str) -> dict[str, Any]:
    changes = {"bind": "::"} if "48" in name else {}
    with tempfile.TemporaryDirectory(prefix="stentor-siege-") as directory, house(Path(directory), **changes) as place:
        return told(place, place.rehearse([*honest(), *SCENARIOS[name]], FOR_S))


def told(place: House, outcome: Outcome) -> dict[str, Any]:
    targets = outcome.watch.targets()
    named = "hostile" in outcome.parts
    return {
        "verdicts": sorted(str(one) for one in outcome.watch.verdicts()),
        "detected_s": outcome.detected_s("hostile") if named else None,
        "shut_out_s": outcome.mitigated_s("hostile") if named else None,
        "words": outcome.summary()["words"],
        **of_honest(outcome.parts),
        "rules_against_honest": sum(target.startswith("10.66.") for target in targets),
        "rules": len(targets),
        "hostile": outcome.parts.get("hostile", {}),
        "drops_by": place.drops_by(),
    }


def of_honest(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What became of those people of `parts` who are not hostile."""
    people = [part for name, part in parts.items() if name != "hostile"]
    return {
        **{f"honest_{what}": sum(part.get(what, 0) for part in people) for what in ("came", "heard", "cut")},
        "honest_refusals": dict(sum((refusals(part) for part in people), Counter())),
        "worst_gap_ms": max(part["gap_ms_max"] for part in people),
        "worst_wait_ms": max(part["wait_ms_max"] for part in people),
    }


def refusals(part: dict[str, Any]) -> Counter[str]:
    return Counter({key: value for key, value in part.items() if key.startswith("refused")})


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="append", choices=tuple(SCENARIOS))
    chosen = parser.parse_args().only or list(SCENARIOS)
    if problem := netns.missing():
        print(problem, file=sys.stderr)
        return 2
    found = {}
    for name in chosen:
        found[name] = play(name)
        print(f"{name}: {found[name]}", file=sys.stderr)
    print(json.dumps(found, indent=1))
    return int(any(one["rules_against_honest"] for one in found.values()))


if __name__ == "__main__":
    sys.exit(main())
