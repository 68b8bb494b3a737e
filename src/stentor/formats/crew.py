"""The desk's API as values: what crew, speakers and the command line send, and what they are answered (JSON)."""

from __future__ import annotations

from typing import Literal

import msgspec

from stentor.model.board import Ladder, Levels, Line, Phase, Rule, Shield, Stage, Usher, Wish

CrewWish = Literal["go", "hold", "end", "cancel"]
ClassName = Literal["crew", "reconnect", "invited", "drawn", "late"]  # of formats/ticket.Class


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a client sends. A field that is not known is an error, so that a misspelt one is not lost."""


class NewShow(Order, frozen=True):
    """POST /admin/shows. Exactly one of `starts_at_ms` (Unix) and `starts_in_s` is given.

    `on_air` names those who are on air from the start; `link_life_s` is how long guests' links work (0: until the end).
    Doors open `open_before_s` before the start (null: as the setting says), the draw is `draw_before_s` before it
    (null: no draw), the show is planned to last `lasts_s` (null: not known). `beacon_name` says which public value the
    draw will take up.
    """

    title: str
    starts_at_ms: int | None = None
    starts_in_s: float | None = None
    guests: tuple[str, ...] = ()
    host: str = "Host"
    chunk_ms: int = 500
    on_air: tuple[str, ...] = ()
    link_life_s: int = 0
    open_before_s: float | None = None
    draw_before_s: float | None = None
    lasts_s: float | None = None
    beacon_name: str = ""


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


class DoorOrder(Order, frozen=True):
    """`closed`: nobody new is let in. Who is in line keeps their place, who listens goes on."""

    closed: bool


class RungOrder(Order, frozen=True):
    """The least that is given up, 0 to 4 (core/ladder.py); -1: by measure alone."""

    rung: int


class ReleaseOrder(Order, frozen=True):
    """Lift the rule against `target` (a network as a rule has it), and make none against it again. `clear`: rules may
    be made again against all who were released."""

    target: str = ""
    clear: bool = False


class DryRunOrder(Order, frozen=True):
    """Make rules and write them down, but enforce none."""

    dry_run: bool


class SiegeOrder(Order, frozen=True):
    """Let in only who has a ticket or a place."""

    siege: bool


class BeaconOrder(Order, frozen=True):
    """What the beacon that was named turned out to be."""

    value: str


class RevokeOrder(Order, frozen=True):
    """Tickets and places that are void from now on, beside those that are already: by id of their key, by class, by
    range of seq (first, last). `clear` makes all good again that were void before."""

    keys: tuple[int, ...] = ()
    classes: tuple[ClassName, ...] = ()
    seqs: tuple[tuple[int, int], ...] = ()
    clear: bool = False


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


class RevokedView(Answer, frozen=True):
    keys: tuple[int, ...]
    classes: tuple[ClassName, ...]
    seqs: tuple[tuple[int, int], ...]


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
    draws_at_ms: int
    ends_at_ms: int
    closed: bool
    rung: int
    beacon_name: str
    beacon: str
    revoked: RevokedView
    dry_run: bool
    siege: bool


class EdgeTotals(Answer, frozen=True):
    """Sums over the edge workers heard of lately; `silent` counts the others. `worst_late_ms` is the worst of all.

    `listeners` are connected; who plays HLS is not: `hls_signed` say by beacons that they listen, `hls_estimated` is an
    estimate of those who cannot."""

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
    arrivals: int
    renewed: int
    replaced: int
    hls_signed: int
    hls_estimated: int


class DoorTotals(Answer, frozen=True):
    """Sums over the door workers heard of lately; `silent` counts the others."""

    workers: int
    silent: int
    requests: int
    tickets: int
    places: int
    refused: int
    shed: int


class CrewState(Answer, frozen=True):
    """All that the crew page shows. `stage` and `levels` are null while the stage has another show or none.

    `line` is null until the usher has one for this show, and comes without its table. `joins_hz`: listeners that came
    to the edges, a second, over the last ten; null while that is not known. `age_ms`: how long ago stage, levels,
    usher, line, shield and (newest) edge and door worker were heard of; null: never. `shield` is null until the usher
    has judged; `rules` are those that matter most, `shield.rules` says how many there are.
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
    line: Line | None
    ladder: Ladder | None
    doors: DoorTotals
    joins_hz: float | None
    shield: Shield | None
    rules: tuple[Rule, ...]


class ShieldView(Answer, frozen=True):
    """GET /admin/shows/{show}/shield: the verdict and every rule, with whom it is against. `shield` is null until the
    usher has judged. `dry_run`, `siege`: as the crew wants it."""

    shield: Shield | None
    rules: tuple[Rule, ...]
    dry_run: bool
    siege: bool


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
    """One change: as kept, and in words. `token` tells links apart without being one; "admin" is the command line."""

    revision: int
    at_ms: int
    token: str
    what: str
    who: str
    said: str


class Actions(Answer, frozen=True):
    """The latest changes of a show, newest first, at most a hundred."""

    actions: tuple[Action, ...]


class Shows(Answer, frozen=True):
    """Newest first, at most a hundred."""

    shows: tuple[ShowView, ...]


class ShowDetail(Answer, frozen=True):
    """One show, its line and ladder as far as there are any, and its latest changes, newest first."""

    show: ShowView
    listener_link: str
    actions: tuple[Action, ...]
    line: Line | None
    ladder: Ladder | None
