"""The desk's application for the command line: on a Unix socket that only its owner can open, so without a link."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from stentor.core.overview import brief, show_view
from stentor.formats.crew import (
    Answer,
    BeaconOrder,
    CapOrder,
    DoorOrder,
    DryRunOrder,
    NewSeat,
    NewShow,
    NoticeOrder,
    Order,
    ReleaseOrder,
    RenewOrder,
    RevokeOrder,
    RungOrder,
    SeatOrder,
    ShieldView,
    ShowDetail,
    Shows,
    ShowView,
    SiegeOrder,
    WishOrder,
)
from stentor.formats.refusal import Reason, Refusal
from stentor.io.http import application, json_response, read_json
from stentor.io.records import Stored
from stentor.nodes.desk_keeper import Keeper
from stentor.nodes.desk_orders import ERRORS, Call, Orders, problem

OrderT = TypeVar("OrderT", bound=Order)


class AdminApi:
    """Handlers of /admin."""

    def __init__(self, keeper: Keeper, orders: Orders) -> None:
        self._keeper = keeper
        self._orders = orders

    def routes(self) -> list[BaseRoute]:
        orders, show = self._orders, "/admin/shows/{show}"
        return [
            Route("/admin/shows", self.shows, methods=["GET"]),
            Route("/admin/shows", self.create, methods=["POST"]),
            Route(show, self.show),
            Route(f"{show}/shield", self.shield),
            _order(f"{show}/wish", WishOrder, orders.wish),
            _order(f"{show}/notice", NoticeOrder, orders.notice),
            _order(f"{show}/cap", CapOrder, orders.cap),
            _order(f"{show}/door", DoorOrder, orders.door),
            _order(f"{show}/rung", RungOrder, orders.rung),
            _order(f"{show}/beacon", BeaconOrder, orders.beacon),
            _order(f"{show}/revoke", RevokeOrder, orders.revoke),
            _order(f"{show}/release", ReleaseOrder, orders.release),
            _order(f"{show}/dry-run", DryRunOrder, orders.dry_run),
            _order(f"{show}/siege", SiegeOrder, orders.siege),
            _order(f"{show}/seats", NewSeat, orders.add_seat),
            _order(f"{show}/seats/{{seat}}", SeatOrder, orders.change_seat),
            _order(f"{show}/seats/{{seat}}/revoke", RenewOrder, orders.renew_seat),
        ]

    async def shows(self, _: Request) -> Response:
        stored = await asyncio.to_thread(self._keeper.records.latest)
        return json_response(Shows(tuple(self._view(item) for item in stored)))

    async def create(self, request: Request) -> Response:
        made = await self._orders.create(await read_json(request, NewShow))
        return json_response(made, 201, {"Location": f"/admin/shows/{made.show}"})

    async def show(self, request: Request) -> Response:
        show_id, keeper = request.path_params["show"], self._keeper
        stored = await asyncio.to_thread(keeper.records.find, show_id)
        if stored is None:
            raise problem(Refusal(Reason.SHOW_UNKNOWN, f"There is no show {show_id[:32]!r} here."))
        actions, link = await keeper.actions(stored.show), self._orders.links.listener(show_id)
        detail = ShowDetail(self._view(stored), link, actions, brief(keeper.line(show_id)), keeper.ladder())
        return json_response(detail)

    async def shield(self, request: Request) -> Response:
        show_id = request.path_params["show"]
        entry = self._keeper.shows.get(show_id)
        if entry is None:
            raise problem(Refusal(Reason.SHOW_UNKNOWN, f"There is no show {show_id[:32]!r} here, or it is long over."))
        return json_response(ShieldView(*self._keeper.shield(), entry.show.dry_run, entry.show.siege))

    def _view(self, stored: Stored) -> ShowView:
        entry = self._keeper.shows.get(stored.show.id)
        return show_view(stored.show, entry.phase if entry else stored.phase)


def _order(path: str, kind: type[OrderT], carry_out: Callable[[Call, OrderT], Awaitable[Answer]]) -> Route:
    async def endpoint(request: Request) -> Response:
        call = Call(request.path_params["show"], seat_id=request.path_params.get("seat", ""))
        return json_response(await carry_out(call, await read_json(request, kind)))

    return Route(path, endpoint, methods=["POST"])


def admin_app(keeper: Keeper, orders: Orders) -> ASGIApp:
    return application(AdminApi(keeper, orders).routes(), errors=ERRORS)
