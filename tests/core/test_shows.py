"""Shows on the board: whose link, how far each has come, when one leaves."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from stentor.core.shows import OVER_STAYS_MS, SHOWS_MAX, Entry, Shows
from stentor.model.board import Desk, Phase, Seat, Show, Stage

SHOW = Show(id="a", title="A", starts_at_ms=1_000, opens_at_ms=0, seats=(Seat(id="host", name="H", token_hash="h1"),))
NOW = 5_000


def _shows(*shows: Show) -> Shows:
    return Shows(7, [Entry(show) for show in shows])


def _phase(shows: Shows, show_id: str = "a") -> tuple[Phase, int]:
    entry = shows.get(show_id)
    assert entry is not None
    return entry.phase, entry.over_at_ms


def _stage(phase: Phase, show: str = "a") -> Stage:
    return Stage(at_ms=NOW, show=show, phase=phase)


def test_links_are_found_by_hash_and_follow_changes() -> None:
    shows = _shows(SHOW)
    found = shows.holder("h1")
    assert found is not None and found[1].id == "host"
    shows.receive_change(replace(SHOW, seats=(replace(SHOW.seats[0], token_hash="h2"),)), 8)
    assert shows.holder("h1") is None and shows.holder("h2") is not None
    assert shows.revision == 8


def test_the_phase_is_what_the_studio_says() -> None:
    shows = _shows(SHOW)
    assert shows.receive_stage(None, NOW) == ()
    assert _phase(shows) == (Phase.ANNOUNCED, 0)
    assert shows.receive_stage(_stage(Phase.LIVE), NOW) == ()
    assert _phase(shows) == (Phase.LIVE, 0)
    assert shows.receive_stage(_stage(Phase.OPEN, "another"), NOW) == ()
    assert _phase(shows) == (Phase.LIVE, 0)


def test_a_show_is_over_once() -> None:
    shows = _shows(SHOW)
    (over,) = shows.receive_stage(_stage(Phase.ENDED), NOW)
    assert (over.show.id, over.phase, over.over_at_ms) == ("a", Phase.ENDED, NOW)
    assert shows.receive_stage(_stage(Phase.ENDED), NOW + 1) == ()


def test_a_cancelled_show_that_no_studio_has_is_over() -> None:
    shows = _shows(replace(SHOW, wish="cancel"))
    (over,) = shows.receive_stage(None, NOW)
    assert over.phase is Phase.CANCELLED


def test_a_show_that_is_to_end_is_over_only_when_a_studio_has_let_it_go() -> None:
    shows = _shows(replace(SHOW, wish="end"))
    assert shows.receive_stage(None, NOW) == ()
    assert shows.receive_stage(_stage(Phase.LIVE), NOW) == ()
    (over,) = shows.receive_stage(_stage(Phase.OPEN, "the next"), NOW)
    assert over.phase is Phase.ENDED


def test_a_show_leaves_an_hour_after_its_end() -> None:
    shows = _shows(SHOW)
    shows.receive_stage(_stage(Phase.ENDED), NOW)
    assert not shows.tick(NOW + OVER_STAYS_MS)
    assert shows.tick(NOW + OVER_STAYS_MS + 1)
    assert shows.desk() == Desk(7, ()) and shows.holder("h1") is None


def test_the_oldest_that_is_over_makes_room() -> None:
    running = [replace(SHOW, id=f"s{number}", seats=()) for number in range(SHOWS_MAX - 2)]
    over = [Entry(replace(SHOW, id="old", seats=()), Phase.ENDED, 1), Entry(replace(SHOW, id="new"), Phase.ENDED, 2)]
    shows = Shows(1, [*(Entry(show) for show in running), *over])
    assert shows.has_room()
    shows.receive_change(replace(SHOW, id="one more", seats=()), 2)
    assert shows.tick(10)
    assert shows.get("old") is None and shows.get("new") is not None
    assert len(shows.entries()) == SHOWS_MAX


def test_there_is_no_room_where_none_is_over() -> None:
    shows = _shows(*(replace(SHOW, id=f"s{number}", seats=()) for number in range(SHOWS_MAX)))
    assert not shows.has_room()
    assert not shows.tick(NOW)


def test_the_size_with_a_change_is_the_size_after_it() -> None:
    shows = _shows(SHOW)
    longer = replace(SHOW, title="Longer")
    size = shows.size_with(longer)
    shows.receive_change(longer, 8)
    assert size == len(msgspec.json.encode(shows.desk()))
