"""The line at the door: places given, places known again, tickets for whoever's turn it is.

Nothing is kept of anybody: a place is a token, the usher says how far the line has come, and a door that is started
anew knows as much as before.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import structlog

from stentor.core import draw, eta
from stentor.core.gate import NO_RANK, GateKeeper
from stentor.core.waiting import About, Drawn
from stentor.formats.problem import Refused
from stentor.formats.ticket import Class, Refusal, Token
from stentor.formats.waiting import STANDS_WORDS, Ticket, Waits, Want
from stentor.io import places
from stentor.io.board import Board
from stentor.io.sequence import Sequence, SequenceError
from stentor.model import board
from stentor.model.budget import Budget
from stentor.nodes.door_tokens import Tokens
from stentor.nodes.intake import now_text
from stentor.nodes.values import get
from stentor.settings import Settings

RETRY_AFTER_S = 2
CLOSED_RETRY_S = 30
NUMBERS_SKIPPED_MAX = 64  # for one who comes: of a long range that is revoked, the next has the rest
PLACES_A_PAGE = 131_072  # of those drawn, in one answer: a MiB, which a slow reader has within the time it may take
PLACES_SENT_MAX = 128 * 1024 * 1024  # bytes of such answers in a while
_NO_TICKETS = Refused(503, "no-tickets", "No tickets at the moment", retry_after_s=RETRY_AFTER_S)
_NO_PLACES = Refused(
    503, "no-places", "No places at the moment", "a place could not be written down", retry_after_s=RETRY_AFTER_S
)
_TOO_MANY_ASK = Refused(503, "busy", "Many ask for this at the moment; come again", retry_after_s=RETRY_AFTER_S)
_CLOSED = Refused(503, "show-closed", "Nobody new is let in at the moment", retry_after_s=CLOSED_RETRY_S)
_WITHDRAWN = Refused(
    503, "withdrawn", "The crew has withdrawn what would be given here", retry_after_s=CLOSED_RETRY_S
)  # who got it would be turned away by the edge, and come again
_REFUSED = {
    Refusal.MALFORMED: "The address is cut, or has something added to it.",
    Refusal.FORGED: "It was not given here.",
    Refusal.WRONG_KIND: "It is a ticket, not a place.",
    Refusal.WRONG_GROUP: "It belongs to another group of edges.",
    Refusal.WRONG_SHOW: "It belongs to another show.",
    Refusal.EARLY: "It is of a time still to come: a clock is wrong.",
    Refusal.EXPIRED: "Its show is long over.",
    Refusal.REVOKED: "The crew has withdrawn it.",
}
log = structlog.get_logger()


@lru_cache(maxsize=32)
def _draw_key(secret: str, beacon: str) -> bytes:
    return draw.draw_key(bytes.fromhex(secret), beacon)


@lru_cache(maxsize=64)
def _fields(text: str) -> Any:
    return json.loads(text)


class Lines:
    """Who comes in to which show, for one worker. `shows` is followed, not copied."""

    def __init__(self, settings: Settings, values: Board, shows: Mapping[str, board.Show]) -> None:
        self.tickets = self.places = 0  # given since the start
        self.at_once = 0  # of the tickets: to whoever had not been called
        self.at_once_by: Counter[str] = Counter()  # the same by show
        self.line_at_ms = 0  # of the newest value
        self._values, self._shows = values, shows
        self._tokens = Tokens(settings, shows)
        self._numbers = Sequence(settings.keys_dir / "ticket.seq")
        self._shows_dir = settings.data_dir / "shows"
        self._log = places.Places(self._shows_dir)
        self._gates: dict[str, GateKeeper] = {}
        self._problem = ""
        self._sent = Budget(PLACES_SENT_MAX, settings.idle_timeout_s)  # so long an answer is kept for who reads slowly

    def look(self) -> None:
        """Follow the clock, and the usher."""
        self._tokens.look(int(time.time()))
        for gone in self._gates.keys() - self._shows.keys():
            del self._gates[gone]
        for gone in self.at_once_by.keys() - self._shows.keys():
            del self.at_once_by[gone]
        for show in self._shows:
            line = get(self._values, f"line-{show}", board.Line)
            if line is not None:
                age_s = time.time() - line.at_ms / 1000
                self._gates.setdefault(show, GateKeeper()).receive(line, age_s, time.monotonic())
                self.line_at_ms = max(self.line_at_ms, line.at_ms)

    def close(self) -> None:
        self._log.close()

    def join(self, show: str, text: str, want: Want) -> Ticket | Waits | Refused:
        """Let in whoever holds the place `text` ("": nobody yet), or tell their wait, or why neither. The same place
        gives the same number each time; a new one is given only to who has none."""
        token = self._open(show, text)
        if isinstance(token, Refused):
            return token
        gate, now_s = self._gate(show), int(time.time())
        rank = _rank(gate, token)
        placed_first = token is None and want is Want.PLACED and gate.line is not None
        if not placed_first and gate.enter(rank):
            given = self._let_in(show, token, want, now_s)
            if isinstance(given, Ticket) and not gate.is_called(rank):
                self.at_once += 1
                self.at_once_by[show] += show in self._shows
            return given
        if token is None and want in (Want.IN, Want.PLACED):
            placed = self._give(show, gate, now_s)
            if isinstance(placed, Refused):
                return placed
            token, text = placed
        return self._wait(show, gate, token, text)

    def told(self, show: str, text: str) -> Waits | Refused:
        """How it stands with a place, or for whoever has none."""
        token = self._open(show, text)
        return token if isinstance(token, Refused) else self._wait(show, self._gate(show), token, text)

    def about(self, show: str) -> About:
        fields = _fields(now_text(self._values, show) or "{}")
        known = self._shows.get(show)
        title, opens, starts = (known.title, known.opens_at_ms, known.starts_at_ms) if known else ("", 0, 0)
        return About(
            id=show,
            title=fields.get("title", title),
            phase=board.Phase(fields.get("phase", board.Phase.ANNOUNCED)),
            opens_at_ms=fields.get("opens_at_ms", opens),
            starts_at_ms=fields.get("starts_at_ms", starts),
            notice=fields.get("notice", ""),
            reason=fields.get("reason", ""),
            verdict=fields.get("verdict", {}).get("verdict", ""),
        )

    def draw(self, show: str) -> board.Line | None:
        line = self._gate(show).line
        return line if line is not None and line.commit else None

    def drawn(self, show: str, first: int) -> Drawn | Refused | None:
        """A page of what was drawn, sorted by number, from the place `first` (counted from 0) on; None before that, and
        where there is no draw. It stays in memory until whoever asked has it: when too many ask at once they are told
        to come again."""
        try:
            page, more = places.read_drawn(self._shows_dir, show, first, PLACES_A_PAGE)
        except OSError:
            return None
        if not self._sent.take(len(page), time.monotonic()):
            return _TOO_MANY_ASK
        return Drawn(page, first + PLACES_A_PAGE if more else 0)

    def _gate(self, show: str) -> GateKeeper:
        return self._gates.get(show) or GateKeeper()

    def _open(self, show: str, text: str) -> Token | Refused | None:
        if not text:
            return None
        found = self._tokens.open_place(text, show, int(time.time()))
        return _refused(found) if isinstance(found, Refusal) else found

    def _number(self, show: str) -> int | Refused:
        """One that is not revoked: the crew may have named numbers that nobody had yet."""
        try:
            for _ in range(NUMBERS_SKIPPED_MAX):
                number = self._numbers.next()
                if not self._tokens.is_withdrawn_number(show, number):
                    return number
            return _WITHDRAWN
        except (SequenceError, OSError) as error:
            self._report("no numbers for tickets", error)
            return _NO_TICKETS

    def _let_in(self, show: str, token: Token | None, want: Want, now_s: int) -> Ticket | Refused:
        cls, lasting = token.cls if token else Class.LATE, want is Want.KEPT
        if self._tokens.withdrawn(show, Class.RECONNECT if lasting else cls):
            return _WITHDRAWN
        seq = token.seq if token else self._number(show)
        if isinstance(seq, Refused):
            return seq
        given = self._tokens.lasting(show, seq, now_s) if lasting else self._tokens.ticket(show, seq, cls, now_s)
        if given is None:
            return _NO_TICKETS
        self.tickets += 1
        return given

    def _give(self, show: str, gate: GateKeeper, now_s: int) -> tuple[Token, str] | Refused:
        """A new place, once it is written down. Once ranks are known, nobody gets in front of those who were called."""
        assert gate.line is not None
        if gate.line.gate is board.Gate.CLOSED:
            return _CLOSED
        base_s, gathers = gate.line.base_s, gate.line.gate is board.Gate.GATHERING
        issued = now_s if gathers else max(now_s, draw.earliest(gate.line.mark, base_s))
        cls = Class.DRAWN if issued < base_s else Class.LATE
        if self._tokens.withdrawn(show, cls):
            return _WITHDRAWN
        seq = self._number(show)
        if isinstance(seq, Refused):
            return seq
        given = self._tokens.place(show, seq, cls, issued, now_s)
        if given is None:
            return _NO_TICKETS
        try:
            self._log.append(show, seq, issued)
        except OSError as error:
            self._report("a place cannot be written down", error)
            return _NO_PLACES
        self.places += 1
        return given

    def _report(self, what: str, error: Exception) -> None:
        if str(error) != self._problem:
            self._problem = str(error)
            log.error(what, reason=self._problem)

    def _wait(self, show: str, gate: GateKeeper, token: Token | None, text: str) -> Waits:
        line, now_s = gate.line or board.Line(0), time.monotonic()
        rank = _rank(gate, token)
        state = gate.gate(now_s)
        waits = Waits(
            place=text,
            seq=token.seq if token else 0,
            state=state,
            next_poll_ms=line.next_poll_ms,
            rank=rank if rank < NO_RANK else None,
            reason=line.reason,
            draws_at_ms=line.base_s * 1000 if state is board.Gate.GATHERING else 0,
            late=token is not None and token.issued >= line.base_s,  # of the draw as it is: a show may begin early
            turn=gate.may_enter(rank),
        )
        if state is not board.Gate.QUEUE or (token and waits.rank is None):
            return waits
        ahead = line.waiting if waits.rank is None else eta.ahead(line.table, line.mark, rank)
        if not gate.is_fresh(now_s):
            return waits._replace(ahead=ahead, reason=STANDS_WORDS)
        pace = eta.Pace(line.rate_mps, line.seen, line.free, line.soon, line.calls_mps, line.next_poll_ms)
        left_s, assumed = self._left_s(show)
        chance = eta.chance(ahead, pace, left_s)
        return waits._replace(ahead=ahead, eta_s=eta.range_s(ahead, pace), chance=chance, assumed=assumed)

    def _left_s(self, show: str) -> tuple[float, bool]:
        """To the end of the show, and whether that is only assumed."""
        known = self._shows.get(show)
        ends_at_ms, assumed = eta.ends_at_ms(known.starts_at_ms, known.ends_at_ms) if known else (0, False)
        return ends_at_ms / 1000 - time.time(), assumed


def _rank(gate: GateKeeper, token: Token | None) -> int:
    line = gate.line
    if token is None or line is None or not line.key:
        return NO_RANK
    return draw.rank(_draw_key(line.key, line.beacon), token.seq, token.issued, line.base_s)


def _refused(why: Refusal) -> Refused:
    return Refused(403, why.value.replace("ticket-", "place-", 1), "This is no place in this line", _REFUSED[why])
