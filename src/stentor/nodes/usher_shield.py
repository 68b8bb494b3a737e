"""The usher's shield: evidence in, a verdict and rules out. On a thread of its own, for hold waits for nobody."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_network

import structlog

from stentor.core.evidence import Evidence
from stentor.core.gathered import Gathered
from stentor.core.pressure import Pressure
from stentor.core.proxies import networks
from stentor.core.rules import BUSY_SHARE, LIMIT_MS, Change, Decision, Load, Rulebook, Wishes
from stentor.core.verdict import Judge
from stentor.formats import blocked
from stentor.formats.blocked import DROP, FAVOUR, LIMIT, Block
from stentor.formats.evidence import BadEvidence, decode, key_of_target, target
from stentor.io import nft
from stentor.io.board import Board
from stentor.io.post import Receiver
from stentor.model import board
from stentor.model.suspicion import Judgement
from stentor.nodes.guard import read_blocks, rules_path
from stentor.nodes.values import get, get_all
from stentor.settings import Settings

TICK_S = 0.25
AGAIN_S = 1.0  # after what could not be helped
TOLD_RULES_MAX = 400  # on the board, which bounds its values; workers have all of them
STALE_MS = 5_000
SHEDDING_MS = 3_000  # doors tell once a second
FAVOUR_MS = 10_000  # so long at least somebody is favoured
log = structlog.get_logger()
LOOPBACK = "127.0.0.0/8, ::1/128"
ERROR = (  # docs/SHIELD.md, "How often it errs"
    "wrong in 0 of 500 rehearsed crowds, and blind in 20 of 220 rehearsed attacks:"
    " the 20 in which machines play the whole protocol pass as people"
)


class UsherShield:
    """`start` and `stop` once each. `hear` is told what becomes of rules, on the shield's own thread."""

    def __init__(self, settings: Settings, values: Board, hear: Callable[[Sequence[Change]], None]) -> None:
        self._settings, self._board, self._hear = settings, values, hear
        self._evidence, self._judge, self._book = Evidence(), Judge(), Rulebook()
        self._gathered, self._pressure = Gathered(), Pressure()
        self._shed: int | None = None
        self._shed_ms = 0
        self._kernel_problem, self._kernel = self._make_kernel()
        self._own = (*networks(LOOPBACK), *networks(settings.trusted_proxies))
        self._revision = 0
        self._told: tuple[board.Rule, ...] | None = None
        self._written: dict[bytes, Block] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shield", daemon=True)

    def _make_kernel(self) -> tuple[str, nft.Kernel | None]:
        settings = self._settings
        if settings.shield_kernel == "off":
            return "shield_kernel is off", None
        if settings.proxy_protocol or any(not one.is_loopback for one in networks(settings.trusted_proxies)):
            return "behind a proxy on another machine the kernel sees only the proxy", None
        problem = nft.unavailable()
        return problem, None if problem else nft.Kernel((settings.door_port, settings.edge_port))

    def start(self) -> None:
        before = get(self._board, "rules", board.Rules)
        if before is not None:
            self._revision = before.revision
        self._book.restore(self._left(before.rules if before else ()), _now_ms())
        self._thread.start()

    def _left(self, told: Sequence[board.Rule]) -> list[board.Rule]:
        """What the usher before this one enforced: workers' file has all of it, the board what it is in words."""
        now_ms, by_key = _now_ms(), {key_of_target(rule.target): rule for rule in told}
        number = max((int(rule.id[1:]) for rule in told), default=0)
        found = []
        for key, block in read_blocks(self._settings).items():
            if block.action == FAVOUR or self._is_ours(target(key)):
                continue
            number += 1
            drops = block.action == DROP
            enforced_ms = now_ms - LIMIT_MS if drops else now_ms
            plain = board.Rule(
                f"r{number}", "drop" if drops else "limit", target(key), now_ms, block.until_ms, enforced_ms
            )
            found.append(by_key.get(key, plain))
        return found

    def stop(self) -> None:
        self._over.set()
        self._thread.join(5)
        if self._kernel is not None:
            self._kernel.close()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._hear_and_judge()
            except OSError as error:
                log.error("no evidence can be received", error=str(error))
                self._over.wait(AGAIN_S)

    def _hear_and_judge(self) -> None:
        with contextlib.closing(Receiver(self._settings.shield_socket)) as receiver:
            due_s = time.monotonic()
            while not self._over.is_set():
                for data in receiver.receive(due_s - time.monotonic()):
                    self._take(data)
                if time.monotonic() >= due_s:
                    due_s = time.monotonic() + TICK_S
                    self._try_tick()

    def _take(self, data: bytes) -> None:
        try:
            batch = decode(data)
            self._evidence.receive(batch, _mono_ms())
            self._gathered.receive(batch)
        except BadEvidence as error:
            log.warning("not evidence", reason=str(error))

    def _try_tick(self) -> None:
        try:
            self.tick()
        except (OSError, ValueError) as error:
            log.error("the shield could not judge", error=str(error))

    def tick(self) -> None:
        """Judge, decide, tell, and have it carried out."""
        edges, doors = (get_all(self._board, "edge-", board.Edge), get_all(self._board, "door-", board.Door))
        load = self._load(doors, edges)
        judged = self._judged(edges, overloaded=load.busy >= BUSY_SHARE or self._is_shedding(doors))
        decision = self._book.receive(judged, _now_ms(), load=load, wishes=self._wishes())
        self._enforce(decision, judged.favoured if decision.share else frozenset())
        self._tell(judged, decision)
        self._hear(decision.changes)

    def _judged(self, edges: Mapping[str, board.Edge], *, overloaded: bool) -> Judgement:
        self._gathered.tick(_mono_ms())
        picture = self._evidence.tick(_mono_ms())
        judged = self._judge.receive(picture, edges_up=_are_up(edges), overloaded=overloaded)
        return self._without_proxies(judged)._replace(gathered=self._gathered.places)

    def _without_proxies(self, judged: Judgement) -> Judgement:
        """No rule is made against this machine or a listed proxy: all who come by it would be shut out."""
        suspects = tuple(one for one in judged.suspects if not self._is_ours(target(one.key)))
        return judged._replace(suspects=suspects)

    def _is_ours(self, name: str) -> bool:
        source = ip_network(name)
        return any(source.version == own.version and source.overlaps(own) for own in self._own)

    def _load(self, doors: Mapping[str, board.Door], edges: Mapping[str, board.Edge]) -> Load:
        busy = max((door.cpu for door in doors.values() if _now_ms() - door.at_ms < STALE_MS), default=0.0)
        dropped = self._kernel.dropped if self._kernel is not None else 0
        blocked = sum(one.blocked for one in (*doors.values(), *edges.values()))
        self._pressure.receive(dropped + blocked, _now_ms())
        return Load(busy, self._pressure.last_ms)

    def _is_shedding(self, doors: Mapping[str, board.Door]) -> bool:
        """Whether somebody was put off in the last seconds."""
        shed = sum(door.shed for door in doors.values())
        if self._shed is not None and shed > self._shed:
            self._shed_ms = _mono_ms()
        self._shed = shed
        return bool(self._shed_ms) and _mono_ms() - self._shed_ms < SHEDDING_MS

    def _wishes(self) -> Wishes:
        """What the crews want, of shows that are not over: nobody could take it back of one that is."""
        desk = get(self._board, "desk", board.Desk) or board.Desk()
        shows = [show for show in desk.shows if show.wish != "cancel" and not self._is_over(show.id)]
        return Wishes(
            dry_run=any(show.dry_run for show in shows),
            siege=any(show.siege for show in shows),
            released=tuple(target for show in shows for target in show.released),
        )

    def _is_over(self, show: str) -> bool:
        return get(self._board, f"ended-{show}", board.Stage) is not None

    def _enforce(self, decision: Decision, favoured: frozenset[bytes]) -> None:
        """Workers read a file; the kernel has only those who are shut out."""
        until_ms = (_now_ms() // FAVOUR_MS + 2) * FAVOUR_MS
        blocks = dict.fromkeys(favoured, Block(FAVOUR, until_ms)) | {
            key_of_target(rule.target): Block(DROP if rule.action == "drop" else LIMIT, rule.until_ms)
            for rule in decision.enforced
        }
        if blocks != self._written:
            path = rules_path(self._settings)
            scratch = path.with_name(f".{path.name}.{os.getpid()}")
            scratch.write_bytes(blocked.encode(_now_ms(), blocks))
            scratch.rename(path)
            self._written = blocks
        if self._kernel is not None:
            dropped = {rule.target: rule.until_ms // 1000 for rule in decision.enforced if rule.action == "drop"}
            self._kernel.want(dropped, _now_ms() // 1000)

    def _tell(self, judged: Judgement, decision: Decision) -> None:
        now_ms, wishes = _now_ms(), self._wishes()
        shield = board.Shield(
            now_ms,
            verdict=judged.verdict,
            since_ms=now_ms - (judged.at_ms - judged.since_ms),
            level=decision.level,
            signals=judged.signals,
            sources=judged.sources,
            joins=judged.joins,
            completed=judged.completed,
            rules=len(decision.enforced),
            drops_by=self._drops_by(),
            dry_run=wishes.dry_run,
            siege=wishes.siege,
            error=ERROR,
            challenge=bool(decision.share and self._settings.challenge_hashes),
            share=decision.share,
            void=decision.void,
        )
        self._board.put("shield", shield)
        rules = tuple(sorted(decision.rules, key=lambda rule: (not rule.enforced_ms, -rule.hits)))[:TOLD_RULES_MAX]
        if rules != self._told:
            self._told, self._revision = rules, self._revision + 1
            self._board.put("rules", board.Rules(now_ms, self._revision, rules))

    def _drops_by(self) -> str:
        if self._kernel is None:
            return f"workers: {self._kernel_problem}"
        return f"workers: {self._kernel.problem}" if self._kernel.problem else "kernel"


def _are_up(edges: Mapping[str, board.Edge]) -> bool:
    """Whether somebody could listen at the moment."""
    return any(_now_ms() - edge.at_ms < STALE_MS for edge in edges.values())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000
