"""Shows in words, for `stentor show`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stentor.formats.crew import RevokedView, ShieldView, ShowDetail, ShowMade, ShowView
    from stentor.model.board import Ladder, Line, Rule

_LEVELS = ("open", "crowd", "doubt", "attack", "siege")
_GATES = {
    "free": "everybody comes in at once",
    "gathering": "everybody gets a place, the draw is to come",
    "queue": "in line, by the mark",
    "closed": "nobody comes in",
}


def table(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in rows)


def links(made: ShowMade) -> str:
    rows = [("show", made.show), ("starts", local(made.starts_at_ms)), ("listeners", made.listener_link)]
    return table(
        [*rows, ("crew", made.crew_link), *((f"guest {name}", link) for name, link in made.guest_links.items())]
    )


def local(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000).astimezone().isoformat(" ", "seconds")


def line_of(show: ShowView) -> str:
    seats = ", ".join(f"{seat.name}{' (on air)' if seat.on_air else ''}" for seat in show.seats if not seat.removed)
    return f"{show.id:34}{show.phase:11}{local(show.starts_at_ms):27}{show.title}: {seats}"


def info_of(found: ShowDetail) -> str:
    """All that the desk knows of one show: when, the door, the line, the ladder, and what was done."""
    done = [f"{local(action.at_ms)}  {action.who}: {action.said}" for action in found.actions]
    return "\n".join([line_of(found.show), found.listener_link, table(list(_rows(found))), *done])


def _rows(found: ShowDetail) -> Iterator[tuple[str, str]]:
    show = found.show
    yield "when", _when(show)
    cap = f"at most {show.cap:,} listeners" if show.cap else "as many listeners as the machine carries"
    yield "door", f"{'closed' if show.closed else 'open'}, {cap}"
    if show.beacon_name:
        yield "beacon", f"{show.beacon_name}: {show.beacon or 'not given yet'}"
    yield "line", _line(found.line) if found.line else "none yet"
    yield "ladder", _ladder(show, found.ladder)
    revoked = _revoked(show.revoked)
    if revoked:
        yield "revoked", revoked


def _when(show: ShowView) -> str:
    times = [("doors open", show.opens_at_ms), ("draw", show.draws_at_ms), ("start", show.starts_at_ms)]
    times.append(("planned end", show.ends_at_ms))
    return ", ".join(f"{name} {local(at_ms)}" for name, at_ms in times if at_ms)


def _line(line: Line) -> str:
    counts = f"{line.listening:,} listening, {line.cap:,} seats, {line.waiting:,} waiting, {line.called:,} on their way"
    why = f" ({line.reason})" if line.reason else ""
    return f"{counts}; {_GATES[line.gate]}{why}; mark {line.mark}; as of {local(line.at_ms)}"


def _ladder(show: ShowView, ladder: Ladder | None) -> str:
    from stentor.core.actions import RUNGS

    wanted = f"by hand: step {show.rung} or above, {RUNGS[show.rung]}" if show.rung >= 0 else "by measure"
    if ladder is None:
        return wanted
    why = f" ({ladder.reason})" if ladder.reason else ""
    carried = [f"{count:,}" for count in ladder.capacity[ladder.rung : ladder.rung + 1]]
    capacity = f", carries {carried[0]} listeners" if carried else ""
    return f"step {ladder.rung}, {RUNGS[ladder.rung]}{why}{capacity}; {wanted}"


def _revoked(revoked: RevokedView) -> str:
    parts = [f"key {key}" for key in revoked.keys] + [f"class {name}" for name in revoked.classes]
    parts += [f"{first}" if first == last else f"{first} to {last}" for first, last in revoked.seqs]
    return ", ".join(parts)


def shield_of(found: ShieldView) -> str:
    """Verdict, evidence, what is done, and a line for each rule."""
    shield = found.shield
    if shield is None:
        return "nobody judges: the usher has not said anything of it"
    since = f" since {local(shield.since_ms)}" if shield.since_ms else ""
    rows = [("verdict", f"{shield.verdict.value}{since}, as of {local(shield.at_ms)}")]
    rows += [("because", signal.words) for signal in shield.signals]
    counts = f"{shield.joins:,} joins asked for by about {shield.sources:,} sources, {shield.completed:,} played"
    rows += [("in 10 s", counts), ("level", f"{shield.level}, {_LEVELS[min(shield.level, len(_LEVELS) - 1)]}")]
    rows += [("drops by", shield.drops_by)] if shield.drops_by else []
    rows += [("dry run", "rules are made, but not enforced")] if shield.dry_run or found.dry_run else []
    ordered = shield.siege or found.siege
    siege = "by order" if ordered else "the door has no time left" if shield.level >= _LEVELS.index("siege") else ""
    rows += [("siege", f"tickets and reconnects only: {siege}")] if siege else []
    rows += [("rehearsed", shield.error)] if shield.error else []
    return "\n".join([table(rows), *map(_rule, found.rules)])


def _rule(rule: Rule) -> str:
    state = f"spared: {rule.spared}" if rule.spared else "enforced" if rule.enforced_ms else "watched"
    hits = f", {rule.hits:,} events in 10 s" if rule.hits else ""
    return f"{rule.id:6}{rule.action:10}{rule.target:24}until {local(rule.until_ms)}, {state}{hits}: {rule.why}"
