"""The usher's first duty to the public: the fields of the `now` object, made from what the board holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stentor.formats.now import NEXT_POLL_MS, SHOW_MS_ASSUMED
from stentor.model.board import Edge, Ladder, Line, Phase, Shield, Show, Stage

STALE_MS = 5_000  # a worker that has not written for so long counts no listeners
SOON_MS = 60_000
SOON_POLL_MS = 2_000


def now_fields(show: Show, stage: Stage | None, edges: Iterable[Edge], wall_ms: int) -> dict[str, Any]:
    """What everybody may know of `show` at Unix time `wall_ms`; formats/now.py names the fields."""
    fields: dict[str, Any] = {
        "v": 1,
        "show": show.id,
        "title": show.title,
        "at_ms": wall_ms,
        "starts_at_ms": show.starts_at_ms,
        "opens_at_ms": show.opens_at_ms,
        "chunk_ms": show.chunk_ms,
        "notice": show.notice,
        "reason": show.reason,
        "next_poll_ms": _next_poll_ms(show, wall_ms),
    }
    if stage is not None and stage.show == show.id:
        return fields | _on_stage(stage, wall_ms) | {"listeners": listeners(edges, wall_ms)}
    phase = Phase.CANCELLED if show.wish == "cancel" else Phase.HELD if show.wish == "hold" else Phase.ANNOUNCED
    return fields | {"phase": phase.value}


def ladder_fields(ladder: Ladder) -> dict[str, Any]:
    """What everybody may know of the ladder: in the `now` object, and in-band."""
    return {
        "rung": ladder.rung,
        "group": ladder.group,
        "from_n": ladder.from_n,
        "low": ladder.low,
        "cap": ladder.cap,
        "reason": ladder.reason,
    }


def line_fields(show: Show, line: Line | None) -> dict[str, Any]:
    """What everybody may know of the line, to be added to the fields of the show; nothing, as long as there is none."""
    if line is None:
        return {}
    draw = {
        "commit": line.commit,
        "base_s": line.base_s,
        "at_ms": show.draws_at_ms or None,
        "beacon_name": line.beacon_name,
        "key": line.key,
        "beacon": line.beacon,
        "root": line.root,
        "places": line.places,
    }
    return {
        "gate": line.gate.value,
        "line_reason": line.reason,
        "mark": line.mark,
        "waiting": line.waiting,
        "cap": line.cap,
        "free": line.free,
        "soon": line.soon,
        "rate_mps": line.rate_mps,
        "seen": line.seen,
        "calls_mps": line.calls_mps,
        "table": [list(point) for point in line.table],
        "ends_at_ms": show.ends_at_ms or show.starts_at_ms + SHOW_MS_ASSUMED,
        "ends_assumed": not show.ends_at_ms,
        "draw": {name: value for name, value in draw.items() if value not in (None, "")},
    } | ({"next_poll_ms": line.next_poll_ms} if line.waiting else {})


def shield_fields(shield: Shield | None, wall_ms: int) -> dict[str, Any]:
    """What everybody may know of the verdict, and what it rests on; nothing, while nobody judges."""
    if shield is None or wall_ms - shield.at_ms > STALE_MS:
        return {}
    words = [signal.words for signal in shield.signals]
    verdict = {"verdict": shield.verdict.value, "since_ms": shield.since_ms, "level": shield.level, "words": words}
    return {"verdict": verdict | ({"error": shield.error} if shield.error else {})}


def voices(stage: Stage, wall_ms: int) -> list[str]:
    """Names of those on air; nobody, where the stage has not said anything for so long that it is not there."""
    silent = wall_ms - stage.at_ms > STALE_MS
    return [] if silent else [speaker.name for speaker in stage.speakers if speaker.on_air]


def _on_stage(stage: Stage, wall_ms: int) -> dict[str, Any]:
    on_air = voices(stage, wall_ms)
    replay = f"/archive/{stage.show}/replay.m4a" if stage.phase is Phase.ENDED and not stage.tape.problem else None
    return {
        "phase": stage.phase.value,
        "t0_ms": stage.t0_wall_ns // 1_000_000,
        "chunk_ms": stage.chunk_ms,
        "n": stage.n,
        "live_n": stage.live_n or None,
        "end_n": stage.end_n or None,
        "started_at_ms": stage.started_at_ms or None,
        "ended_at_ms": stage.ended_at_ms or None,
        "on_air": on_air,
        "holding": not on_air,
        "chain": stage.tape.chain,
        "chain_n": stage.tape.chain_n or None,
        "replay": replay,
    }


def listeners(edges: Iterable[Edge], wall_ms: int) -> int:
    """Of all workers that are there, without those who are only estimated. A worker that is being replaced may for a
    moment stand under two names."""
    heard = sorted((edge for edge in edges if wall_ms - edge.at_ms < STALE_MS), key=lambda edge: edge.at_ms)
    return sum({edge.pid: edge.listeners + edge.hls_signed for edge in heard}.values())


def _next_poll_ms(show: Show, wall_ms: int) -> int:
    """Often enough around the start that nobody learns of it late."""
    return SOON_POLL_MS if abs(show.starts_at_ms - wall_ms) < SOON_MS else NEXT_POLL_MS
