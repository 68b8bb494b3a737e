"""What the crew wants of the shield: dry run, siege. Not who is released: addresses are on no disk."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _columns() -> tuple[sa.Column, ...]:
    """With defaults of the database's own, as in 0002."""
    return (
        sa.Column("dry_run", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("siege", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def upgrade() -> None:
    for column in _columns():
        op.add_column("shows", column)


def downgrade() -> None:
    for column in _columns():
        op.drop_column("shows", column.name)
