"""Orders of crew, speakers and the command line, carried out: the same for all, whoever gives them."""

from __future__ import annotations

import socket
from typing import NamedTuple

import structlog
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from stentor.core import desk, desk_door, desk_shield, life
from stentor.core.actions import written
from stentor.core.desk import Limits, Seated
from stentor.core.shows import Entry
from stentor.formats.crew import (
    BeaconOrder,
    CapOrder,
    Done,
    DoorOrder,
    DryRunOrder,
    MuteOrder,
    NewSeat,
    NewShow,
    NoticeOrder,
    Order,
    ReleaseOrder,
    RevokeOrder,
    RungOrder,
    SeatMade,
    SeatOrder,
    ShowMade,
    SiegeOrder,
    WishOrder,
)
from stentor.formats.invite import Rng
from stentor.formats.ledger import kind_of
from stentor.formats.refusal import Reason, Refusal
from stentor.io.http import ErrorHandler, Problem, problem_response
from stentor.io.records import RecordsError
from stentor.model.board import Show
from stentor.nodes.desk_keeper import Keeper, Kept, Step, now_ms
from stentor.settings import Settings

log = structlog.get_logger()
ADMIN = "admin"  # stands in the records for the command line, which has no link

_ANSWERS: dict[Reason, tuple[int, str]] = {
    Reason.INPUT: (422, "The request is not valid."),
    Reason.TOKEN_MISSING: (401, "A link is needed."),
    Reason.TOKEN_UNKNOWN: (401, "The link is not known."),
    Reason.TOKEN_EXPIRED: (403, "The link has expired."),
    Reason.SEAT_REMOVED: (403, "The seat was removed."),
    Reason.CREW_ONLY: (403, "Only the crew may do that."),
    Reason.SHOW_UNKNOWN: (404, "The show is not known."),
    Reason.SEAT_UNKNOWN: (404, "The seat is not known."),
    Reason.SHOW_OVER: (409, "The show is over."),
    Reason.SHOWS_FULL: (409, "Too many shows are announced."),
    Reason.SEATS_FULL: (409, "There is no seat left."),
    Reason.NAME_TAKEN: (409, "The name is taken."),
    Reason.CREW_STAYS: (409, "The host stays."),
    Reason.WISH_REFUSED: (409, "The show is past that."),
    Reason.BEACON_REFUSED: (409, "The beacon is not taken."),
    Reason.REVOKED_FULL: (409, "Too much is revoked one by one."),
    Reason.BOARD_FULL: (409, "There is no room for that."),
}


def problem(refusal: Refusal) -> Problem:
    """The answer to an order that is refused."""
    status, title = _ANSWERS[refusal.reason]
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return Problem(status, refusal.reason.value, title, refusal.detail, headers)


async def _on_records_error(_: Request, error: Exception) -> Response:
    log.error("records failed", error=str(error))
    detail = "Nothing was changed. Try again in a moment."
    return problem_response(503, "records-failed", "The desk cannot write its records.", detail, {"Retry-After": "2"})


ERRORS: dict[type[Exception], ErrorHandler] = {RecordsError: _on_records_error}


