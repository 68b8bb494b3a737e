"""The tables, as SQLAlchemy declares them. A change here needs a migration; a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, MetaData, String, Text, false
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

_NAMES = {  # constraints must have names for migrations to reach them on every database
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMES)


class ShowRow(Base):
    """A show as the crew wants it. `over_phase` is empty and `over_at_ms` 0 until it is ended or cancelled."""

    __tablename__ = "shows"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    created_at_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    title: Mapped[str] = mapped_column(Text)
    starts_at_ms: Mapped[int] = mapped_column(BigInteger)
    opens_at_ms: Mapped[int] = mapped_column(BigInteger)
    chunk_ms: Mapped[int]
    wish: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    notice: Mapped[str] = mapped_column(Text)
    cap: Mapped[int]
    draws_at_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    ends_at_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    closed: Mapped[bool] = mapped_column(server_default=false())
    rung: Mapped[int] = mapped_column(server_default="-1")
    beacon_name: Mapped[str] = mapped_column(Text, server_default="")
    beacon: Mapped[str] = mapped_column(Text, server_default="")
    revoked: Mapped[str] = mapped_column(Text, server_default="{}")  # `board.Revoked` in JSON
    dry_run: Mapped[bool] = mapped_column(server_default=false())
    siege: Mapped[bool] = mapped_column(server_default=false())
    over_phase: Mapped[str] = mapped_column(String(16))
    over_at_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    seats: Mapped[list[SeatRow]] = relationship(
        order_by="SeatRow.position", cascade="all, delete-orphan", lazy="selectin"
    )


class SeatRow(Base):
    """Who may speak. Of the link only its SHA-256 is kept."""

    __tablename__ = "seats"

    show_id: Mapped[str] = mapped_column(ForeignKey("shows.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    position: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    crew: Mapped[bool]
    on_air: Mapped[bool]
    muted: Mapped[bool]
    removed: Mapped[bool]
    expires_at: Mapped[int] = mapped_column(BigInteger)


class ActionRow(Base):
    """One change: its revision, when, by whose link, what. Revisions are counted over all shows."""

    __tablename__ = "actions"
    __table_args__ = (Index("ix_actions_show_id_revision", "show_id", "revision"),)

    revision: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    show_id: Mapped[str] = mapped_column(ForeignKey("shows.id", ondelete="CASCADE"))
    token_id: Mapped[str] = mapped_column(String(16))
    what: Mapped[str] = mapped_column(Text)
