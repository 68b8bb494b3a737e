"""What the crew wants of the shield. As in `core.desk`, an order that changes nothing returns the very same show."""

from __future__ import annotations

from msgspec.structs import replace

from stentor.formats.crew import ReleaseOrder
from stentor.formats.evidence import key_of_target, target
from stentor.formats.refusal import Reason, Refusal, same_or
from stentor.model.board import Show

RELEASED_MAX = 256  # every look of the usher holds them against every rule


def set_dry_run(show: Show, dry_run: bool) -> Show:
    """Rules are made and written down, and none is enforced, until this is taken back."""
    return same_or(show, replace(show, dry_run=dry_run))


def set_siege(show: Show, siege: bool) -> Show:
    """Only tickets and places count at the door, until this is taken back. Listeners go on."""
    return same_or(show, replace(show, siege=siege))


def release(show: Show, order: ReleaseOrder) -> Show | Refusal:
    """No rule stands against that source, nor is made against it again, for the rest of the show."""
    before = () if order.clear else show.released
    if not order.target:
        return same_or(show, replace(show, released=before))
    try:
        name = target(key_of_target(order.target.strip()))
    except ValueError as error:
        return Refusal(Reason.INPUT, f"target: {error}.")
    released = tuple(sorted({*before, name}))
    if len(released) > RELEASED_MAX:
        return Refusal(Reason.REVOKED_FULL, f"At most {RELEASED_MAX} sources are released one by one; clear the list.")
    return same_or(show, replace(show, released=released))
