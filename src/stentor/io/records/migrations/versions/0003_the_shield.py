"""What the crew wants of the shield."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("dry_run", "siege"):  # in place, as in 0002
        op.add_column("shows", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    for name in ("dry_run", "siege"):
        op.drop_column("shows", name)
