"""What crew and speakers see of a show: what the desk wants beside what the board says is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, get_args

from msgspec.structs import replace

from stentor.formats.crew import (
    ClassName,
    CrewState,
    DoorTotals,
    EdgeTotals,
    OwnSeat,
    RevokedView,
    SeatShow,
    SeatView,
    ShowView,
    SpeakerState,
)
from stentor.model.board import (
    Door,
    Edge,
    Ladder,
    Levels,
    Line,
    Phase,
    Revoked,
    Rule,
    Seat,
    Shield,
    Show,
    Stage,
    Usher,
)

RULES_SHOWN_MAX = 40  # to a page, four times a second
SILENT_MS = 5_000  # a worker writes each second; older values are not counted as the present


class Facts(NamedTuple):
    """What the other roles have put on the board."""

    stage: Stage | None = None
    levels: Levels | None = None
    usher: Usher | None = None
    edges: Sequence[Edge] = ()
    doors: Sequence[Door] = ()
    line: Line | None = None
    ladder: Ladder | None = None
    joins_hz: float | None = None
    shield: Shield | None = None
    rules: Sequence[Rule] = ()


_CLASSES: tuple[ClassName, ...] = get_args(ClassName)  # in the order of formats/ticket.Class, from 1


def show_view(show: Show, phase: Phase) -> ShowView:
    """The show without the hashes of its links."""
    return ShowView(
        id=show.id,
        title=show.title,
        phase=phase,
        starts_at_ms=show.starts_at_ms,
        opens_at_ms=show.opens_at_ms,
        chunk_ms=show.chunk_ms,
        wish=show.wish,
        reason=show.reason,
        notice=show.notice,
        cap=show.cap,
        seats=tuple(_seat_view(seat) for seat in show.seats),
        draws_at_ms=show.draws_at_ms,
        ends_at_ms=show.ends_at_ms,
        closed=show.closed,
        rung=show.rung,
        beacon_name=show.beacon_name,
        beacon=show.beacon,
        revoked=_revoked_view(show.revoked),
        dry_run=show.dry_run,
        siege=show.siege,
    )


def _revoked_view(revoked: Revoked) -> RevokedView:
    return RevokedView(revoked.keys, tuple(_CLASSES[cls - 1] for cls in revoked.classes), revoked.seqs)


def _seat_view(seat: Seat) -> SeatView:
    return SeatView(seat.id, seat.name, seat.crew, seat.on_air, seat.muted, seat.removed, seat.expires_at)


def crew_state(show: Show, phase: Phase, revision: int, facts: Facts, now_ms: int) -> CrewState:
    stage = facts.stage
    ours = stage is not None and stage.show == show.id
    return CrewState(
        now_ms=now_ms,
        revision=revision,
        show=show_view(show, phase),
        stage=stage if ours else None,
        levels=facts.levels if ours else None,
        edges=edge_totals(facts.edges, now_ms),
        usher=facts.usher,
        stage_show=stage.show if stage else "",
        age_ms=_ages(facts, now_ms),
        line=brief(facts.line),
        ladder=facts.ladder,
        doors=door_totals(facts.doors, now_ms),
        joins_hz=facts.joins_hz,
        shield=facts.shield,
        rules=shown_rules(facts.rules),
    )


def shown_rules(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Those that shut somebody out come first, and of these those that match most; then in the order of their making,
    so that a page can be pressed on."""
    most = sorted(rules, key=lambda rule: (not rule.enforced_ms, -rule.hits, rule.since_ms))[:RULES_SHOWN_MAX]
    return tuple(sorted(most, key=lambda rule: (rule.since_ms, rule.id)))


def brief(line: Line | None) -> Line | None:
    """Without the table, which is for those who wait."""
    return None if line is None else replace(line, table=())


def speaker_state(
    show: Show, seat: Seat, phase: Phase, revision: int, studio_port: int, listener_link: str
) -> SpeakerState:
    return SpeakerState(
        revision=revision,
        show=SeatShow(show.id, show.title, show.starts_at_ms, phase),
        seat=OwnSeat(seat.id, seat.name, seat.on_air, seat.muted),
        studio_port=studio_port,
        listener_link=listener_link,
    )


def edge_totals(edges: Sequence[Edge], now_ms: int) -> EdgeTotals:
    """A worker that is being replaced may for a moment stand under two names: what it said last counts."""
    newest = {edge.pid or -at: edge for at, edge in enumerate(sorted(edges, key=lambda edge: edge.at_ms))}
    heard = [edge for edge in newest.values() if now_ms - edge.at_ms <= SILENT_MS]
    by_rendition: dict[str, int] = {}
    for edge in heard:
        for name, count in edge.by_rendition.items():
            by_rendition[name] = by_rendition.get(name, 0) + count
    return EdgeTotals(
        workers=len(heard),
        silent=len(newest) - len(heard),
        listeners=sum(edge.listeners for edge in heard),
        by_rendition=by_rendition,
        joins=sum(edge.joins for edge in heard),
        refused=sum(edge.refused for edge in heard),
        skips=sum(edge.skips for edge in heard),
        drops=sum(edge.drops for edge in heard),
        holds_made=sum(edge.holds_made for edge in heard),
        bytes_sent=sum(edge.bytes_sent for edge in heard),
        worst_late_ms=max((edge.worst_late_ms for edge in heard), default=0),
        arrivals=sum(edge.arrivals for edge in heard),
        renewed=sum(edge.renewed for edge in heard),
        replaced=sum(edge.replaced for edge in heard),
        hls_signed=sum(edge.hls_signed for edge in heard),
        hls_estimated=sum(edge.hls_estimated for edge in heard),
    )


def door_totals(doors: Sequence[Door], now_ms: int) -> DoorTotals:
    heard = [door for door in doors if now_ms - door.at_ms <= SILENT_MS]
    return DoorTotals(
        workers=len(heard),
        silent=len(doors) - len(heard),
        requests=sum(door.requests for door in heard),
        tickets=sum(door.tickets for door in heard),
        places=sum(door.places for door in heard),
        refused=sum(door.refused for door in heard),
        shed=sum(door.shed for door in heard),
    )


def _ages(facts: Facts, now_ms: int) -> dict[str, int | None]:
    values = {
        "stage": facts.stage,
        "levels": facts.levels,
        "usher": facts.usher,
        "line": facts.line,
        "shield": facts.shield,
        "edges": max(facts.edges, key=lambda edge: edge.at_ms, default=None),
        "doors": max(facts.doors, key=lambda door: door.at_ms, default=None),
    }
    return {role: None if value is None else max(0, now_ms - value.at_ms) for role, value in values.items()}
