"""The edge: chunks from the ring to listeners. It needs nobody else alive: what is missing is hold."""

from __future__ import annotations

import hmac
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from stentor.core import mount, shed
from stentor.core.fanout import Patience, burst_chunks, first_n
from stentor.core.outlet import Outlet
from stentor.core.playlist import RENDITIONS as HLS
from stentor.formats import chunks
from stentor.formats.evidence import EDGE, key_of
from stentor.formats.problem import refusal
from stentor.formats.ticket import Token, pull_token
from stentor.io.board import Board
from stentor.io.keys import stable_key
from stentor.io.net.http import encode
from stentor.io.net.loop import READABLE, Loop
from stentor.io.net.mounts import Mounts, Start
from stentor.io.net.server import Answer, Handover
from stentor.io.net.sockets import raise_descriptor_limit
from stentor.io.wake import BOARD, Ear
from stentor.model import board
from stentor.model.http import Request, Response
from stentor.model.rendition import AAC_LOW, OPUS, RENDITIONS
from stentor.nodes.admission import EAR, Admission
from stentor.nodes.edge_ladder import EdgeLadder
from stentor.nodes.guard import Guard
from stentor.nodes.intake import Nows, run
from stentor.nodes.program import Program
from stentor.nodes.pull import Pull, index
from stentor.nodes.shell import MEDIA, Shell
from stentor.nodes.values import put
from stentor.nodes.witness import Telling
from stentor.settings import Settings

LOOK_S = 0.5  # between two looks at the board
PUBLISH_S = 1.0
PATIENCE_S, INTERVAL_S = 1.0, 5.0  # tickets admit, so a burst of joins is let wait; a queue that stands is not
DESCRIPTORS_SPARE = 64  # for all that is no connection: ring, board, epoll, log
_HEADERS = {rendition.id: chunks.header(rendition) for rendition in RENDITIONS}
_INDEX, _LOW_INDEX = HLS, (AAC_LOW, OPUS)  # of HLS: Opus for those who have no AAC
_PLAYED = ("requests", "polite")
_STRANGE = mount.No("pull-token", refusal(403, "pull-token", "This address is not of the show that is on"))
log = structlog.get_logger()


def main(settings: Settings, worker: int = 0) -> int:
    """Serve until SIGTERM; -> exit code."""
    name, port = f"edge-{worker}", settings.edge_port
    make_queue = partial(shed.StandingQueue, PATIENCE_S, INTERVAL_S)
    return run(name, settings, port, settings.sndbuf_bytes, lambda loop: Edge(settings, worker, loop), make_queue)


