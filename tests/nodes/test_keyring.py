"""The keys of tickets as door and edge hold them: kept up with the clock, and what is left when the disk fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stentor.core.keys import HOURS_KEPT
from stentor.formats.ticket import HOUR_S
from stentor.nodes.keyring import SHOWS_MAX, Keyring
from stentor.settings import Settings

NOW = 500_000 * HOUR_S + 100
HOUR_ID = 500_000 % 128


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", run_dir=tmp_path / "run")


def looked(settings: Settings, now: int = NOW) -> Keyring:
    ring = Keyring(settings)
    ring.look(now)
    return ring


def names(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.keys_dir.iterdir())


def test_door_and_edge_have_the_same_keys_whoever_is_first(settings: Settings) -> None:
    edge, door = looked(settings), looked(settings)
    edge.follow("show-1", ())
    admitting, lasting = door.admitting("show-1", (), NOW), door.lasting("show-1", ())
    assert admitting is not None and lasting is not None
    assert edge.by_id == {admitting.id: admitting.secret, lasting.id: lasting.secret}
    assert (admitting.id, lasting.id, lasting.group) == (HOUR_ID, 128, 1)


def test_the_clock_brings_keys_and_takes_them_away(settings: Settings) -> None:
    ring = looked(settings)
    by_id, first = ring.by_id, dict(ring.by_id)
    ring.look(NOW + HOUR_S)
    assert set(by_id) == {HOUR_ID, HOUR_ID + 1} and by_id[HOUR_ID] == first[HOUR_ID]
    for hour in range(2, 12):
        ring.look(NOW + hour * HOUR_S)
    assert set(by_id) == {HOUR_ID + 10, HOUR_ID + 11}
    assert len(names(settings)) == HOURS_KEPT


def test_a_clock_that_is_put_back_finds_the_keys_that_were(settings: Settings) -> None:
    before = dict(looked(settings).by_id)
    ring = looked(settings, NOW + HOUR_S)
    ring.look(NOW)
    assert {key_id: ring.by_id[key_id] for key_id in before} == before


def test_a_show_that_is_announced_keeps_its_key_though_nobody_asks_for_days(settings: Settings) -> None:
    """Doors may open a week before the draw, and places of the first day count on the last."""
    ring = looked(settings)
    given = [ring.lasting(show, ()) for show in ("friday", "long-over")]
    for path in settings.keys_dir.glob("show-*"):
        os.utime(path, (0, 0))
    ring.look(NOW + HOUR_S, ("friday", "not-asked-for-yet"))
    again = looked(settings, NOW + HOUR_S)
    assert again.lasting("friday", ()) == given[0]
    assert again.lasting("long-over", ()) != given[1]


def test_what_is_revoked_mints_no_more(settings: Settings) -> None:
    ring = looked(settings)
    revoked = (HOUR_ID, 128)
    admitting = ring.admitting("show-1", revoked, NOW)
    assert admitting is not None and admitting.id == 129
    ring.follow("show-1", revoked)
    assert set(ring.by_id) == {HOUR_ID, 128, 129}, "they are known, so that it can be said that they are revoked"
    assert ring.lasting("show-1", range(128, 256)) is None
    assert ring.admitting("show-1", (HOUR_ID, *range(128, 256)), NOW) is None


def test_with_a_bad_file_the_door_mints_by_the_key_of_the_show(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.keys_dir.mkdir(parents=True)
    path = settings.keys_dir / f"hour-1-{NOW // HOUR_S}.key"
    path.write_bytes(b"short")
    ring = looked(settings)
    ring.look(NOW)
    admitting = ring.admitting("show-1", (), NOW)
    assert admitting is not None and admitting.id == 128
    assert capsys.readouterr().out.count("a key of tickets cannot be had") == 1
    path.unlink()
    ring.look(NOW)
    admitting = ring.admitting("show-1", (), NOW)
    assert admitting is not None and admitting.id == HOUR_ID


def test_however_many_shows_there_were_few_keys_are_kept_in_memory(settings: Settings) -> None:
    ring = looked(settings)
    found = [ring.lasting(f"show-{number}", ()) for number in range(SHOWS_MAX + 5)]
    assert len({key.secret for key in found if key}) == len(found)
    assert len(ring._of_shows) <= SHOWS_MAX
    assert ring.lasting("show-0", ()) == found[0]
