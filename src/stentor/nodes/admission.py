"""Who is let in at an edge, and until when: keys, what the crew has revoked, one live session a ticket."""

from __future__ import annotations

import os
import struct
import time
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import structlog

from stentor.core import keys
from stentor.core.revocation import Revocation
from stentor.core.visitors import Visitors
from stentor.formats.ticket import Token
from stentor.io.board import Board
from stentor.io.net.loop import Loop
from stentor.io.net.mounts import Mounts
from stentor.io.sessions import SEEN, Sessions, SessionsError
from stentor.io.wake import TAKEN, Caller
from stentor.model import board
from stentor.nodes.keyring import Keyring
from stentor.nodes.values import get
from stentor.settings import Settings

SWEEP_S = 1.0  # between two looks for tickets that play elsewhere by now: behind the datagram that says so
ENDS_A_TURN = 256  # sessions ended at once, before the next chunk gets its turn
EAR = "edge"  # what edges are called in the wake directory
_TAKEN = struct.Struct(f">{len(TAKEN)}sI")
log = structlog.get_logger()


class Admission:
    """Of one worker, whose listeners are in `mounts`."""

    def __init__(self, settings: Settings, values: Board, mounts: Mounts, loop: Loop) -> None:
        self.arrivals = self.renewed = 0
        self.refusals: Counter[str] = Counter()  # by code, of which there are few
        self.keyring = Keyring(settings)
        self._board = values
        self._mounts = mounts
        self._loop = loop
        self._sessions = _sessions(settings.run_dir / "sessions")
        self.visitors = Visitors()
        self._visits = _sessions(settings.run_dir / "visits")  # at which worker each was seen last, to count it once
        self._pid = os.getpid()
        self._caller = Caller(settings.wake_dir)
        self._show = ""
        self._lasting_key: keys.Key | None = None
        self._revoked = board.Revoked()
        self._revocation = Revocation(self._revoked)
        self._ending: deque[int] = deque()
        loop.every(SWEEP_S, self.sweep)

    def look(self, show: str) -> None:
        """Follow the clock, the show that is on, and what the crew has revoked of it. Without a word from the desk,
        what it said last."""
        desk = get(self._board, "desk", board.Desk)
        found = next((one.revoked for one in desk.shows if one.id == show), None) if desk is not None else None
        if found is None:
            found = self._revoked if show == self._show else board.Revoked()
        self.keyring.look(int(time.time()), (show,) if show else ())
        if show != self._show:
            self.visitors.clear()
        self._show = show
        if found != self._revoked:
            self._revoked, self._revocation = found, Revocation(found)
            self._end_revoked()
        self.keyring.follow(show, self._revocation.keys)
        self._lasting_key = self.keyring.lasting(show, self._revocation.keys) if show else None

    def revoked(self, token: Token) -> bool:
        return self._revocation.covers(token)

    def plays(self, seq: int) -> bool:
        """Whether somebody listens here by that ticket, who would make room for whoever comes with it."""
        return self._mounts.roster.get(seq) is not None

    def begin(self, token: Token) -> None:
        """A session begins. Wherever this ticket plays on this machine it ends: here as soon as this one joins."""
        try:
            before = self._sessions.take(token.seq) if self._sessions else 0
        except OSError as error:
            before = 0
            log.error("no memory for the table of sessions", reason=str(error))
        if not before:
            self.arrivals += 1
            return
        self.renewed += 1
        self._leave_hls(token.seq)
        if before not in (SEEN, self._pid):
            self._caller.tell(EAR, before, _TAKEN.pack(TAKEN, token.seq))

    def visit(self, token: Token) -> None:
        """Somebody was here who will have no session: HLS, which asks anew for each piece."""
        try:
            self.arrivals += bool(self._sessions and self._sessions.see(token.seq))
        except OSError as error:
            log.error("no memory for the table of sessions", reason=str(error))
        if not self.plays(token.seq):
            self.visitors.visit(token, time.monotonic())
            self._take_visit(token.seq)

    def beacon(self, token: Token) -> None:
        """Somebody still plays HLS; where the same ticket listens here as well, it has its seat by that."""
        if not self.plays(token.seq):
            self.visitors.beacon(token, time.monotonic())
            self._take_visit(token.seq)

    def _leave_hls(self, seq: int) -> None:
        """Whoever listens otherwise from now on is counted there, at whichever worker they were."""
        self.visitors.leave(seq)
        self._take_visit(seq)

    def _take_visit(self, seq: int) -> None:
        try:
            if self._visits:
                self._visits.take(seq)
        except OSError as error:
            log.error("no memory for the table of visits", reason=str(error))

    def lasting(self, token: Token, now: int) -> str:
        """The ticket by which its holder may come back, for as long as the show's key counts; empty: none."""
        key = self._lasting_key
        return keys.lasting(key, token.show, token.seq, now) if key is not None else ""

    def heard(self, what: Iterable[bytes]) -> None:
        """Datagrams: of these, those that say that a ticket plays elsewhere. They may be old."""
        seqs = [_TAKEN.unpack(one)[1] for one in what if len(one) == _TAKEN.size and one.startswith(TAKEN)]
        for seq in seqs:
            if self._sessions and self._sessions.elsewhere(np.array([seq]))[0]:
                self._mounts.replace(seq)

    def sweep(self) -> None:
        """End the sessions whose ticket plays elsewhere by now."""
        if self._sessions and len(self._mounts.roster):
            seqs, _, _ = self._mounts.roster.rows()
            for seq in seqs[self._sessions.elsewhere(seqs)].tolist():
                self._mounts.replace(seq)
        self._sweep_visitors()

    def _sweep_visitors(self) -> None:
        """Of those who were seen at another worker last, that one counts."""
        seqs = self.visitors.seqs()
        if self._visits and len(seqs):
            for seq in seqs[self._visits.elsewhere(seqs)].tolist():
                self.visitors.leave(seq)

    def _end_revoked(self) -> None:
        if self._revocation:
            seqs, key_ids, classes = self._mounts.roster.rows()
            self._ending.extend(seqs[self._revocation.among(seqs, key_ids, classes)].tolist())
            self._end_some()
            seqs, key_ids, classes = self.visitors.rows()
            for seq in seqs[self._revocation.among(seqs, key_ids, classes)].tolist():
                self.visitors.leave(seq)

    def _end_some(self) -> None:
        for _ in range(min(ENDS_A_TURN, len(self._ending))):
            self._mounts.end(self._ending.popleft())
        if self._ending:
            self._loop.call_soon(self._end_some)

    def close(self) -> None:
        self._caller.close()
        for table in (self._sessions, self._visits):
            if table:
                table.close()


def _sessions(path: Path) -> Sessions | None:
    """None: it cannot be had, and tickets are unique in each worker alone."""
    try:
        return Sessions(path)
    except (OSError, SessionsError) as error:
        log.error("no table of sessions", reason=str(error))
        return None
