"""Shows, their seats, and the actions on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shows",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("starts_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("opens_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("chunk_ms", sa.Integer(), nullable=False),
        sa.Column("wish", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("notice", sa.Text(), nullable=False),
        sa.Column("cap", sa.Integer(), nullable=False),
        sa.Column("over_phase", sa.String(16), nullable=False),
        sa.Column("over_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shows"),
    )
    op.create_index("ix_shows_created_at_ms", "shows", ["created_at_ms"])
    op.create_index("ix_shows_over_at_ms", "shows", ["over_at_ms"])
    op.create_table(
        "seats",
        sa.Column("show_id", sa.String(32), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("crew", sa.Boolean(), nullable=False),
        sa.Column("on_air", sa.Boolean(), nullable=False),
        sa.Column("muted", sa.Boolean(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["show_id"], ["shows.id"], name="fk_seats_show_id_shows", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("show_id", "id", name="pk_seats"),
        sa.UniqueConstraint("token_hash", name="uq_seats_token_hash"),
    )
    op.create_table(
        "actions",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("show_id", sa.String(32), nullable=False),
        sa.Column("token_id", sa.String(16), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["show_id"], ["shows.id"], name="fk_actions_show_id_shows", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("revision", name="pk_actions"),
    )
    op.create_index("ix_actions_show_id_revision", "actions", ["show_id", "revision"])


def downgrade() -> None:
    op.drop_table("actions")
    op.drop_table("seats")
    op.drop_table("shows")