class Links:
    """Addresses to give away. Secrets stand behind the `#`, which browsers keep to themselves."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        wildcard = settings.bind in ("0.0.0.0", "::")
        name = (settings.advertise.split(",")[0].strip() or socket.gethostname()) if wildcard else settings.bind
        self._host = f"[{name}]" if ":" in name else name

    def crew(self, token: str, host: str = "") -> str:
        return f"{self._origin(self._settings.desk_port, host)}/crew/#{token}"

    def speaker(self, token: str, host: str = "") -> str:
        return f"{self._origin(self._settings.desk_port, host)}/crew/speak#{token}"

    def listener(self, show_id: str, host: str = "") -> str:
        return f"{self._origin(self._settings.door_port, host)}/s/{show_id}"

    def _origin(self, port: int, host: str) -> str:
        if self._settings.public_url:
            return self._settings.public_url.rstrip("/")
        return f"{self._settings.scheme}://{host or self._host}:{port}"


class Call(NamedTuple):
    """Who wants something of what: `by` stands in the records, `host` is how the caller reached the desk."""

    show_id: str
    by: str = ADMIN
    seat_id: str = ""
    host: str = ""


class Orders:
    """Each method carries out one order and answers, or raises `Problem` with the reason (`RecordsError` as it is)."""

    def __init__(self, keeper: Keeper, settings: Settings, rng: Rng) -> None:
        self.links = Links(settings)
        self._keeper = keeper
        self._limits = Limits(settings.speakers_max, settings.open_before_s * 1000)
        self._rng = rng

    async def create(self, order: NewShow) -> ShowMade:
        made = await self._keeper.create(lambda: desk.create_show(order, self._limits, now_ms(), self._rng), ADMIN)
        if isinstance(made, Refusal):
            raise problem(made)
        revision, (show, tokens) = made
        host, *guests = show.seats
        return ShowMade(
            revision=revision,
            show=show.id,
            starts_at_ms=show.starts_at_ms,
            crew_link=self.links.crew(tokens[host.id]),
            crew_token=tokens[host.id],
            guest_links={seat.name: self.links.speaker(tokens[seat.id]) for seat in guests},
            listener_link=self.links.listener(show.id),
        )

    async def wish(self, call: Call, order: WishOrder) -> Done:
        def step(entry: Entry) -> Show | Refusal:
            leads_to = life.outcome(entry.phase, order.wish)
            return desk.set_wish(entry.show, order.wish, order.reason, entry.phase, leads_to)

        return await self._done(call, "wish", order, step)

    async def notice(self, call: Call, order: NoticeOrder) -> Done:
        return await self._done(call, "notice", order, lambda entry: desk.set_notice(entry.show, order.text))

    async def cap(self, call: Call, order: CapOrder) -> Done:
        return await self._done(call, "cap", order, lambda entry: desk.set_cap(entry.show, order.cap))

    async def door(self, call: Call, order: DoorOrder) -> Done:
        return await self._done(call, "door", order, lambda entry: desk_door.set_closed(entry.show, order.closed))

    async def rung(self, call: Call, order: RungOrder) -> Done:
        return await self._done(call, "rung", order, lambda entry: desk_door.set_rung(entry.show, order.rung))

    async def release(self, call: Call, order: ReleaseOrder) -> Done:
        """The records keep that somebody was released, and of what kind the address is: addresses are on no disk."""
        nameless = replace(order, target=kind_of(order.target) if order.target else "")
        return await self._done(call, "release", nameless, lambda entry: desk_shield.release(entry.show, order))

    async def dry_run(self, call: Call, order: DryRunOrder) -> Done:
        return await self._done(
            call, "dry-run", order, lambda entry: desk_shield.set_dry_run(entry.show, order.dry_run)
        )

    async def siege(self, call: Call, order: SiegeOrder) -> Done:
        return await self._done(call, "siege", order, lambda entry: desk_shield.set_siege(entry.show, order.siege))

    async def beacon(self, call: Call, order: BeaconOrder) -> Done:
        def step(entry: Entry) -> Show | Refusal:
            line = self._keeper.line(call.show_id)
            return desk_door.set_beacon(entry.show, order.value, drawn=bool(line and line.key))

        return await self._done(call, "beacon", order, step)

    async def revoke(self, call: Call, order: RevokeOrder) -> Done:
        return await self._done(call, "revoke", order, lambda entry: desk_door.set_revoked(entry.show, order))

    async def change_seat(self, call: Call, order: SeatOrder) -> Done:
        def step(entry: Entry) -> Show | Refusal:
            return desk.change_seat(entry.show, call.seat_id, order)

        return await self._done(call, f"seat {call.seat_id}", order, step)

    async def mute(self, call: Call, order: MuteOrder) -> Done:
        return await self.change_seat(call, SeatOrder(muted=order.muted))

    async def add_seat(self, call: Call, order: NewSeat) -> SeatMade:
        def step(entry: Entry) -> Seated | Refusal:
            now_s = now_ms() // 1000
            return desk.add_seat(entry.show, order.name, order.link_life_s, self._limits, now_s, self._rng)

        return self._seat_made(call, await self._change(call, "add", order, step))

    async def renew_seat(self, call: Call, order: Order) -> SeatMade:
        def step(entry: Entry) -> Seated | Refusal:
            return desk.renew_seat(entry.show, call.seat_id, self._limits, self._rng)

        return self._seat_made(call, await self._change(call, f"renew {call.seat_id}", order, step))

    def _seat_made(self, call: Call, kept: Kept) -> SeatMade:
        assert isinstance(kept.result, Seated)
        seat, token = kept.result.seat, kept.result.token
        link = self.links.crew if seat.crew else self.links.speaker
        return SeatMade(kept.revision, seat.id, link(token, call.host) if token else "")

    async def _done(self, call: Call, verb: str, order: Order, step: Step) -> Done:
        return Done((await self._change(call, verb, order, step)).revision)

    async def _change(self, call: Call, verb: str, order: Order, step: Step) -> Kept:
        what = f"{verb} {written(order)}"
        kept = await self._keeper.change(call.show_id, call.by, what, step)
        if isinstance(kept, Refusal):
            raise problem(kept)
        return kept
