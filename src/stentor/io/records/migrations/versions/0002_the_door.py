"""What the crew wants of the door: draw, planned end, closed, step of the ladder, beacon, what is revoked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _columns() -> tuple[sa.Column, ...]:
    """With defaults of the database's own, so that SQLite adds them in place. To copy the table would mean to drop it,
    and with it, by their foreign keys, all seats and actions."""
    return (
        sa.Column("draws_at_ms", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("ends_at_ms", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("closed", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("rung", sa.Integer(), nullable=False, server_default="-1"),
        sa.Column("beacon_name", sa.Text(), nullable=False, server_default=""),
        sa.Column("beacon", sa.Text(), nullable=False, server_default=""),
        sa.Column("revoked", sa.Text(), nullable=False, server_default="{}"),
    )


def upgrade() -> None:
    for column in _columns():
        op.add_column("shows", column)


def downgrade() -> None:
    for column in _columns():
        op.drop_column("shows", column.name)
