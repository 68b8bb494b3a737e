"""Reading and writing the records. All calls block; the desk makes them in a thread, one at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, delete, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from stentor.io.records.tables import ActionRow, SeatRow, ShowRow
from stentor.model.board import Phase, Revoked, Seat, Show

LIST_MAX = 100
ACTIONS_MAX = 1_000  # changes of one show that are kept, the newest: a guest could press a button all evening
BUSY_TIMEOUT_MS = 5_000
MIGRATIONS = Path(__file__).with_name("migrations")
_WRITES = {"stentor_writes": True}  # an option of connections
# Fields of a show that are no column as they are. Who is released stands on the board alone: addresses are on no disk.
_OF_THEIR_OWN = ("seats", "revoked", "released")


class RecordsError(Exception):
    """The database cannot be opened, read or written; the text says why."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A show as it is kept. `over_at_ms` is 0 until it is known to be ended or cancelled."""

    show: Show
    phase: Phase
    over_at_ms: int


@dataclass(frozen=True, slots=True)
class Change:
    """One change as it was made: `at_ms` is Unix time, `token_id` whose link made it, `what` what was done."""

    revision: int
    at_ms: int
    token_id: str
    what: str


class Records:
    """An open database, brought up to date. Raises `RecordsError` here and from every method."""

    def __init__(self, url: str) -> None:
        with _plain_errors():
            self._engine = _open(url)
            writing = self._engine.execution_options(**_WRITES)
            with writing.begin() as connection:
                migrate(connection)
            self._session = sessionmaker(self._engine, expire_on_commit=False)
            self._writing_session = sessionmaker(writing, expire_on_commit=False)

    def close(self) -> None:
        self._engine.dispose()

    def revision(self) -> int:
        """How many changes were ever made; 0 at first."""
        with self._reading() as session:
            return session.scalar(select(func.max(ActionRow.revision))) or 0

    def current(self, over_since_ms: int) -> list[Stored]:
        """Shows that are not over, and those over since `over_since_ms`; oldest first."""
        wanted = (ShowRow.over_at_ms == 0) | (ShowRow.over_at_ms >= over_since_ms)
        query = select(ShowRow).where(wanted).order_by(ShowRow.created_at_ms, ShowRow.id)
        with self._reading() as session:
            return [_stored(row) for row in session.scalars(query)]

    def latest(self, limit: int = LIST_MAX) -> list[Stored]:
        """The newest shows, newest first."""
        query = select(ShowRow).order_by(ShowRow.created_at_ms.desc(), ShowRow.id).limit(min(limit, LIST_MAX))
        with self._reading() as session:
            return [_stored(row) for row in session.scalars(query)]

    def find(self, show_id: str) -> Stored | None:
        with self._reading() as session:
            row = session.get(ShowRow, show_id)
            return None if row is None else _stored(row)

    def changes(self, show_id: str, limit: int = LIST_MAX) -> list[Change]:
        """The latest changes of a show, newest first."""
        query = select(ActionRow).where(ActionRow.show_id == show_id).order_by(ActionRow.revision.desc())
        with self._reading() as session:
            rows = session.scalars(query.limit(min(limit, LIST_MAX)))
            return [Change(row.revision, row.at_ms, row.token_id, row.what) for row in rows]

    def store(self, show: Show, change: Change) -> None:
        """Keep `show` as it now is, and that it was changed: both or neither."""
        with self._writing() as session:
            row = session.get(ShowRow, show.id) or ShowRow(
                id=show.id, created_at_ms=change.at_ms, over_phase="", over_at_ms=0
            )
            _fill(row, show)
            session.add(row)
            session.flush()
            fields = (change.revision, change.at_ms, show.id, change.token_id, change.what)
            session.add(ActionRow(**dict(zip(ActionRow.__table__.columns.keys(), fields, strict=True))))
            session.flush()
            _forget_old_actions(session, show.id)

    def store_over(self, show_id: str, phase: Phase, at_ms: int) -> None:
        """Keep that a show is over; nothing happens if it is not known."""
        with self._writing() as session:
            row = session.get(ShowRow, show_id)
            if row is not None:
                row.over_phase, row.over_at_ms = phase.value, at_ms

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with _plain_errors(), self._session() as session:
            yield session

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with _plain_errors(), self._writing_session.begin() as session:
            yield session


def _forget_old_actions(session: Session, show_id: str) -> None:
    newest_first = select(ActionRow.revision).where(ActionRow.show_id == show_id).order_by(ActionRow.revision.desc())
    too_old = newest_first.offset(ACTIONS_MAX).limit(1).scalar_subquery()  # null while there are fewer
    session.execute(delete(ActionRow).where(ActionRow.show_id == show_id, ActionRow.revision <= too_old))


def migrate(connection: Connection, revision: str = "head") -> None:
    """Bring the tables to the newest revision, or an earlier one, inside the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        # The driver's words only: SQLAlchemy's hold the statement's parameters.
        cause = getattr(error, "orig", None) or error
        raise RecordsError(f"records: {type(cause).__name__}: {cause}") from None


def _open(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, hide_parameters=True, pool_pre_ping=True)
    if parsed.database:
        path = Path(parsed.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(parsed, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    """Who is going to write waits for whoever writes before it reads: what it has read would be outdated else, and
    SQLite would refuse it at once, whatever the time-out."""
    writes = connection.get_execution_options().items() >= _WRITES.items()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # the driver would leave table definitions outside of transactions
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _stored(row: ShowRow) -> Stored:
    fields = {name: getattr(row, name) for name in Show.__struct_fields__ if name not in _OF_THEIR_OWN}
    revoked = msgspec.json.decode(row.revoked, type=Revoked)
    show = Show(**fields, seats=tuple(_seat(seat) for seat in row.seats), revoked=revoked)
    return Stored(show, Phase(row.over_phase or Phase.ANNOUNCED), row.over_at_ms)


def _seat(row: SeatRow) -> Seat:
    return Seat(**{name: getattr(row, name) for name in Seat.__struct_fields__})


def _fill(row: ShowRow, show: Show) -> None:
    for name, value in msgspec.structs.asdict(show).items():
        if name not in _OF_THEIR_OWN:
            setattr(row, name, value)
    row.revoked = msgspec.json.encode(show.revoked).decode()
    _fill_seats(row, show.seats)


def _fill_seats(row: ShowRow, seats: Sequence[Seat]) -> None:
    known = {seat.id: seat for seat in row.seats}
    row.seats = [known.get(seat.id) or SeatRow(id=seat.id) for seat in seats]
    for position, (seat_row, seat) in enumerate(zip(row.seats, seats, strict=True)):
        seat_row.position = position
        for name, value in msgspec.structs.asdict(seat).items():
            setattr(seat_row, name, value)
