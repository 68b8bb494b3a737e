"""Why the desk does not carry out an order, and the checks that all kinds of orders have in common."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeVar

from stentor.formats.invite import one_line


class Reason(StrEnum):
    """Why an order is not carried out. Values are the `code` of the problem+json that says so."""

    INPUT = "input-invalid"
    TOKEN_MISSING = "token-missing"
    TOKEN_UNKNOWN = "token-unknown"
    TOKEN_EXPIRED = "token-expired"
    SEAT_REMOVED = "seat-removed"
    CREW_ONLY = "crew-only"
    SHOW_UNKNOWN = "show-unknown"
    SHOW_OVER = "show-over"
    SHOWS_FULL = "shows-full"
    SEAT_UNKNOWN = "seat-unknown"
    SEATS_FULL = "seats-full"
    NAME_TAKEN = "name-taken"
    CREW_STAYS = "crew-stays"
    WISH_REFUSED = "wish-refused"
    BEACON_REFUSED = "beacon-refused"
    REVOKED_FULL = "revoked-full"
    BOARD_FULL = "board-full"


class Refusal(NamedTuple):
    """`detail` is a sentence for whoever sent the order."""

    reason: Reason
    detail: str


_T = TypeVar("_T")


def same_or(before: _T, after: _T) -> _T:
    """`after`, or the very same value where nothing is different."""
    return before if after == before else after


def clean_line(field: str, text: str, chars_max: int, *, empty: bool = False) -> str | Refusal:
    """`text` as one line of at most `chars_max` characters; `field` is what a refusal calls it."""
    clean = one_line(text)
    if not clean and not empty:
        return Refusal(Reason.INPUT, f"{field}: may not be empty.")
    if len(clean) > chars_max:
        return Refusal(Reason.INPUT, f"{field}: {len(clean)} characters; at most {chars_max}.")
    return clean
