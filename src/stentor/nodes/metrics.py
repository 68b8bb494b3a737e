"""Every metric, declared once: what Prometheus scrapes, and docs/METRICS.md. The values are what stands on the board.

Names follow Prometheus' practice: base units, `_total` on counters. A counter begins anew when its process does.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stentor.io.board import Board, BoardError
from stentor.io.http import Problem, bearer_token
from stentor.model import board

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PHASES = tuple(board.Phase)


class Declared(NamedTuple):
    """One metric of a kind of value on the board. `read` gives the samples: a number, or numbers by label."""

    name: str
    kind: str  # "counter" or "gauge"
    text: str
    read: Callable[[Any], float | dict[str, float]]
    label: str = ""


def _age_s(value: Any) -> float:
    return max(0.0, time.time() - value.at_ms / 1000)


_EDGE = (
    Declared("stentor_edge_listeners", "gauge", "Listeners on mounts.", lambda e: e.by_rendition, "rendition"),
    Declared(
        "stentor_edge_hls_listeners",
        "gauge",
        "Listeners by HLS: signed, counted by their pages' beacons; estimated, of those who send none.",
        lambda e: {"signed": e.hls_signed, "estimated": e.hls_estimated},
        "how",
    ),
    Declared("stentor_edge_blocked_total", "counter", "Connections that a rule refused.", lambda e: e.blocked),
    Declared(
        "stentor_edge_evidence_lost_total",
        "counter",
        "Datagrams of evidence that the usher did not take.",
        lambda e: e.evidence_lost,
    ),
    Declared("stentor_edge_joins_total", "counter", "Listeners who joined a mount.", lambda e: e.joins),
    Declared(
        "stentor_edge_refused_total", "counter", "Requests refused: no valid ticket, or no room.", lambda e: e.refused
    ),
    Declared(
        "stentor_edge_skips_total",
        "counter",
        "Listeners skipped forward, for they were too far behind.",
        lambda e: e.skips,
    ),
    Declared(
        "stentor_edge_drops_total", "counter", "Listeners dropped, for their socket took nothing.", lambda e: e.drops
    ),
    Declared("stentor_edge_chunks_total", "counter", "Chunks sent, over all renditions.", lambda e: e.chunks),
    Declared(
        "stentor_edge_holds_total", "counter", "Chunks that the edge itself filled with hold.", lambda e: e.holds_made
    ),
    Declared("stentor_edge_sent_bytes_total", "counter", "Bytes of audio sent.", lambda e: e.bytes_sent),
    Declared(
        "stentor_edge_late_seconds_max",
        "gauge",
        "The latest a chunk ever went out after it was due.",
        lambda e: e.worst_late_ms / 1000,
    ),
    Declared("stentor_edge_pulls_total", "counter", "Requests of HLS answered.", lambda e: e.pulls),
    Declared(
        "stentor_edge_pulls_refused_total",
        "counter",
        "Requests of HLS for what there is not, or that make no sense.",
        lambda e: e.pulls_refused,
    ),
    Declared(
        "stentor_edge_pulls_waiting", "gauge", "Requests of HLS that wait for their chunk.", lambda e: e.pulls_waiting
    ),
    Declared("stentor_edge_arrivals_total", "counter", "Tickets that came for the first time.", lambda e: e.arrivals),
    Declared("stentor_edge_renewed_total", "counter", "Listeners who came back.", lambda e: e.renewed),
    Declared(
        "stentor_edge_replaced_total",
        "counter",
        "Sessions that ended because their ticket began a newer one.",
        lambda e: e.replaced,
    ),
    Declared("stentor_edge_refusals_total", "counter", "Requests refused, by reason.", lambda e: e.refusals, "code"),
    Declared("stentor_edge_report_age_seconds", "gauge", "Since the edge last said anything.", _age_s),
)
_DOOR = (
    Declared("stentor_door_blocked_total", "counter", "Connections that a rule refused.", lambda d: d.blocked),
    Declared(
        "stentor_door_evidence_lost_total",
        "counter",
        "Datagrams of evidence that the usher did not take.",
        lambda d: d.evidence_lost,
    ),
    Declared(
        "stentor_door_challenged_total", "counter", "Joins that had to solve a task first.", lambda d: d.challenged
    ),
    Declared("stentor_door_solved_total", "counter", "Tasks solved, or waited for instead.", lambda d: d.solved),
    Declared("stentor_door_requests_total", "counter", "Requests answered.", lambda d: d.requests),
    Declared("stentor_door_tickets_total", "counter", "Tickets given.", lambda d: d.tickets),
    Declared("stentor_door_places_total", "counter", "Places in line given.", lambda d: d.places),
    Declared(
        "stentor_door_line_age_seconds",
        "gauge",
        "Since the line was told by which the door lets in; 0: there is none.",
        lambda d: max(0.0, time.time() - d.line_at_ms / 1000) if d.line_at_ms else 0.0,
    ),
    Declared("stentor_door_refused_total", "counter", "Requests answered with an error.", lambda d: d.refused),
    Declared(
        "stentor_door_shed_total",
        "counter",
        "Requests told to come again, for more asked than can be answered.",
        lambda d: d.shed,
    ),
    Declared("stentor_door_cpu_share", "gauge", "The share of a core that the door took lately.", lambda d: d.cpu),
    Declared("stentor_door_report_age_seconds", "gauge", "Since the door last said anything.", _age_s),
)
_STAGE = (
    Declared(
        "stentor_show_phase",
        "gauge",
        "1 for the phase that the show on stage is in.",
        lambda s: {phase.value: float(s.phase is phase) for phase in PHASES} if s.show else {},
        "phase",
    ),
    Declared("stentor_stage_chunk", "gauge", "The newest chunk that is out in every rendition.", lambda s: s.n),
    Declared(
        "stentor_stage_speakers",
        "gauge",
        "Speakers connected.",
        lambda s: {
            "on air": sum(one.on_air for one in s.speakers),
            "backstage": sum(not one.on_air for one in s.speakers),
        },
        "where",
    ),
    Declared(
        "stentor_stage_late_ticks_total",
        "counter",
        "Ticks of the mixer that began a whole tick late.",
        lambda s: s.late_ticks,
    ),
    Declared(
        "stentor_stage_late_chunks_total", "counter", "Chunks made too late to be aired.", lambda s: s.late_chunks
    ),
    Declared("stentor_stage_report_age_seconds", "gauge", "Since the studio last said anything.", _age_s),
    Declared(
        "stentor_speaker_concealed_frames_total",
        "counter",
        "Frames of 20 ms made up for lost packets.",
        lambda s: {one.seat: one.concealed for one in s.speakers},
        "seat",
    ),
    Declared(
        "stentor_speaker_lost_packets_total",
        "counter",
        "Packets that never came.",
        lambda s: {one.seat: one.lost for one in s.speakers},
        "seat",
    ),
    Declared(
        "stentor_speaker_jitter_seconds",
        "gauge",
        "Interarrival jitter (RFC 3550).",
        lambda s: {one.seat: one.jitter_ms / 1000 for one in s.speakers},
        "seat",
    ),
    Declared("stentor_tape_chunk", "gauge", "The newest chunk that is safe on disk.", lambda s: s.tape.durable_n),
    Declared(
        "stentor_tape_pending_bytes",
        "gauge",
        "Of the tape in memory, for the disk has not taken them.",
        lambda s: s.tape.pending_bytes,
    ),
    Declared(
        "stentor_tape_problem",
        "gauge",
        "1 while the disk does not take the tape.",
        lambda s: float(bool(s.tape.problem)),
    ),
)
_USHER = (
    Declared(
        "stentor_usher_hold_chunks_total",
        "counter",
        "Chunks filled with hold in the stage's place.",
        lambda u: u.hold_chunks,
    ),
    Declared("stentor_usher_report_age_seconds", "gauge", "Since the usher last said anything.", _age_s),
)
VERDICTS = tuple(board.Verdict)
_SHIELD = (
    Declared(
        "stentor_shield_verdict",
        "gauge",
        "What those at the door are taken for: 1 at the one that holds.",
        lambda v: {verdict.value: float(v.verdict is verdict) for verdict in VERDICTS},
        "verdict",
    ),
    Declared("stentor_shield_level", "gauge", "0 open, 1 crowd, 2 doubt, 3 attack, 4 siege.", lambda v: v.level),
    Declared("stentor_shield_rules", "gauge", "Rules in force.", lambda v: v.rules),
    Declared("stentor_shield_sources", "gauge", "Addresses that were seen in 10 s.", lambda v: v.sources),
    Declared("stentor_shield_joins", "gauge", "Joins that were asked for in 10 s.", lambda v: v.joins),
    Declared("stentor_shield_completed", "gauge", "Sessions that were heard in 10 s.", lambda v: v.completed),
    Declared("stentor_shield_age_seconds", "gauge", "Since the last verdict.", _age_s),
)
_LADDER = (
    Declared(
        "stentor_ladder_rung", "gauge", "What is given up: 0 nothing, 1-2 latency, 3-4 bitrate.", lambda v: v.rung
    ),
    Declared("stentor_ladder_group_chunks", "gauge", "Chunks that go out at a time.", lambda v: v.group),
    Declared("stentor_ladder_cap_listeners", "gauge", "Seats: listeners that are let in.", lambda v: v.cap),
    Declared(
        "stentor_ladder_capacity_listeners",
        "gauge",
        "Listeners that the edges carry at each rung.",
        lambda v: {str(rung): float(count) for rung, count in enumerate(v.capacity)},
        "rung",
    ),
)
_LEVELS = (
    Declared("stentor_level_dbfs", "gauge", "Peak since the last value; `program` is the mix.", lambda v: v.dbfs, "of"),
)
_LINE = (
    Declared(
        "stentor_line_gate",
        "gauge",
        "1 for how the door lets in at the moment.",
        lambda v: {gate.value: float(v.gate is gate) for gate in board.Gate},
        "gate",
    ),
    Declared("stentor_line_seats", "gauge", "Seats there are.", lambda v: v.cap),
    Declared(
        "stentor_line_seats_free", "gauge", "Seats that can be given; below 0: so many too few.", lambda v: v.free
    ),
    Declared("stentor_line_called", "gauge", "Places let in that have not arrived yet.", lambda v: v.called),
    Declared("stentor_line_waiting", "gauge", "Places that wait.", lambda v: v.waiting),
    Declared(
        "stentor_line_rate_hertz",
        "gauge",
        "Places let in a second as listeners leave; 0: not known yet.",
        lambda v: v.rate_mps / 1000,
    ),
    Declared("stentor_line_age_seconds", "gauge", "Since the usher last said anything of the line.", _age_s),
)
_KINDS = (
    ("edge-", board.Edge, _EDGE),
    ("door-", board.Door, _DOOR),
    ("stage", board.Stage, _STAGE),
    ("usher", board.Usher, _USHER),
    ("ladder", board.Ladder, _LADDER),
    ("shield", board.Shield, _SHIELD),
    ("levels", board.Levels, _LEVELS),
    ("line-", board.Line, _LINE),
)
_OWNERS = {"edge-": "worker", "door-": "worker", "line-": "show"}  # label that tells the values of a kind apart


def route(values: Board, token: str) -> list[BaseRoute]:
    """GET /crew/metrics for who holds `token`; none if that is empty."""

    def scrape(request: Request) -> Response:
        if not hmac.compare_digest(bearer_token(request).encode(), token.encode()):
            raise Problem(401, "not-authorized", "The metrics are for the bearer of metrics_token.")
        return Response(exposition(values), media_type=CONTENT_TYPE)

    return [Route("/crew/metrics", scrape)] if token else []


def exposition(values: Board) -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(values))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, values: Board) -> None:
        self._values = values

    def collect(self) -> Iterable[Metric]:
        for prefix, kind, declared in _KINDS:
            found = list(_read(self._values, prefix, kind))
            yield from (_family(metric, prefix, found) for metric in declared)


def _read(values: Board, prefix: str, kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """(worker or show, value) of each key; one that cannot be read is left out."""
    for key in values.keys(prefix):
        if not prefix.endswith("-") and key != prefix:
            continue
        try:
            value = values.get(key, kind)
        except (BoardError, OSError):
            continue
        if value is not None:
            yield key.removeprefix(prefix), value


def _labels(metric: Declared, prefix: str) -> list[str]:
    return [*([_OWNERS[prefix]] if prefix in _OWNERS else []), *([metric.label] if metric.label else [])]


def _family(metric: Declared, prefix: str, found: list[tuple[str, Any]]) -> Metric:
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = make(metric.name, metric.text, labels=_labels(metric, prefix))
    for owner, value in found:
        samples = metric.read(value)
        who = [owner] if prefix in _OWNERS else []
        for label, number in (samples if isinstance(samples, dict) else {None: samples}).items():
            family.add_metric([*who, *([label] if label is not None else [])], number)
    return family


def table() -> str:
    """docs/METRICS.md: every metric with its kind, labels and sentence."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(_labels(metric, prefix))} | {metric.text} |"
        for prefix, _, declared in _KINDS
        for metric in declared
    ]
    return "\n".join([_TABLE_HEAD, *rows])


_TABLE_HEAD = """# Metrics

Made by `python -m stentor.nodes.metrics`; do not edit. `GET /crew/metrics` on the desk's port, with the setting
`metrics_token` as the bearer token, gives them in Prometheus' text format. A counter begins anew when its process does.

| Name | Kind | Labels | Meaning |
|---|---|---|---|"""

if __name__ == "__main__":
    print(table())
