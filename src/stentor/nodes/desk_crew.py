"""The desk's application for crew and speakers. Who they are is the link they hold: `Authorization: Bearer <token>`."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from stentor.core.desk import refuse_link
from stentor.core.overview import crew_state, speaker_state
from stentor.core.pace import Pace
from stentor.core.shows import Entry
from stentor.formats.crew import (
    Actions,
    Answer,
    BeaconOrder,
    CapOrder,
    DoorOrder,
    DryRunOrder,
    MuteOrder,
    NewSeat,
    NoticeOrder,
    Order,
    ReleaseOrder,
    RenewOrder,
    RevokeOrder,
    RungOrder,
    SeatOrder,
    SiegeOrder,
    WishOrder,
)
from stentor.formats.invite import token_hash
from stentor.formats.refusal import Reason, Refusal
from stentor.io.board import Board
from stentor.io.http import Assets, Problem, application, bearer_token, json_response, read_json
from stentor.model.board import Seat
from stentor.nodes import metrics
from stentor.nodes.desk_feed import Feed
from stentor.nodes.desk_keeper import Keeper, now_ms
from stentor.nodes.desk_orders import ERRORS, Call, Orders, problem
from stentor.settings import Settings

CREW_TURNS = 1  # a line at every turn of the feed: four a second
SEAT_TURNS = 2
TOKEN_ID_CHARS = 12  # of a hash's 64: enough to tell links apart in the records
WEB = Path(__file__).parents[1] / "web"

_HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")

OrderT = TypeVar("OrderT", bound=Order)
CarryOut = Callable[[Call, OrderT], Awaitable[Answer]]


class CrewApi:
    """Handlers of /crew/api. Each finds out first whose link it is."""

    def __init__(self, keeper: Keeper, orders: Orders, feed: Feed, studio_port: int) -> None:
        self._keeper = keeper
        self._orders = orders
        self._feed = feed
        self._studio_port = studio_port
        self._pace = Pace()

    def routes(self) -> list[BaseRoute]:
        orders = self._orders
        return [
            Route("/crew/api/show", self.show),
            Route("/crew/api/events", self.show_events),
            self._order("/crew/api/wish", WishOrder, orders.wish),
            self._order("/crew/api/notice", NoticeOrder, orders.notice),
            self._order("/crew/api/cap", CapOrder, orders.cap),
            self._order("/crew/api/door", DoorOrder, orders.door),
            self._order("/crew/api/rung", RungOrder, orders.rung),
            self._order("/crew/api/beacon", BeaconOrder, orders.beacon),
            self._order("/crew/api/revoke", RevokeOrder, orders.revoke),
            self._order("/crew/api/release", ReleaseOrder, orders.release),
            self._order("/crew/api/dry-run", DryRunOrder, orders.dry_run),
            self._order("/crew/api/siege", SiegeOrder, orders.siege),
            Route("/crew/api/actions", self.actions),
            self._order("/crew/api/seats", NewSeat, orders.add_seat),
            self._order("/crew/api/seats/{seat}", SeatOrder, orders.change_seat),
            self._order("/crew/api/seats/{seat}/revoke", RenewOrder, orders.renew_seat),
            Route("/crew/api/seat", self.seat, methods=["GET"]),
            Route("/crew/api/seat", self.mute, methods=["POST"]),
            Route("/crew/api/seat/events", self.seat_events),
        ]

    async def show(self, request: Request) -> Response:
        entry, _ = self._holder(request, crew=True)
        return _json(self._crew_line(entry))

    async def actions(self, request: Request) -> Response:
        entry, _ = self._holder(request, crew=True)
        return json_response(Actions(await self._keeper.actions(entry.show)))

    async def show_events(self, request: Request) -> Response:
        return self._stream(request, lambda entry, seat: self._crew_line(entry), CREW_TURNS, crew=True)

    async def seat(self, request: Request) -> Response:
        return _json(self._seat_line(reached_as(request), *self._holder(request)))

    async def seat_events(self, request: Request) -> Response:
        return self._stream(request, partial(self._seat_line, reached_as(request)), SEAT_TURNS)

    async def mute(self, request: Request) -> Response:
        entry, seat = self._giver(request)
        order = await read_json(request, MuteOrder)
        return json_response(await self._orders.mute(_call(request, entry, seat, seat.id), order))

    def _order(self, path: str, kind: type[OrderT], carry_out: CarryOut[OrderT]) -> Route:
        async def endpoint(request: Request) -> Response:
            entry, seat = self._giver(request, crew=True)
            order = await read_json(request, kind)
            call = _call(request, entry, seat, request.path_params.get("seat", ""))
            return json_response(await carry_out(call, order))

        return Route(path, endpoint, methods=["POST"])

    def _holder(self, request: Request, *, crew: bool = False) -> tuple[Entry, Seat]:
        """Whose link the request carries. Raises `Problem` if it carries none that serves."""
        token = bearer_token(request)
        if not token:
            raise problem(Refusal(Reason.TOKEN_MISSING, "Send Authorization: Bearer with the part behind the #."))
        found = self._keeper.shows.holder(token_hash(token))
        if found is None:
            raise problem(Refusal(Reason.TOKEN_UNKNOWN, "It was replaced by a newer one, or its show is long over."))
        refusal = refuse_link(found[1], now_ms() // 1000)
        if refusal is None and crew and not found[1].crew:
            refusal = Refusal(Reason.CREW_ONLY, "This link is a speaker's.")
        if refusal is not None:
            raise problem(refusal)
        return found

    def _giver(self, request: Request, *, crew: bool = False) -> tuple[Entry, Seat]:
        """As `_holder`, for orders, which a link may not give without end."""
        entry, seat = self._holder(request, crew=crew)
        wait_s = self._pace.take(seat.token_hash, time.monotonic())
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            raise Problem(429, "too-fast", "Too many orders.", "This link may give more in a moment.", headers)
        return entry, seat

    def _stream(
        self, request: Request, line: Callable[[Entry, Seat], bytes], turns: int, *, crew: bool = False
    ) -> Response:
        self._holder(request, crew=crew)
        self._feed.check_room()

        def make() -> bytes | None:  # looks anew each time: a link that is revoked ends its streams
            try:
                return line(*self._holder(request, crew=crew))
            except Problem:
                return None

        return StreamingResponse(self._feed.lines(make, turns), media_type="application/x-ndjson")

    def _crew_line(self, entry: Entry) -> bytes:
        def make() -> bytes:
            facts, revision = self._keeper.facts(entry.show.id), self._keeper.shows.revision
            return msgspec.json.encode(crew_state(entry.show, entry.phase, revision, facts, now_ms()))

        return self._feed.line(f"{self._keeper.shows.revision} {entry.show.id}", make)

    def _seat_line(self, host: str, entry: Entry, seat: Seat) -> bytes:
        revision, link = self._keeper.shows.revision, self._orders.links.listener(entry.show.id, host)
        return msgspec.json.encode(speaker_state(entry.show, seat, entry.phase, revision, self._studio_port, link))


class CrewPages:
    """The crew's and the speakers' page and their files, with a policy that lets them reach the studio."""

    def __init__(self, studio_port: int, web: Path = WEB) -> None:
        self._studio_port = studio_port
        self._files = {name: Assets(directory=web / name) for name in ("crew", "speak", "shared")}

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/crew", self.to_crew),
            Route("/crew/", self.crew),
            Route("/crew/speak", self.speak),
            *(Mount(f"/crew/assets/{name}", files) for name, files in self._files.items()),
        ]

    async def to_crew(self, _: Request) -> Response:
        return RedirectResponse("/crew/", 308)

    async def crew(self, request: Request) -> Response:
        return await self._page(self._files["crew"], request)

    async def speak(self, request: Request) -> Response:
        return await self._page(self._files["speak"], request)

    async def _page(self, files: Assets, request: Request) -> Response:
        response = await files.get_response("index.html", request.scope)
        response.headers["Content-Security-Policy"] = self._policy(reached_as(request))
        response.headers["Permissions-Policy"] = "microphone=(self)"
        return response

    def _policy(self, host: str) -> str:
        port = self._studio_port
        studio = f" http://{host}:{port} https://{host}:{port}" if port and host else ""
        return (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
            f"connect-src 'self'{studio}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )


def crew_app(keeper: Keeper, orders: Orders, feed: Feed, settings: Settings) -> ASGIApp:
    studio_port = 0 if settings.public_url else settings.studio_port
    api = CrewApi(keeper, orders, feed, studio_port)
    scrape = metrics.route(Board(settings.board_dir), settings.metrics_token)
    return application([*api.routes(), *scrape, *CrewPages(studio_port).routes()], errors=ERRORS)


def reached_as(request: Request) -> str:
    """The host by which the caller reached the desk, as it may stand in an address; "" if it may not."""
    match = _HOST.fullmatch(request.headers.get("host", ""))
    return match[1] if match else ""


def _call(request: Request, entry: Entry, by: Seat, seat_id: str) -> Call:
    return Call(entry.show.id, by.token_hash[:TOKEN_ID_CHARS], seat_id, reached_as(request))


def _json(line: bytes) -> Response:
    return Response(line, media_type="application/json")
