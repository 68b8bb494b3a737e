"""Run by alembic: migrates the connection it was handed.

To write a new migration: `alembic -x url=sqlite:///scratch.sqlite3 -c src/stentor/io/records/migrations/alembic.ini
revision --autogenerate -m "what changes"`.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from stentor.io.records.tables import Base


def _run(connection: Connection) -> None:
    # SQLite can change a table only by copying it, which is what batches do.
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


_given = context.config.attributes.get("connection")
if _given is not None:
    _run(_given)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as _connection:
        _run(_connection)
