"""What the crew wants of the door: open or closed, how much quality is given up, by which beacon the draw is made, and
which tickets are void. As in `core.desk`, an order that changes nothing returns the very same show.
"""

from __future__ import annotations

from msgspec.structs import replace

from stentor.formats.crew import RevokeOrder
from stentor.formats.refusal import Reason, Refusal, clean_line, same_or
from stentor.formats.seqs import merged
from stentor.formats.ticket import Class
from stentor.model.board import Revoked, Show

RUNG_AUTO = -1
RUNG_MAX = 4
BEACON_CHARS_MAX = 200
KEY_ID_MAX = 255  # a byte of the ticket
SEQ_MAX = 2**32 - 1  # four bytes of the ticket
REVOKED_KEYS_MAX = 64
REVOKED_RANGES_MAX = 128  # after those that touch have become one; every worker holds them against every join


def set_closed(show: Show, closed: bool) -> Show:
    """Let nobody new in, or let them in again. Places in line are kept, listeners go on."""
    return same_or(show, replace(show, closed=closed))


def set_rung(show: Show, rung: int) -> Show | Refusal:
    """The least that is given up (core/ladder.py), whatever is measured; `RUNG_AUTO`: by measure alone."""
    if not RUNG_AUTO <= rung <= RUNG_MAX:
        return Refusal(
            Reason.INPUT, f"rung: from 0 (full quality) to {RUNG_MAX} (the low bitrate for everybody); -1: by measure."
        )
    return same_or(show, replace(show, rung=rung))


def set_beacon(show: Show, value: str, *, drawn: bool) -> Show | Refusal:
    """What the named beacon turned out to be. Given once, and before the draw is made (`drawn`): nobody may choose."""
    clean = clean_line("value", value, BEACON_CHARS_MAX)
    if isinstance(clean, Refusal):
        return clean
    if clean == show.beacon:
        return show
    refusal = _beacon_refused(show, drawn=drawn)
    return Refusal(Reason.BEACON_REFUSED, refusal) if refusal else replace(show, beacon=clean)


def _beacon_refused(show: Show, *, drawn: bool) -> str:
    if not show.beacon_name:
        return "No beacon was announced with this show; one that is named afterwards proves nothing."
    if show.beacon:
        return "The value was given already and cannot be changed."
    return "The draw has been made." if drawn else ""


def set_revoked(show: Show, order: RevokeOrder) -> Show | Refusal:
    """Void what `order` names, beside what is void already; `clear` first makes all of that good again."""
    wrong = _wrong(order)
    if wrong:
        return Refusal(Reason.INPUT, wrong)
    before = Revoked() if order.clear else show.revoked
    classes = {int(Class[name.upper()]) for name in order.classes}
    revoked = Revoked(
        keys=tuple(sorted({*before.keys, *order.keys})),
        classes=tuple(sorted({*before.classes, *classes})),
        seqs=merged([*before.seqs, *order.seqs]),
    )
    full = _full(revoked)
    return Refusal(Reason.REVOKED_FULL, full) if full else same_or(show, replace(show, revoked=revoked))


def _wrong(order: RevokeOrder) -> str:
    if len(order.keys) > REVOKED_KEYS_MAX or len(order.seqs) > REVOKED_RANGES_MAX or len(order.classes) > len(Class):
        return f"At most {REVOKED_KEYS_MAX} keys, {REVOKED_RANGES_MAX} ranges and each class once in one order."
    if any(not 0 <= key <= KEY_ID_MAX for key in order.keys):
        return f"keys: each from 0 to {KEY_ID_MAX}."
    if any(not 0 <= first <= last <= SEQ_MAX for first, last in order.seqs):
        return f"seqs: each (first, last) from 0 to {SEQ_MAX}, the first not above the last."
    return ""


def _full(revoked: Revoked) -> str:
    if len(revoked.keys) > REVOKED_KEYS_MAX:
        return f"At most {REVOKED_KEYS_MAX} keys are kept; clear the list, or revoke a class."
    if len(revoked.seqs) > REVOKED_RANGES_MAX:
        return f"At most {REVOKED_RANGES_MAX} ranges are kept; clear the list, or give wider ones."
    return ""
