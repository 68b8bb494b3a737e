"""The log of what was done to a show, in words: who, and what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from stentor.formats.invite import one_line
from stentor.model.board import Seat, Show

RUNGS = (
    "full quality",
    "sound two pieces at a time",
    "sound four pieces at a time",
    "the low bitrate for new listeners",
    "the low bitrate for everybody",
)

_WISHES = {"go": "Went live", "hold": "Held the start", "end": "Ended the show", "cancel": "Cancelled the show"}
_BY = {"admin": "command line"}  # what stands in the records for it


def who(by: str, show: Show) -> str:
    """Whose link has a hash that begins with `by`."""
    holder = next((seat.name for seat in show.seats if seat.token_hash.startswith(by)), "a link since replaced")
    return _BY.get(by, holder)


def written(order: msgspec.Struct) -> str:
    """An order as JSON for the records: text in one line without padding, as it is checked and carried out."""
    fields = msgspec.to_builtins(order)
    lines = {name: one_line(value) if isinstance(value, str) else value for name, value in fields.items()}
    return msgspec.json.encode(lines).decode()


def said(what: str, show: Show) -> str:
    """`what` as it stands in the records: a verb, for some the id of a seat, and the order in JSON."""
    head, _, body = what.partition(" {")
    verb, _, seat_id = head.partition(" ")
    seat = next((seat for seat in show.seats if seat.id == seat_id), None)
    try:
        order = msgspec.json.decode("{" + body, type=dict[str, Any]) if body else {}
        return _WORDS[verb](order, seat)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, IndexError):
        return what  # of another version


def _wish(order: dict[str, Any], _: Seat | None) -> str:
    reason = order.get("reason", "")
    return _WISHES[order["wish"]] + (f": {reason}" if reason else "")


def _notice(order: dict[str, Any], _: Seat | None) -> str:
    return f"Posted a notice: {order['text']}" if order["text"] else "Took the notice down"


def _cap(order: dict[str, Any], _: Seat | None) -> str:
    cap = order["cap"]
    return f"Go on with at most {cap:,} listeners" if cap else "As many listeners as the machine carries"


def _door(order: dict[str, Any], _: Seat | None) -> str:
    return "Closed the door" if order["closed"] else "Opened the door again"


def _rung(order: dict[str, Any], _: Seat | None) -> str:
    rung = order["rung"]
    return f"Ladder at step {rung} or above: {RUNGS[rung]}" if rung >= 0 else "Ladder by measure alone"


def _beacon(order: dict[str, Any], _: Seat | None) -> str:
    return f"Gave the beacon's value: {order['value']}"


def _release(order: dict[str, Any], _: Seat | None) -> str:
    cleared = "Let rules be made again against all who were released" if order.get("clear") else ""
    released = f"Released an {order['target']}" if order.get("target") else ""
    return "; ".join(filter(None, (cleared, released)))


def _dry_run(order: dict[str, Any], _: Seat | None) -> str:
    return "Dry run: rules are written down only" if order["dry_run"] else "Rules are enforced again"


def _siege(order: dict[str, Any], _: Seat | None) -> str:
    return "Siege: only tickets and places are let in" if order["siege"] else "Lifted the siege"


def _revoke(order: dict[str, Any], _: Seat | None) -> str:
    parts = [f"key {key}" for key in order.get("keys", ())]
    parts += [f"class {name}" for name in order.get("classes", ())]
    parts += [f"{first}" if first == last else f"{first} to {last}" for first, last in order.get("seqs", ())]
    cleared = "Made all revoked tickets good again" if order.get("clear") else ""
    revoked = f"Revoked tickets: {_few(parts)}" if parts else ""
    return "; ".join(filter(None, (cleared, revoked)))


def _few(parts: list[str], most: int = 5) -> str:
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} more" if len(parts) > most else "")


def _seat(order: dict[str, Any], seat: Seat | None) -> str:
    name = seat.name if seat else "a seat"
    done = []
    if "name" in order:
        done.append(f"Named a seat {order['name']}")
    if "on_air" in order:
        done.append(f"{'Put' if order['on_air'] else 'Took'} {name} {'on' if order['on_air'] else 'off'} air")
    if "muted" in order:
        done.append(f"{'Muted' if order['muted'] else 'Unmuted'} {name}")
    if "removed" in order:
        done.append(f"Removed {name}")
    return "; ".join(done)


_WORDS: dict[str, Callable[[dict[str, Any], Seat | None], str]] = {
    "create": lambda *_: "Announced the show",
    "wish": _wish,
    "notice": _notice,
    "cap": _cap,
    "door": _door,
    "rung": _rung,
    "beacon": _beacon,
    "revoke": _revoke,
    "release": _release,
    "dry-run": _dry_run,
    "siege": _siege,
    "seat": _seat,
    "add": lambda order, _: f"Gave {order['name']} a link",
    "renew": lambda _, seat: f"Gave {seat.name if seat else 'a seat'} a new link",
}