class Edge:
    """One worker: its listeners, and what it tells of them."""

    def __init__(self, settings: Settings, worker: int, loop: Loop) -> None:
        self._settings = settings
        self._worker = worker
        self._key_on_board = f"edge-{worker}"
        self._board = Board(settings.board_dir)
        self._rng = random.Random()
        self._newest_prelude: tuple[object, bytes, bytes] = (None, b"", b"")
        self._pull_key = stable_key(settings.keys_dir)
        self._listeners_max = _listeners_max(settings)
        self.telling = Telling(settings, EDGE, worker, loop)
        self.guard = Guard(settings, self._board, loop, self.telling.attendance)
        patience = Patience(settings.lag_skip_s, settings.lag_drop_s)
        self.mounts = Mounts(loop, patience, settings.sndbuf_bytes, self.telling.attendance)
        self.program = Program(self._board, self.mounts, settings.edge_grace_ms)
        self.admission = Admission(settings, self._board, self.mounts, loop)
        self.ladder = EdgeLadder(self._board, self.program, self.mounts)
        self.pull = Pull(lambda: self.program.feeds, lambda: self.ladder.plain)
        self._nows = Nows(self._board, loop)
        self._view = self._make_view(self._nows)
        self._shell: Shell | None = None
        self._ear = Ear(settings.wake_dir, EAR)
        self.look()
        loop.watch(self._ear.fileno(), READABLE, self._woken)
        loop.tick_first(self._tick)
        loop.every(LOOK_S, self.look)
        loop.every(PUBLISH_S, self.publish)
        self.publish()  # whoever waits for this worker to be up looks there

    def look(self) -> None:
        """Follow the stage and the crew."""
        self.program.look()
        self.ladder.look()
        self.admission.look(self.program.show)
        if self._shell is not None:
            self._shell.look()

    def _tick(self) -> float:
        wake_s = self.mounts.tick()
        return 0.0 if self.pull.tick() else wake_s

    def _make_view(self, nows: Nows) -> mount.View:
        return mount.View(
            show_tag=lambda: self.program.show_tag,
            full=lambda seq: not self.spare() and not self.admission.plays(seq),
            keys=self.admission.keyring.by_id,
            group=self.admission.keyring.group,
            revoked=self.admission.revoked,
            now_text=nows.text,
        )

    def _woken(self, fd: int, mask: int) -> None:
        """The ring is looked at in every turn anyway."""
        heard = self._ear.drain()
        if BOARD in heard:
            self.look()
        self.admission.heard(heard)

    def answer(self, request: Request) -> Answer:
        now, source = int(time.time()), self.telling.source(request)
        if source != request.source and not self.guard.admits(source):
            return shed.SHUT_OUT
        decided = mount.answer(request, self._view, now) if request.path.startswith(MEDIA) else None
        if isinstance(decided, mount.Pull):
            return self._pull(decided, request, source)
        self.telling.count(source, "requests")
        if decided is None:
            return self._of_door(request)
        if isinstance(decided, mount.No):
            if decided.code in mount.FORGERIES:
                self.telling.count(source, "forged")
            return self._refuse(decided)
        if isinstance(decided, mount.Index):
            return self._index(decided, request.method == "GET", now)
        if isinstance(decided, mount.Beacon):
            self.telling.count(source, "polite")
            return self._beacon(decided.token, request.method == "GET", now)
        if isinstance(decided, Response):
            return decided
        return self._listen(decided, request.method == "HEAD", now, source)

    def _of_door(self, request: Request) -> Response:
        """Pages, while no door answers."""
        if self._shell is None:
            self._shell = Shell(self._settings, self._board, self._nows.text)
            self._shell.look()
        return self._shell.answer(request)

    def _refuse(self, no: mount.No) -> Response:
        self.admission.refusals[no.code] += 1
        return no.response

    def _beacon(self, token: Token, counts: bool, now: int) -> Response:
        if counts:
            self.admission.beacon(token)
        return mount.heard_beacon(self.admission.lasting(token, now))

    def _index(self, asked: mount.Index, counts: bool, now: int) -> Response:
        """HLS takes no session: who plays it comes again and again, from wherever."""
        if counts:
            self.admission.visit(asked.token)
        return index(
            f"/live/{self._pull_token()}",
            self.admission.lasting(asked.token, now),
            _LOW_INDEX if self.ladder.low else _INDEX,
        )

    def put_off(self, request: Request) -> Response | None:
        """Strangers, so that whoever was dropped from here comes back before them."""
        if not mount.is_put_off(request.path):
            return None
        self.telling.count_all(self.telling.source(request), ("requests", "held"))
        return self._refuse(mount.No("busy", shed.busy(self._rng, request.path)))

    def _pull_token(self) -> str:
        return pull_token(self.program.show, self._pull_key)

    def _pull(self, asked: mount.Pull, request: Request, source: str) -> Answer:
        if not self.program.show or not hmac.compare_digest(asked.token, self._pull_token()):
            self.telling.count(source, "requests")
            return self._refuse(_STRANGE)
        self.telling.count_all(source, _PLAYED)
        return self.pull.answer(asked.rendition, asked.name, request.query)

    def _listen(self, listen: mount.Listen, head_only: bool, now: int, source: str) -> Answer:
        given = self.ladder.given(listen.rendition)
        if given is not listen.rendition:
            listen = listen._replace(rendition=given)
        rendition_id, feed = given.id, self.program.outlets[given.id]
        burst = burst_chunks(listen.burst, listen.rendition, feed.grid, self._settings.burst_s, feed.group)
        n = first_n(listen.from_n, burst, feed.n, feed.oldest)
        if listen.probe:
            return mount.probe(listen, _HEADERS[rendition_id] or feed.chunk(feed.n))
        if head_only:
            return mount.head(listen, feed.grid, n, feed.n, time.monotonic_ns(), self.program.title, feed.group)
        head, rest = self._prelude(listen, feed, n, time.monotonic_ns())
        start = Start(head + self._own_header(listen, now) + rest, n, listen.icy)
        self.admission.begin(listen.token)
        self.telling.count(source, "starts")
        token, key = listen.token, key_of(source)
        return Handover(lambda sock, unsent: self.mounts.join(sock, rendition_id, start.after(unsent), token, key))

    def _own_header(self, listen: mount.Listen, now: int) -> bytes:
        ticket = self.admission.lasting(listen.token, now)
        return f"{mount.TICKET_HEADER}: {ticket}\r\n".encode() if ticket else b""

    def _prelude(self, listen: mount.Listen, feed: Outlet, n: int, now_ns: int) -> tuple[bytes, bytes]:
        """What comes before the first chunk, with a gap for a listener's own header. In a crowd many begin in the same
        millisecond, and get the same."""
        rendition_id, title = listen.rendition.id, self.program.title
        words = self.ladder.words if listen.rendition.framed else b""
        key = (rendition_id, listen.icy, n, feed.n, title, feed.group, words, now_ns // 1_000_000)
        if self._newest_prelude[0] != key:
            head = encode(mount.head(listen, feed.grid, n, feed.n, now_ns, title, feed.group))
            self._newest_prelude = key, head[:-2], head[-2:] + _HEADERS[rendition_id] + words
        return self._newest_prelude[1:]

    def spare(self) -> int:
        """Places of listeners who are not here. Whoever comes over a long way holds one from the handshake on."""
        return max(0, self._listeners_max - len(self.mounts))

    def admits(self, source: str) -> bool:
        return self.guard.admits(source)

    def misses(self, source: str) -> None:
        self.telling.count(source, "unfinished")

    def is_out(self) -> Callable[[str], bool] | None:
        return self.guard.is_out()

    def retire(self) -> None:
        """Its counters go on under a name of their own, for as long as it serves anybody."""
        self._key_on_board = f"edge-{self._worker}.{os.getpid()}"

    def busy(self) -> bool:
        return bool(len(self.mounts)) or self.mounts.leaving

    def publish(self) -> None:
        """Put this worker's counters on the board."""
        counters, visitors = self.mounts.counters, self.admission.visitors.count(time.monotonic())
        value = board.Edge(
            at_ms=time.time_ns() // 1_000_000,
            pid=os.getpid(),
            listeners=len(self.mounts),
            by_rendition=self.mounts.by_rendition(),
            joins=counters.joins,
            refused=self.admission.refusals.total(),
            skips=counters.skips,
            drops=counters.drops,
            chunks=counters.chunks,
            holds_made=self.program.holds_made,
            bytes_sent=counters.bytes_sent,
            worst_late_ms=counters.worst_late_ms,
            pulls=self.pull.answered,
            pulls_refused=self.pull.refused,
            pulls_waiting=self.pull.waiting,
            arrivals=self.admission.arrivals,
            renewed=self.admission.renewed,
            replaced=counters.replaced,
            refusals=dict(self.admission.refusals),
            hls_signed=visitors.signed,
            hls_estimated=visitors.estimated,
            blocked=self.guard.blocked,
            evidence_lost=self.telling.lost,
        )
        put(self._board, self._key_on_board, value)
        self._forget_the_dead()

    def _forget_the_dead(self) -> None:
        """Who retires takes its key off the board, unless it was killed."""
        for key in self._board.keys(f"edge-{self._worker}."):
            if not Path(f"/proc/{key.rpartition('.')[2]}").exists():
                self._board.drop(key)

    def close(self) -> None:
        if self._key_on_board != f"edge-{self._worker}":
            self._board.drop(self._key_on_board)
        self.mounts.close()
        self.admission.close()
        self._ear.close()
        self.telling.close()
        if self._shell is not None:
            self._shell.close()


def _listeners_max(settings: Settings) -> int:
    """What the settings say, or less where this process may not have so many descriptors."""
    possible = raise_descriptor_limit() - settings.requests_max - DESCRIPTORS_SPARE
    if possible < settings.listeners_max:
        log.warning("fewer listeners than set: too few descriptors", listeners_max=possible)
    return min(possible, settings.listeners_max)
