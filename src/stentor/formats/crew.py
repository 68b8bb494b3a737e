"""The desk's API as values: what crew, speakers and the command line send, and what they are answered (JSON)."""

from __future__ import annotations

from typing import Literal

import msgspec

from stentor.model.board import Levels, Phase, Stage, Usher, Wish

CrewWish = Literal["go", "hold", "end", "cancel"]


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a client sends. A field that is not known is an error, so that a misspelt one is not lost."""


class NewShow(Order, frozen=True):
    """POST /admin/shows. Exactly one of `starts_at_ms` (Unix) and `starts_in_s` is given.

    `on_air` names those who are on air from the start; `link_life_s` is how long guests' links work (0: until the end).
    """

    title: str
    starts_at_ms: int | None = None
    starts_in_s: float | None = None
    guests: tuple[str, ...] = ()
    host: str = "Host"
    chunk_ms: int = 500
    on_air: tuple[str, ...] = ()
    link_life_s: int = 0


class WishOrder(Order, frozen=True):
    wish: CrewWish
    reason: str = ""


class NewSeat(Order, frozen=True):
    name: str
    link_life_s: int = 0


class SeatOrder(Order, frozen=True):
    """What is to change about a seat; a field left out stays as it is."""

    on_air: bool | None = None
    muted: bool | None = None
    removed: bool | None = None
    name: str | None = None


class NoticeOrder(Order, frozen=True):
    text: str


class CapOrder(Order, frozen=True):
    cap: int


class MuteOrder(Order, frozen=True):
    muted: bool


class RenewOrder(Order, frozen=True):
    """Nothing to say: the seat is in the path."""


class Answer(msgspec.Struct, frozen=True):
    """What the desk answers; every field is there."""


class Done(Answer, frozen=True):
    """The wished state is on the board as of `revision`; the same request again gives the same revision."""

    revision: int


class SeatMade(Answer, frozen=True):
    """`link` is empty where that guest has a link already: links are shown once, a new one is made by `revoke`."""

    revision: int
    seat: str
    link: str


class ShowMade(Answer, frozen=True):
    """Links by guest's name. They are shown here and never again."""

    revision: int
    show: str
    starts_at_ms: int
    crew_link: str
    crew_token: str
    guest_links: dict[str, str]
    listener_link: str


class SeatView(Answer, frozen=True):
    id: str
    name: str
    crew: bool
    on_air: bool
    muted: bool
    removed: bool
    expires_at: int


class ShowView(Answer, frozen=True):
    """A show as the crew wants it; times are Unix milliseconds."""

    id: str
    title: str
    phase: Phase
    starts_at_ms: int
    opens_at_ms: int
    chunk_ms: int
    wish: Wish
    reason: str
    notice: str
    cap: int
    seats: tuple[SeatView, ...]


class EdgeTotals(Answer, frozen=True):
    """Sums over the edge workers heard of lately; `silent` counts the others. `worst_late_ms` is the worst of all."""

    workers: int
    silent: int
    listeners: int
    by_rendition: dict[str, int]
    joins: int
    refused: int
    skips: int
    drops: int
    holds_made: int
    bytes_sent: int
    worst_late_ms: int


class CrewState(Answer, frozen=True):
    """All that the crew page shows. `stage` and `levels` are null while the stage has another show or none.

    `age_ms`: how long ago stage, levels, usher and (newest) edge worker were heard of; null: never.
    """

    now_ms: int
    revision: int
    show: ShowView
    stage: Stage | None
    levels: Levels | None
    edges: EdgeTotals
    usher: Usher | None
    stage_show: str
    age_ms: dict[str, int | None]


class SeatShow(Answer, frozen=True):
    id: str
    title: str
    starts_at_ms: int
    phase: Phase


class OwnSeat(Answer, frozen=True):
    id: str
    name: str
    on_air: bool
    muted: bool


class SpeakerState(Answer, frozen=True):
    """All that the speaker page shows. `studio_port` is 0 where the studio has the page's own origin."""

    revision: int
    show: SeatShow
    seat: OwnSeat
    studio_port: int
    listener_link: str


class Action(Answer, frozen=True):
    """One change, as kept. `token` tells links apart without being one; "admin" is the command line."""

    revision: int
    at_ms: int
    token: str
    what: str


class Shows(Answer, frozen=True):
    """Newest first, at most a hundred."""

    shows: tuple[ShowView, ...]


class ShowDetail(Answer, frozen=True):
    """One show and its latest changes, newest first."""

    show: ShowView
    listener_link: str
    actions: tuple[Action, ...]
