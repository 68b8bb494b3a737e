"""The desk's two APIs, asked what nobody would ask: it answers, or refuses in a problem that says why; never a 500."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.formats import crew
from stentor.io.board import Board
from stentor.io.records import Records
from stentor.io.wake import Caller
from stentor.nodes.desk_admin import admin_app
from stentor.nodes.desk_crew import crew_app
from stentor.nodes.desk_feed import Feed
from stentor.nodes.desk_keeper import Keeper
from stentor.nodes.desk_orders import Orders
from stentor.settings import Settings

SEAT_ORDERS = {"": crew.SeatOrder, "/revoke": crew.RenewOrder}
SHOW_ORDERS = {
    "/wish": crew.WishOrder,
    "/notice": crew.NoticeOrder,
    "/cap": crew.CapOrder,
    "/door": crew.DoorOrder,
    "/rung": crew.RungOrder,
    "/beacon": crew.BeaconOrder,
    "/revoke": crew.RevokeOrder,
    "/release": crew.ReleaseOrder,
    "/dry-run": crew.DryRunOrder,
    "/siege": crew.SiegeOrder,
    "/seats": crew.NewSeat,
}
ADMIN = {
    "/admin/shows": crew.NewShow,
    "/admin/shows/{show}": None,
    **{f"/admin/shows/{{show}}{path}": kind for path, kind in SHOW_ORDERS.items()},
    **{f"/admin/shows/{{show}}/seats/{{seat}}{path}": kind for path, kind in SEAT_ORDERS.items()},
}
CREW = {
    "/crew/api/show": None,
    "/crew/api/actions": None,
    "/crew/api/seat": crew.MuteOrder,
    **{f"/crew/api{path}": kind for path, kind in SHOW_ORDERS.items()},
    **{f"/crew/api/seats/{{seat}}{path}": kind for path, kind in SEAT_ORDERS.items()},
}
ROUTES = ADMIN | CREW
GOOD: dict[type[crew.Order] | None, dict[str, Any]] = {
    None: {},
    crew.NewShow: {
        "title": "Town hall",
        "starts_in_s": 600.0,
        "draw_before_s": 60.0,
        "open_before_s": 300.0,
        "lasts_s": 60.0,
        "beacon_name": "drand 4242",
    },
    crew.WishOrder: {"wish": "hold", "reason": "late"},
    crew.NoticeOrder: {"text": "Soon"},
    crew.NewSeat: {"name": "Cy"},
    crew.SeatOrder: {"on_air": True},
    crew.RenewOrder: {},
    crew.CapOrder: {"cap": 5},
    crew.MuteOrder: {"muted": True},
    crew.DoorOrder: {"closed": True},
    crew.RungOrder: {"rung": 2},
    crew.ReleaseOrder: {"target": "10.0.0.7/32", "clear": False},
    crew.DryRunOrder: {"dry_run": True},
    crew.SiegeOrder: {"siege": True},
    crew.BeaconOrder: {"value": "ab12"},
    crew.RevokeOrder: {"keys": [7], "classes": ["late"], "seqs": [[3, 9]], "clear": False},
}


NEW_SHOW = {"title": "x", "starts_in_s": 600, "guests": ["Ada"], "draw_before_s": 60, "beacon_name": "drand 4242"}


class Show(NamedTuple):
    id: str
    crew: str
    guest: str
    seat: str


class Desk:
    """Both applications of a desk, with real records and a real board, asked in this process."""

    def __init__(self, base: Path) -> None:
        own = Settings(data_dir=base / "data", run_dir=base / "run")
        self._runner = asyncio.Runner()
        self._records = Records(f"sqlite:///{base}/records.sqlite3")
        self._caller = Caller(own.wake_dir)
        self.keeper = self._runner.run(self._keep(own))
        orders = Orders(self.keeper, own, random.Random(1))
        apps = {"admin": admin_app(self.keeper, orders), "crew": crew_app(self.keeper, orders, Feed(), own)}
        self._clients = {
            name: httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk")  # type: ignore[arg-type]
            for name, app in apps.items()
        }

    async def _keep(self, own: Settings) -> Keeper:
        return Keeper(self._records, Board(own.board_dir), self._caller)

    def close(self) -> None:
        self._runner.close()
        self._caller.close()
        self._records.close()

    def ask(self, method: str, path: str, **parts: Any) -> httpx.Response:
        return self._runner.run(self._clients[path.split("/")[1]].request(method, path, **parts))

    def create(self) -> Show:
        made = self.ask("POST", "/admin/shows", json=NEW_SHOW).json()
        guest = made["guest_links"]["Ada"].partition("#")[2]
        seat = self.ask("GET", "/crew/api/seat", headers={"Authorization": f"Bearer {guest}"}).json()["seat"]["id"]
        return Show(made["show"], made["crew_token"], guest, seat)

    def cancel_all(self) -> None:
        """Make room for the next."""
        for entry in self.keeper.shows.entries():
            path = f"/admin/shows/{entry.show.id}/wish"
            assert entry.over or self.ask("POST", path, json={"wish": "cancel"}).status_code == 200
        self.keeper.look()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    yield desk
    desk.close()


TEXT = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted({name for kind in GOOD if kind for name in kind.__struct_fields__})


def bodies(kind: type[crew.Order] | None) -> st.SearchStrategy[bytes]:
    """Orders of that kind with something changed, and things that are no orders at all."""
    own = st.sampled_from(kind.__struct_fields__ or FIELDS) if kind else st.sampled_from(FIELDS)
    changed = st.dictionaries(own | st.sampled_from(FIELDS) | TEXT, JSON, max_size=3)
    merged = changed.map(lambda fields: json.dumps(GOOD[kind] | fields).encode())
    return st.just(json.dumps(GOOD[kind]).encode()) | merged | JSON.map(lambda v: json.dumps(v).encode()) | st.binary()


class Ask(NamedTuple):
    method: str
    route: str
    token: str  # "crew", "guest", or what is sent
    show: str
    seat: str
    body: bytes

    def path(self, show: Show) -> str:
        return self.route.format(show=quote(self.show, safe="") or show.id, seat=quote(self.seat, safe="") or show.seat)


METHODS = st.sampled_from(["POST"] * 5 + ["GET"] * 2 + ["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip)
MOSTLY_OURS = st.just("") | st.just("") | st.just("") | TEXT.filter(lambda text: text not in (".", ".."))
ASKS = st.sampled_from(sorted(ROUTES)).flatmap(
    lambda route: st.builds(
        Ask,
        METHODS,
        st.just(route),
        st.sampled_from(["crew"] * 4 + ["guest"] * 2) | HEADER,
        MOSTLY_OURS,
        MOSTLY_OURS,
        bodies(ROUTES[route]),
    )
)


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400 or answer.request.method == "HEAD":
        return
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    fields = answer.json()
    assert fields["status"] == answer.status_code and fields["code"] and fields["title"], fields


@settings(max_examples=60, deadline=None)
@given(st.lists(ASKS, min_size=1, max_size=6))
def test_whatever_is_asked_there_is_an_answer(desk: Desk, asks: list[Ask]) -> None:
    show = desk.create()
    for ask in asks:
        token = {"crew": show.crew, "guest": show.guest}.get(ask.token, ask.token)
        headers = {"Authorization": f"Bearer {token}"}
        check(desk.ask(ask.method, ask.path(show), content=ask.body, headers=headers))
    desk.cancel_all()


@pytest.mark.parametrize("route", sorted(route for route, kind in ROUTES.items() if kind))
def test_a_field_that_is_not_known_is_named(desk: Desk, route: str) -> None:
    show, kind = desk.create(), ROUTES[route]
    path = route.format(show=show.id, seat=show.seat)
    headers = {"Authorization": f"Bearer {show.crew}"}
    refused = desk.ask("POST", path, json=GOOD[kind] | {"resaon": 1}, headers=headers)
    assert refused.status_code == 422 and "resaon" in refused.json()["detail"], refused.text
    for name in GOOD[kind]:
        wrong = desk.ask("POST", path, json=GOOD[kind] | {name: {}}, headers=headers)
        assert wrong.status_code == 422 and name in wrong.json()["detail"], wrong.text
    desk.cancel_all()


def test_every_order_of_the_product_is_asked() -> None:
    orders = {kind for kind in vars(crew).values() if isinstance(kind, type) and issubclass(kind, crew.Order)}
    assert orders - {crew.Order} == {kind for kind in ROUTES.values() if kind}
    for kind, fields in GOOD.items():
        assert kind is None or msgspec.convert(fields, kind)
