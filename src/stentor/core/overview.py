"""What crew and speakers see of a show: what the desk wants beside what the board says is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stentor.formats.crew import CrewState, EdgeTotals, OwnSeat, SeatShow, SeatView, ShowView, SpeakerState
from stentor.model.board import Edge, Levels, Phase, Seat, Show, Stage, Usher

SILENT_MS = 5_000  # a worker writes each second; older values are not counted as the present


class Facts(NamedTuple):
    """What the other roles have put on the board."""

    stage: Stage | None = None
    levels: Levels | None = None
    usher: Usher | None = None
    edges: Sequence[Edge] = ()


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
    )


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
    )


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
    heard = [edge for edge in edges if now_ms - edge.at_ms <= SILENT_MS]
    by_rendition: dict[str, int] = {}
    for edge in heard:
        for name, count in edge.by_rendition.items():
            by_rendition[name] = by_rendition.get(name, 0) + count
    return EdgeTotals(
        workers=len(heard),
        silent=len(edges) - len(heard),
        listeners=sum(edge.listeners for edge in heard),
        by_rendition=by_rendition,
        joins=sum(edge.joins for edge in heard),
        refused=sum(edge.refused for edge in heard),
        skips=sum(edge.skips for edge in heard),
        drops=sum(edge.drops for edge in heard),
        holds_made=sum(edge.holds_made for edge in heard),
        bytes_sent=sum(edge.bytes_sent for edge in heard),
        worst_late_ms=max((edge.worst_late_ms for edge in heard), default=0),
    )


def _ages(facts: Facts, now_ms: int) -> dict[str, int | None]:
    newest = max(facts.edges, key=lambda edge: edge.at_ms, default=None)
    values = {"stage": facts.stage, "levels": facts.levels, "usher": facts.usher, "edges": newest}
    return {role: None if value is None else max(0, now_ms - value.at_ms) for role, value in values.items()}
