"""The records on a real SQLite file: everything that is stored comes back, and migrations make what the models say."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from msgspec.structs import replace
from sqlalchemy import create_engine, text

from stentor.io.records import Change, Records, RecordsError, Stored, store
from stentor.io.records.tables import Base
from stentor.model.board import Phase, Revoked, Seat, Show

HOST = Seat(id="host-aaaa", name="Host", token_hash="0" * 64, crew=True, on_air=True)
GUEST = Seat(id="ada-bbbb", name="Ada", token_hash="1" * 64, muted=True, expires_at=77)
SHOW = Show(
    id="town-hall-x7k2",
    title="Town hall ✓",
    starts_at_ms=2_000_000_000_000,
    opens_at_ms=1_999_999_100_000,
    chunk_ms=250,
    notice="Soon",
    cap=10,
    seats=(HOST, GUEST),
    draws_at_ms=1_999_999_800_000,
    ends_at_ms=2_000_007_200_000,
    closed=True,
    dry_run=True,
    siege=True,
    rung=2,
    beacon_name="drand 4242",
    beacon="ab12",
    revoked=Revoked((7,), (5,), ((1, 9), (20, 2**32 - 1))),
)


def _change(revision: int, what: str = "change") -> Change:
    return Change(revision, 1_000 + revision, "admin", what)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "stentor.sqlite3"


@pytest.fixture
def records(path: Path) -> Iterator[Records]:
    records = Records(f"sqlite:///{path}")
    yield records
    records.close()


def test_an_empty_database(records: Records) -> None:
    assert records.revision() == 0
    assert records.current(0) == []
    assert records.find("x") is None


def test_a_show_comes_back_as_it_was(records: Records, path: Path) -> None:
    records.store(SHOW, _change(1, "create"))
    again = Records(f"sqlite:///{path}")
    assert again.find(SHOW.id) == Stored(SHOW, Phase.ANNOUNCED, 0)
    assert again.revision() == 1
    again.close()


def test_who_is_released_is_on_no_disk(records: Records, path: Path) -> None:
    records.store(replace(SHOW, released=("203.0.113.7/32",)), _change(1))
    assert records.find(SHOW.id) == Stored(SHOW, Phase.ANNOUNCED, 0)
    records.close()
    assert not any(b"203.0.113" in file.read_bytes() for file in path.parent.iterdir())


def test_a_changed_show_keeps_its_seats_in_order(records: Records) -> None:
    records.store(SHOW, _change(1))
    renewed = replace(GUEST, token_hash="2" * 64, removed=True)
    changed = replace(SHOW, wish="hold", reason="late", seats=(HOST, renewed, replace(GUEST, id="bob-cccc")))
    records.store(changed, _change(2))
    stored = records.find(SHOW.id)
    assert stored is not None and stored.show == changed


def test_changes_are_listed_newest_first(records: Records) -> None:
    for revision in range(1, 4):
        records.store(SHOW, _change(revision, f"step {revision}"))
    assert [change.what for change in records.changes(SHOW.id)] == ["step 3", "step 2", "step 1"]
    assert [change.revision for change in records.changes(SHOW.id, limit=1)] == [3]
    assert records.changes("another") == []


def test_the_newest_changes_of_each_show_are_kept(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ACTIONS_MAX", 3)
    records.store(replace(SHOW, id="other", seats=()), _change(1))
    for revision in range(2, 9):
        records.store(SHOW, _change(revision))
    assert [change.revision for change in records.changes(SHOW.id)] == [8, 7, 6]
    assert [change.revision for change in records.changes("other")] == [1]
    assert records.revision() == 8


def test_current_are_those_not_over_and_those_over_lately(records: Records) -> None:
    old, late = replace(SHOW, id="old", seats=()), replace(SHOW, id="late", seats=())
    for revision, show in enumerate((old, late, SHOW), start=1):
        records.store(show, _change(revision))
    records.store_over("old", Phase.ENDED, 5_000)
    records.store_over("late", Phase.CANCELLED, 9_000)
    records.store_over("unknown", Phase.ENDED, 9_000)
    found = [(stored.show.id, stored.phase, stored.over_at_ms) for stored in records.current(6_000)]
    assert found == [("late", Phase.CANCELLED, 9_000), (SHOW.id, Phase.ANNOUNCED, 0)]
    assert [stored.show.id for stored in records.latest()] == [SHOW.id, "late", "old"]


def test_a_change_is_whole_or_not_at_all(records: Records) -> None:
    records.store(SHOW, _change(1))
    with pytest.raises(RecordsError):
        records.store(replace(SHOW, title="Other"), _change(1))  # a revision is taken once
    stored = records.find(SHOW.id)
    assert stored is not None and stored.show.title == SHOW.title


def test_errors_do_not_tell_what_was_written(records: Records) -> None:
    records.store(SHOW, _change(1))
    with pytest.raises(RecordsError) as caught:
        records.store(replace(SHOW, id="other"), _change(2))  # the same token hashes
    assert HOST.token_hash not in str(caught.value)


def test_sqlite_is_set_up_for_a_power_cut(records: Records, path: Path) -> None:
    with records._engine.connect() as connection:
        answers = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert answers == ["wal", 2, 1]
    assert path.stat().st_mode & 0o777 == 0o600


def test_migrations_make_what_the_models_say(records: Records, path: Path) -> None:
    with create_engine(f"sqlite:///{path}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_shows_of_the_first_version_are_taken_over_with_all_that_was_theirs(path: Path) -> None:
    path.parent.mkdir(parents=True)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        store.migrate(connection, "0001")
        for statement in (
            "INSERT INTO shows VALUES ('old', 1, 'Old', 2000, 1000, 500, 'hold', 'late', 'Soon', 9, '', 0)",
            f"INSERT INTO seats VALUES ('old', 'host', 0, 'Host', '{'a' * 64}', 1, 1, 0, 0, 0)",
            "INSERT INTO actions VALUES (1, 1001, 'old', 'admin', 'create')",
        ):
            connection.execute(text(statement))
    engine.dispose()
    records = Records(f"sqlite:///{path}")
    stored = records.find("old")
    host = Seat(id="host", name="Host", token_hash="a" * 64, crew=True, on_air=True)
    old = Show("old", "Old", 2000, 1000, wish="hold", reason="late", notice="Soon", cap=9, seats=(host,))
    assert stored == Stored(old, Phase.ANNOUNCED, 0)  # no draw, open, by measure, nothing revoked
    assert records.changes("old") == [Change(1, 1_001, "admin", "create")]
    records.store(replace(old, closed=True, rung=0), _change(2))
    assert records.current(0)[0].show.closed
    records.close()


def test_a_migration_cut_short_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise RecordsError("cut")

    with monkeypatch.context() as patched:
        migrate = store.migrate
        patched.setattr(store, "migrate", lambda connection: (migrate(connection), cut()))
        with pytest.raises(RecordsError):
            Records(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    Records(f"sqlite:///{path}").close()


def test_what_is_not_a_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "stentor.sqlite3").write_bytes(b"not a database " * 100)
    with pytest.raises(RecordsError, match="not a database"):
        Records(f"sqlite:///{tmp_path}/stentor.sqlite3")


def test_two_who_write_at_once_wait_for_each_other(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of one show is stored apart from what the crew wants of another."""
    records.store(replace(SHOW, id="old", seats=()), _change(1))
    ends = threading.Thread(target=records.store_over, args=("old", Phase.ENDED, 1))
    fill = store._fill

    def meanwhile(row: store.ShowRow, show: Show) -> None:
        ends.start()
        ends.join(0.3)  # it comes through, or waits for us
        fill(row, show)

    monkeypatch.setattr(store, "_fill", meanwhile)
    records.store(SHOW, _change(2))
    ends.join()
    assert {stored.show.id: stored.phase for stored in records.latest()}["old"] is Phase.ENDED
    assert records.revision() == 2
