"""What the door answers to those who want to come in, a ticket or what is known of their wait, as JSON and in words.

web/listen/waits.js and verdict.js have the same words for pages with JavaScript; a test holds them side by side.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import NamedTuple

from stentor.model.board import Gate

_MINUTE_S, _HOUR_S = 60, 3_600
_IN_HOURS_FROM_S = 2 * _HOUR_S
_ROUNDED_FROM = 100  # a number that changes at every look is read as if each digit meant something
OFFER = "Whoever is not let in can hear all of it as a recording, right after the end."
AFTER_DRAW_WORDS = "The draw is closed: you come after all who are in it, and before all who come after you."
DRAWN_WORDS = "You have a place in the draw. It does not matter when you came: all who are in it have the same chance."
DRAW_WORDS = "Take a place, and you are in the draw. All who are in it have the same chance, whenever they came."
STANDS_WORDS = "The line stands still for the moment."
CLOSED_TO_ALL_WORDS = "Nobody new is let in at the moment. This page looks again by itself."
CLOSED_WORDS = "Nobody new is let in at the moment. You keep your place."
KEEP_WORDS = "Leave this page open: it lets you in by itself. Your place stays yours if you close it."
VERDICT_WORDS = {
    "crowd": "Very many come at the moment: getting in may take a little longer.",
    "undecided": "There is unusual traffic at the door: getting in may take a little longer.",
    "attack": "There seems to be an attack on the door: getting in may take longer. "
    "Who listens already does not need the door.",
}


class Want(StrEnum):
    """What somebody who asks to be let in gets."""

    IN = "in"  # a ticket, or a new place if they have none
    HERE = "here"  # a ticket, if they have a place and its turn has come
    PLACED = "placed"  # a place in any case: what they do next is known by it
    KEPT = "kept"  # the same, and a ticket for an address that players keep


class Ticket(NamedTuple):
    """Let in. The number is that of the place, where there was one."""

    text: str
    seq: int
    expires_ms: int

    def body(self) -> bytes:
        """-> JSON, without an encoder: everybody has one of their own."""
        return f'{{"ticket": "{self.text}", "seq": {self.seq}, "expires_ms": {self.expires_ms}}}'.encode()


class Waits(NamedTuple):
    """Somebody with a place. `rank` is None before the draw; `ahead`, `eta_s` (from..to, seconds) and `chance` (of
    coming in before the end) while they are not known. `place` is empty for what holds for everybody. With `turn` they
    may come in now. `draws_at_ms` is 0 where no draw is to come; `late`: they are not in the draw;
    `assumed`: so is the end of the show."""

    place: str
    seq: int
    state: Gate
    next_poll_ms: int
    rank: int | None = None
    ahead: int | None = None
    eta_s: tuple[int, int] | None = None
    chance: float | None = None
    reason: str = ""
    draws_at_ms: int = 0
    late: bool = False
    assumed: bool = False
    turn: bool = False

    def body(self) -> bytes:
        """-> JSON. A turn is no field of it: who asks then has a ticket."""
        fields = {**self._asdict(), "eta_s": list(self.eta_s) if self.eta_s else None}
        del fields["turn"]
        if not self.draws_at_ms:
            del fields["draws_at_ms"]
        return json.dumps(fields).encode()


class Words(NamedTuple):
    """A wait as people read it: what `figure` is, the figure, what follows it, and sentences."""

    label: str
    figure: str
    unit: str
    lines: tuple[str, ...]


def say(waits: Waits, now_ms: int) -> Words:
    """What somebody who waits is told; `now_ms` in Unix time."""
    if waits.turn:
        return Words("Your turn", "Come in", "", ())
    reasons = (waits.reason,) if waits.reason else ()
    if waits.state is Gate.GATHERING:
        return _until_draw(waits, now_ms, (AFTER_DRAW_WORDS if waits.late else DRAWN_WORDS, KEEP_WORDS))
    if waits.ahead is None:
        figure, unit = "…", "Your place is being looked up."
    else:
        figure, unit = count_words(waits.ahead)
    closed = (CLOSED_WORDS,) if waits.state is Gate.CLOSED else (eta_words(waits.eta_s),)
    known = waits.chance is not None and waits.state is not Gate.CLOSED
    chance = (chance_words(waits.chance or 0.0, assumed=waits.assumed),) if known else ()
    return Words("Your place in line", figure, unit, (*closed, *chance, *reasons, OFFER, KEEP_WORDS))


def say_public(waits: Waits, now_ms: int) -> Words:
    """The same for somebody who has no place: `ahead` is then everybody."""
    reasons = (waits.reason,) if waits.reason else ()
    if waits.state is Gate.GATHERING:
        return _until_draw(waits, now_ms, (DRAW_WORDS,))
    if waits.state is Gate.CLOSED:
        return Words("The doors are closed", "…", "", (CLOSED_TO_ALL_WORDS, *reasons, OFFER))
    figure, unit = count_words(waits.ahead or 0)
    return Words("The line", figure, unit, (eta_words(waits.eta_s), *reasons, OFFER))


def _until_draw(waits: Waits, now_ms: int, lines: tuple[str, ...]) -> Words:
    left_s = (waits.draws_at_ms - now_ms) / 1000
    if left_s <= 0:
        return Words("The draw", "Any moment", "", lines)
    return Words("Until the draw", countdown_words(left_s), "", lines)


def count_words(ahead: int) -> tuple[str, str]:
    """-> figure and what follows it: (`1,240`, `ahead of you`)."""
    if ahead == 0:
        return "Next", "Nobody is ahead of you."
    step = 1 if ahead < _ROUNDED_FROM else 10 ** (len(str(ahead)) - 3 + (ahead < 10 * _ROUNDED_FROM))
    return f"{'about ' if step > 1 else ''}{(ahead + step // 2) // step * step:,}", "ahead of you"


def eta_words(eta_s: tuple[int, int] | None) -> str:
    if eta_s is None:
        return "How long it takes is not known yet."
    unit_s, unit = (_HOUR_S, "hour") if eta_s[1] > _IN_HOURS_FROM_S else (_MINUTE_S, "minute")
    low, high = eta_s[0] // unit_s, max(1, -(-eta_s[1] // unit_s))
    units = unit if high == 1 else f"{unit}s"
    if low == 0:
        return f"It takes less than {f'a {unit}' if high == 1 and unit == 'minute' else f'{high} {units}'}."
    return f"It takes about {high} {units}." if low == high else f"It takes between {low} and {high} {units}."


def chance_words(chance: float, *, assumed: bool = False) -> str:
    """Of coming in before the end, as it is planned or `assumed`."""
    end = "the end (90 minutes are assumed)" if assumed else "the end"
    tenths = min(9, max(1, round(chance * 10)))
    if chance >= 0.95:
        return f"You come in before {end}, as far as can be told."
    if chance < 0.05:
        return f"You will hardly come in before {end}: fewer than 1 in 20 do from here."
    return f"About {tenths} in 10 come in from here before {end}."


def countdown_words(seconds: float) -> str:
    """`12 minutes`, in whole minutes from two on."""
    whole = max(0, round(seconds))
    if whole < 2 * _MINUTE_S:
        return "1 second" if whole == 1 else f"{whole} seconds"
    minutes = -(-whole // _MINUTE_S)
    if minutes < 2 * 60:
        return f"{minutes} minutes"
    return f"{minutes // 60} h {minutes % 60:02d} min"
