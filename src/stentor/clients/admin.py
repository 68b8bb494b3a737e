"""The command line's way to the desk: its Unix socket, whose owner needs no link."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec

from stentor.formats.crew import (
    BeaconOrder,
    CapOrder,
    CrewWish,
    Done,
    DoorOrder,
    DryRunOrder,
    NewSeat,
    NewShow,
    NoticeOrder,
    ReleaseOrder,
    RenewOrder,
    RevokeOrder,
    RungOrder,
    SeatMade,
    SeatOrder,
    ShieldView,
    ShowDetail,
    ShowMade,
    Shows,
    SiegeOrder,
    WishOrder,
)

TIMEOUT_S = 10.0

T = TypeVar("T")


class AdminError(Exception):
    """What was asked was not done; the text is for people."""


class DeskUnreachable(AdminError):
    """No desk answers on the socket; the text says what to do."""


class DeskRefused(AdminError):
    """The desk does not do what was asked. `code` is stable, the text says why."""

    def __init__(self, status: int, code: str, title: str, detail: str) -> None:
        super().__init__(f"{title} {detail}".strip())
        self.status, self.code, self.title, self.detail = status, code, title, detail


class _Problem(msgspec.Struct):
    status: int
    code: str
    title: str
    detail: str = ""


class Admin:
    """An async context manager. Every method raises `AdminError`: `DeskUnreachable` or `DeskRefused`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://desk", timeout=TIMEOUT_S)

    async def __aenter__(self) -> Admin:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._http.aclose()

    async def create(self, order: NewShow) -> ShowMade:
        return await self._call("POST", "/admin/shows", ShowMade, order)

    async def shows(self) -> Shows:
        return await self._call("GET", "/admin/shows", Shows)

    async def show(self, show_id: str) -> ShowDetail:
        return await self._call("GET", _path(show_id), ShowDetail)

    async def shield(self, show_id: str) -> ShieldView:
        return await self._call("GET", _path(show_id, "shield"), ShieldView)

    async def wish(self, show_id: str, wish: CrewWish, reason: str = "") -> Done:
        return await self._call("POST", _path(show_id, "wish"), Done, WishOrder(wish, reason))

    async def notice(self, show_id: str, text: str) -> Done:
        return await self._call("POST", _path(show_id, "notice"), Done, NoticeOrder(text))

    async def cap(self, show_id: str, cap: int) -> Done:
        return await self._call("POST", _path(show_id, "cap"), Done, CapOrder(cap))

    async def door(self, show_id: str, *, closed: bool) -> Done:
        return await self._call("POST", _path(show_id, "door"), Done, DoorOrder(closed))

    async def rung(self, show_id: str, rung: int) -> Done:
        return await self._call("POST", _path(show_id, "rung"), Done, RungOrder(rung))

    async def release(self, show_id: str, target: str = "", *, clear: bool = False) -> Done:
        return await self._call("POST", _path(show_id, "release"), Done, ReleaseOrder(target, clear))

    async def dry_run(self, show_id: str, on: bool) -> Done:
        return await self._call("POST", _path(show_id, "dry-run"), Done, DryRunOrder(on))

    async def siege(self, show_id: str, on: bool) -> Done:
        return await self._call("POST", _path(show_id, "siege"), Done, SiegeOrder(on))

    async def beacon(self, show_id: str, value: str) -> Done:
        return await self._call("POST", _path(show_id, "beacon"), Done, BeaconOrder(value))

    async def revoke(self, show_id: str, order: RevokeOrder) -> Done:
        return await self._call("POST", _path(show_id, "revoke"), Done, order)

    async def add_seat(self, show_id: str, order: NewSeat) -> SeatMade:
        return await self._call("POST", _path(show_id, "seats"), SeatMade, order)

    async def change_seat(self, show_id: str, seat_id: str, order: SeatOrder) -> Done:
        return await self._call("POST", _path(show_id, "seats", seat_id), Done, order)

    async def renew_seat(self, show_id: str, seat_id: str) -> SeatMade:
        return await self._call("POST", _path(show_id, "seats", seat_id, "revoke"), SeatMade, RenewOrder())

    async def _call(self, method: str, path: str, kind: type[T], order: msgspec.Struct | None = None) -> T:
        body = None if order is None else msgspec.json.encode(order)
        try:
            response = await self._http.request(method, path, content=body)
        except httpx.TransportError as error:
            hint = f"the desk is not running (nothing answers on {self._socket}); start it with `stentor serve`"
            raise DeskUnreachable(hint) from error
        if response.is_error:
            raise _refused(response)
        return msgspec.json.decode(response.content, type=kind)


def _path(*parts: str) -> str:
    return "/admin/shows/" + "/".join(quote(part, safe="") for part in parts)


def _refused(response: httpx.Response) -> DeskRefused:
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem(response.status_code, "unclear", f"The desk answered {response.status_code}.")
    return DeskRefused(problem.status, problem.code, problem.title, problem.detail)
