"""What crew and speakers see."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from stentor.core.overview import RULES_SHOWN_MAX, Facts, crew_state, door_totals, edge_totals, show_view, speaker_state
from stentor.formats.crew import RevokedView
from stentor.formats.ticket import Class
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
    Verdict,
)

NOW = 1_000_000
SEAT = Seat(id="ada", name="Ada", token_hash="5ec2e7", on_air=True)
SHOW = Show(id="a", title="A", starts_at_ms=NOW, opens_at_ms=0, seats=(SEAT,))
LEVELS = Levels(NOW - 200, {"program": -20.0})


def test_nothing_heard_of_anybody() -> None:
    state = crew_state(SHOW, Phase.ANNOUNCED, 3, Facts(), NOW)
    assert (state.revision, state.stage, state.levels, state.usher) == (3, None, None, None)
    assert set(state.age_ms) == {"stage", "levels", "usher", "line", "shield", "edges", "doors"}
    assert set(state.age_ms.values()) == {None}
    assert (state.line, state.ladder, state.joins_hz, state.doors.workers) == (None, None, None, 0)


def test_hashes_of_links_are_not_shown() -> None:
    state = crew_state(SHOW, Phase.LIVE, 3, Facts(), NOW)
    assert b"5ec2e7" not in msgspec.json.encode(state)
    assert state.show.seats[0].on_air and state.show.phase is Phase.LIVE


def test_how_long_each_role_has_been_silent() -> None:
    facts = Facts(
        stage=Stage(at_ms=NOW - 100, show="a"),
        levels=LEVELS,
        usher=Usher(at_ms=NOW - 9_000),
        edges=[Edge(at_ms=NOW - 700), Edge(at_ms=NOW - 60_000)],
        doors=[Door(at_ms=NOW - 6_000)],
        line=Line(at_ms=NOW - 250),
        shield=Shield(at_ms=NOW - 150),
    )
    state = crew_state(SHOW, Phase.LIVE, 3, facts, NOW)
    ages = {"stage": 100, "levels": 200, "usher": 9_000, "line": 250, "shield": 150, "edges": 700, "doors": 6_000}
    assert state.age_ms == ages
    assert state.stage == facts.stage and state.levels == LEVELS


def test_the_stage_of_another_show_is_only_named() -> None:
    state = crew_state(SHOW, Phase.OPEN, 3, Facts(stage=Stage(at_ms=NOW, show="b"), levels=LEVELS), NOW)
    assert (state.stage, state.levels, state.stage_show) == (None, None, "b")


def test_edges_are_summed_and_the_silent_left_out() -> None:
    one = Edge(at_ms=NOW, listeners=3, by_rendition={"opus": 2, "mp3": 1}, joins=5, bytes_sent=10, worst_late_ms=4)
    two = Edge(at_ms=NOW - 5_000, listeners=1, by_rendition={"opus": 1}, joins=1, bytes_sent=5, worst_late_ms=9)
    dead = Edge(at_ms=NOW - 5_001, listeners=100)
    totals = edge_totals([one, two, dead], NOW)
    assert (totals.workers, totals.silent, totals.listeners, totals.joins) == (2, 1, 4, 6)
    assert (totals.by_rendition, totals.bytes_sent, totals.worst_late_ms) == ({"opus": 3, "mp3": 1}, 15, 9)


def test_listeners_by_hls_are_apart_and_a_worker_under_two_names_counts_once() -> None:
    before = Edge(at_ms=NOW - 1_000, pid=7, listeners=3, hls_signed=1, hls_estimated=5)
    now = Edge(at_ms=NOW, pid=7, listeners=2, hls_signed=2, hls_estimated=4)
    totals = edge_totals([now, before, Edge(at_ms=NOW, pid=8, listeners=1, hls_signed=1)], NOW)
    assert (totals.workers, totals.silent) == (2, 0)
    assert (totals.listeners, totals.hls_signed, totals.hls_estimated) == (3, 3, 4)


def test_doors_are_summed_and_the_silent_left_out() -> None:
    one = Door(at_ms=NOW, requests=9, tickets=3, places=4, refused=1, shed=2)
    two = Door(at_ms=NOW - 5_000, requests=1, tickets=1, places=1, refused=1, shed=1)
    totals = door_totals([one, two, Door(at_ms=NOW - 5_001, shed=100)], NOW)
    assert (totals.workers, totals.silent, totals.requests, totals.tickets) == (2, 1, 10, 4)
    assert (totals.places, totals.refused, totals.shed) == (5, 2, 3)


def test_the_crew_sees_line_and_ladder_without_what_is_for_those_who_wait() -> None:
    line, ladder = Line(at_ms=NOW, waiting=5, table=((1, 5),)), Ladder(at_ms=NOW, rung=1, capacity=(10, 20))
    state = crew_state(SHOW, Phase.LIVE, 3, Facts(line=line, ladder=ladder, joins_hz=2.5), NOW)
    assert (state.line, state.ladder, state.joins_hz) == (replace(line, table=()), ladder, 2.5)


def test_the_crew_sees_the_verdict_and_the_rules_that_matter_most() -> None:
    """In the order of their making, so that none moves away under a finger."""
    rules = [
        Rule(f"r{at}", "drop", f"203.0.113.{at}/32", at, 99, enforced_ms=int(at != 3), hits=100 - at)
        for at in range(90)
    ]
    shield = Shield(NOW, Verdict.ATTACK, rules=90)
    state = crew_state(SHOW, Phase.LIVE, 3, Facts(shield=shield, rules=rules), NOW)
    assert state.shield == shield
    assert [rule.id for rule in state.rules] == [f"r{at}" for at in range(RULES_SHOWN_MAX + 1) if at != 3]
    view = show_view(replace(SHOW, dry_run=True, siege=True), Phase.LIVE)
    assert (view.dry_run, view.siege) == (True, True)


def test_classes_that_are_revoked_have_their_names() -> None:
    show = replace(SHOW, revoked=Revoked((1,), tuple(map(int, Class)), ((2, 3),)))
    names = tuple(cls.name.lower() for cls in Class)
    assert show_view(show, Phase.LIVE).revoked == RevokedView((1,), names, ((2, 3),))


def test_a_speaker_sees_their_own_seat() -> None:
    state = speaker_state(SHOW, SEAT, Phase.OPEN, 3, 8003, "http://here/s/x")
    assert msgspec.to_builtins(state) == {
        "revision": 3,
        "show": {"id": "a", "title": "A", "starts_at_ms": NOW, "phase": "open"},
        "seat": {"id": "ada", "name": "Ada", "on_air": True, "muted": False},
        "studio_port": 8003,
        "listener_link": "http://here/s/x",
    }
