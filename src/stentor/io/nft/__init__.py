"""The kernel drops whom the shield shuts out: a table of nftables of our own, by `nft -j -f -` (libnftables-json(5)).

Packets of sources in the sets are dropped in the raw hook, before connection tracking, and packets to the public ports
are not tracked at all: a flood would fill its table and lock everybody out. Sets are hash sets with a timeout for each
element, so what is not taken back runs out by itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from stentor.formats.ledger import nameless

TABLE = "stentor_shield"
FOUR, SIX = "shut4", "shut6"
SIZE = 32_768
NFT_S_MAX = 5.0
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
BATCH_MAX = 4_096  # elements in one transaction
BAD_MAX = 16  # elements that are looked for one by one in what the kernel does not take, until all of it is given up
LOOK_S = 2  # between two looks whether the table is still there, while somebody is shut out
RULES_IN = 3  # in the chain of what comes in
Target = str  # "10.0.0.7/32" or "2001:db8::/64"
log = structlog.get_logger()


class NftError(RuntimeError):
    """`nft` did not do it; the text is what it said."""


class Refused(NftError):
    """`nft` ran, and the transaction was not taken."""


def unavailable() -> str:
    """Why the kernel cannot be asked; empty if it can."""
    if os.geteuid() != 0:
        return "not permitted: nftables needs root (CAP_NET_ADMIN)"
    if shutil.which("nft", path=PATH) is None:
        return "nft is not installed (apt install nftables)"
    try:
        _run([{"list": {"tables": {"family": "inet"}}}])
    except NftError as error:
        return f"nft fails: {error}"
    return ""


def _run(commands: list[dict[str, Any]]) -> dict[str, Any]:
    said = _nft("-j", "-f", "-", text=json.dumps({"nftables": commands}))
    return dict(json.loads(said)) if said.strip() else {}


def _nft(*argv: str, text: str = "") -> str:
    try:
        done = subprocess.run(
            ["nft", *argv],
            input=text,
            capture_output=True,
            text=True,
            timeout=NFT_S_MAX,
            env={**os.environ, "PATH": PATH},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NftError(str(error)) from None
    if done.returncode:
        raise Refused(nameless((done.stderr or done.stdout).strip()[-300:]))  # it goes into logs
    return done.stdout


def _set(name: str, kind: str) -> dict[str, Any]:
    return {
        "add": {
            "set": {
                "family": "inet",
                "table": TABLE,
                "name": name,
                "type": kind,
                "flags": ["timeout"],
                "size": SIZE,
                "timeout": 900,
            }
        }
    }


def _rule(chain: str, *expr: dict[str, Any]) -> dict[str, Any]:
    return {"add": {"rule": {"family": "inet", "table": TABLE, "chain": chain, "expr": list(expr)}}}


def _match(left: dict[str, Any], right: Any) -> dict[str, Any]:
    return {"match": {"op": "==", "left": left, "right": right}}


def _field(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def table(ports: Iterable[int]) -> list[dict[str, Any]]:
    """The commands that make the table anew, with empty sets, for these public ports."""
    chain = {"family": "inet", "table": TABLE, "type": "filter", "prio": -300, "policy": "accept"}
    public = {"set": sorted(ports)}
    masked = {"&": [_field("ip6", "saddr"), "ffff:ffff:ffff:ffff::"]}
    drop = [{"counter": None}, {"drop": None}]
    return [
        {"add": {"table": {"family": "inet", "name": TABLE}}},
        {"delete": {"table": {"family": "inet", "name": TABLE}}},
        {"add": {"table": {"family": "inet", "name": TABLE}}},
        _set(FOUR, "ipv4_addr"),
        _set(SIX, "ipv6_addr"),
        {"add": {"chain": {**chain, "name": "in", "hook": "prerouting"}}},
        {"add": {"chain": {**chain, "name": "out", "hook": "output"}}},
        _rule("in", _match(_field("tcp", "dport"), public), _match(_field("ip", "saddr"), f"@{FOUR}"), *drop),
        _rule("in", _match(_field("tcp", "dport"), public), _match(masked, f"@{SIX}"), *drop),
        _rule("in", _match(_field("tcp", "dport"), public), {"notrack": None}),
        _rule("out", _match(_field("tcp", "sport"), public), {"notrack": None}),
    ]


def _set_of(target: Target) -> str:
    return SIX if ":" in target else FOUR


def _element(target: Target, timeout_s: int | None) -> tuple[str, Any]:
    name, address = _set_of(target), target.partition("/")[0]
    return name, address if timeout_s is None else {"elem": {"val": address, "timeout": max(1, timeout_s)}}


def elements(verb: str, targets: Mapping[Target, int | None]) -> list[dict[str, Any]]:
    """Commands that `add` targets for so many seconds, or `delete` them (None)."""
    by_set: dict[str, list[Any]] = {FOUR: [], SIX: []}
    for target, timeout_s in targets.items():
        name, element = _element(target, timeout_s)
        by_set[name].append(element)
    return [
        {verb: {"element": {"family": "inet", "table": TABLE, "name": name, "elem": found}}}
        for name, found in by_set.items()
        if found
    ]


def _counted(item: dict[str, Any]) -> int:
    """Packets, of an item of a listed chain."""
    expr = item.get("rule", {}).get("expr", ())
    return sum(int(part["counter"]["packets"]) for part in expr if "counter" in part)


class Kernel:
    """Carries out what is wanted on a thread of its own, so that nobody waits for `nft`; the newest wish counts."""

    def __init__(self, ports: Iterable[int]) -> None:
        self.problem = ""
        self.dropped = 0  # packets
        self._ports = tuple(ports)
        self._wanted: dict[Target, int] = {}  # until when, Unix seconds
        self._now_s = 0
        self._held: dict[Target, int] = {}
        self._bad: set[Target] = set()  # wanted, and not taken
        self._looked_s = 0
        self._counted = 0  # of those, by the table as it is
        self._made = False
        self._over = False
        self._wake = threading.Condition()
        self._fresh = False
        self._thread = threading.Thread(target=self._work, name="nft", daemon=True)
        self._thread.start()

    def want(self, targets: Mapping[Target, int], now_s: int) -> None:
        """These are to be dropped, each until that Unix second, and nobody else."""
        with self._wake:
            self._wanted, self._now_s, self._fresh = dict(targets), now_s, True
            self._wake.notify()

    def close(self) -> None:
        """Take the table away."""
        with self._wake:
            self._over = True
            self._wake.notify()
        self._thread.join(2 * NFT_S_MAX)

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._fresh or self._over)
                if self._over:
                    break
                wanted, now_s, self._fresh = self._wanted, self._now_s, False
            try:
                self.apply(wanted, now_s)
                problem = f"{len(self._bad)} of {len(wanted)} sources are not taken" if self._bad else ""
            except NftError as error:
                self._made, self._held = False, {}
                problem = str(error)
            if problem and problem != self.problem:
                log.error("the kernel takes not all rules", reason=problem)
            self.problem = problem
        if self._made:
            try:
                _run([{"delete": {"table": {"family": "inet", "name": TABLE}}}])
            except NftError as error:
                log.warning("the table of the shield is left behind", reason=str(error))

    def apply(self, wanted: Mapping[Target, int], now_s: int) -> None:
        """Make the sets hold these. A table that somebody has taken away is made anew. Raises `NftError`."""
        if not self._made:
            if not wanted:
                return
            self._make(now_s)
        self._bad &= wanted.keys()
        try:
            self._look(now_s)
            self._change(wanted, now_s)
        except NftError:
            self._make(now_s)
            self._fill(wanted, now_s)

    def _make(self, now_s: int) -> None:
        _run(table(self._ports))
        self._made, self._held, self._looked_s, self._counted = True, {}, now_s, 0

    def _look(self, now_s: int) -> None:
        """Raises `NftError` if somebody has taken the table away or emptied it: without a look now and then nobody
        would notice until the next source is shut out."""
        if not self._held or abs(now_s - self._looked_s) < LOOK_S:
            return
        found = _run([{"list": {"chain": {"family": "inet", "table": TABLE, "name": "in"}}}])
        if sum("rule" in item for item in found.get("nftables", ())) != RULES_IN:
            raise NftError("the rules of the table are gone")
        for name in (FOUR, SIX):
            self._look_into(name, now_s)
        self._looked_s = now_s
        dropped = sum(_counted(item) for item in found.get("nftables", ()))
        self.dropped, self._counted = self.dropped + dropped - self._counted, dropped

    def _look_into(self, name: str, now_s: int) -> None:
        """Whoever is shut out for longest is in the set, unless somebody has emptied it: one of thousands tells."""
        held = {target: until_s for target, until_s in self._held.items() if _set_of(target) == name}
        if held and held[last := max(held, key=held.__getitem__)] > now_s + LOOK_S:
            _nft("get", "element", "inet", TABLE, name, f"{{ {last.partition('/')[0]} }}")

    def _change(self, wanted: Mapping[Target, int], now_s: int) -> None:
        gone = {target: None for target, until_s in self._held.items() if target not in wanted and until_s > now_s + 1}
        new = [
            target
            for target, until_s in wanted.items()
            if until_s > now_s and until_s > self._held.get(target, 0) and target not in self._bad
        ]
        longer = {target: None for target in new if self._held.get(target, 0) > now_s + 1}
        for at in range(0, len(new), BATCH_MAX):
            part = {target: wanted[target] - now_s for target in new[at : at + BATCH_MAX]}
            again = {target: None for target in part if target in longer}
            _run([*elements("delete", again), *elements("add", part)])
        if gone:
            _run(elements("delete", gone))
        self._hold(wanted, now_s)

    def _hold(self, wanted: Mapping[Target, int], now_s: int) -> None:
        taken = ((target, until_s) for target, until_s in wanted.items() if target not in self._bad)
        self._held = {target: until_s for target, until_s in taken if until_s > now_s}

    def _fill(self, wanted: Mapping[Target, int], now_s: int) -> None:
        """Into empty sets. A transaction is all or nothing, so what is not taken is halved until the bad is alone."""
        left = {target: until_s - now_s for target, until_s in wanted.items() if until_s > now_s}
        targets = [target for target in left if target not in self._bad]
        parts = [targets[at : at + BATCH_MAX] for at in range(0, len(targets), BATCH_MAX)]
        while parts:
            part = parts.pop()
            try:
                _run(elements("add", {target: left[target] for target in part}))
            except Refused:
                if len(self._bad) >= BAD_MAX:
                    raise
                if len(part) == 1:
                    self._bad.update(part)
                else:
                    parts += part[: len(part) // 2], part[len(part) // 2 :]
        self._hold(wanted, now_s)
