"""The endpoint against an endpoint of the test's own, and the client against the endpoint."""

import asyncio
import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from stentor.formats.sdp import SDP_BYTES_MAX
from stentor.formats.turn import IceServer, granted, parse_links
from stentor.io.whip import PATH, Admitted, Refused, WhipClient, WhipError, create_app

TOKEN = {"Authorization": "Bearer let-me-in"}
SDP = {"Content-Type": "application/sdp"}


class Stage:
    """One seat; `refusal` is given to whoever comes with the right token."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.refusal: Refused | None = None

    async def admit(self, token: str, offer: str, resumes: str) -> Admitted | Refused:
        self.resumed = resumes
        if token != "let-me-in":
            return Refused(401, "token-unknown", "This token is not valid")
        if self.refusal is not None:
            return self.refusal
        self.sessions.add("s1")
        return Admitted("s1", f"answer to {offer}")

    def ice_servers(self, token: str) -> list[IceServer]:
        return granted("turn:relay.example", "secret", "ann", 1) if token == "let-me-in" else []

    async def leave(self, session: str) -> bool:
        known = session in self.sessions
        self.sessions.discard(session)
        return known


@pytest.fixture
def stage() -> Stage:
    return Stage()


class Http:
    """Requests to an application, one by one."""

    def __init__(self, app) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def request(self, method: str, path: str, **parts) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://studio") as client:
                return await client.request(method, path, **parts)

        return asyncio.run(ask())

    def post(self, path: str, **parts) -> httpx.Response:
        return self.request("POST", path, **parts)


@pytest.fixture
def http(stage) -> Http:
    return Http(create_app(stage))


def is_problem(response, status: int, code: str) -> bool:
    return (
        response.status_code == status
        and response.headers["content-type"] == "application/problem+json"
        and response.headers["access-control-allow-origin"] == "*"
        and json.loads(response.content)["code"] == code
    )


def test_an_offer_is_answered(http):
    response = http.post(PATH, content="offer", headers={**TOKEN, **SDP})
    assert (response.status_code, response.text) == (201, "answer to offer")
    assert response.headers["location"] == f"{PATH}/s1"
    assert response.headers["content-type"].startswith("application/sdp")
    assert "Location" in response.headers["access-control-expose-headers"]


def test_a_session_is_deleted_once(http):
    http.post(PATH, content="offer", headers={**TOKEN, **SDP})
    assert http.request("DELETE", f"{PATH}/s1").status_code == 200
    assert is_problem(http.request("DELETE", f"{PATH}/s1"), 404, "no-session")


@pytest.mark.parametrize("path", [PATH, f"{PATH}/s1"])
def test_preflight(http, path):
    response = http.request(
        "OPTIONS", path, headers={"Origin": "https://elsewhere", "Access-Control-Request-Method": "POST"}
    )
    assert response.status_code == 204
    assert response.headers["accept-post"] == "application/sdp"
    assert "Authorization" in response.headers["access-control-allow-headers"]
    assert "DELETE" in response.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", f"{PATH}/s1"), ("GET", PATH), ("PUT", PATH), ("POST", f"{PATH}/s1")]
)
def test_other_methods_are_refused_with_what_is_allowed(http, method, path):
    response = http.request(method, path, content="x")
    assert is_problem(response, 405, "method-not-allowed")
    assert "OPTIONS" in response.headers["allow"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer "}])
def test_without_a_token(http, headers):
    response = http.post(PATH, content="offer", headers={**headers, **SDP})
    assert is_problem(response, 401, "token-missing")
    assert response.headers["www-authenticate"] == "Bearer"


def test_bodies_that_are_no_offer(http):
    assert is_problem(http.post(PATH, content="x", headers={**TOKEN, "Content-Type": "text/plain"}), 415, "not-sdp")
    large = http.post(PATH, content=bytes(SDP_BYTES_MAX + 1), headers={**TOKEN, **SDP})
    assert is_problem(large, 413, "sdp-too-large")
    assert is_problem(http.post(PATH, content=b"\xff", headers={**TOKEN, **SDP}), 400, "sdp-malformed")


def test_a_full_stage_says_when_to_come_back(http, stage):
    stage.refusal = Refused(503, "stage-full", "Full", "", 7)
    response = http.post(PATH, content="offer", headers={**TOKEN, **SDP})
    assert is_problem(response, 503, "stage-full")
    assert response.headers["retry-after"] == "7"


def test_elsewhere_there_is_nothing(http):
    assert is_problem(http.request("GET", "/stage/other"), 404, "not-found")


# ---- the client


def client_of(app) -> WhipClient:
    client = WhipClient()
    client._http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://studio")
    return client


async def answered(coroutine):
    try:
        return await coroutine
    except WhipError as error:
        return error


def test_the_client_posts_and_deletes(stage):
    async def scenario():
        async with client_of(create_app(stage)) as client:
            answer, url = await client.post(f"http://studio{PATH}", "let-me-in", "offer")
            await client.post(f"http://studio{PATH}", "let-me-in", "offer", url)
            assert stage.resumed == "s1"
            await client.delete(url, "let-me-in")
            return answer, url

    assert asyncio.run(scenario()) == ("answer to offer", f"http://studio{PATH}/s1")
    assert not stage.sessions


def test_the_client_knows_what_is_of_no_use(stage):
    async def scenario():
        async with client_of(create_app(stage)) as client:
            wrong = await answered(client.post(f"http://studio{PATH}", "wrong", "offer"))
            stage.refusal = Refused(503, "stage-full", "All places are taken", "", 7)
            return wrong, await answered(client.post(f"http://studio{PATH}", "let-me-in", "offer"))

    wrong, full = asyncio.run(scenario())
    assert wrong.fatal and "not valid" in str(wrong)
    assert not full.fatal and full.retry_after_s == 7 and "All places are taken" in str(full)


def test_a_link_is_resolved_by_the_desk():
    async def seat(request):
        assert request.headers["authorization"] == "Bearer tok"
        return JSONResponse({"studio_port": 8003})

    async def scenario():
        async with client_of(Starlette(routes=[Route("/crew/api/seat", seat)])) as client:
            linked = await client.resolve("http://studio:8002/crew/speak#tok")
            direct = await client.resolve("http://studio:9/stage/whip", "tok")
            nobody = await answered(client.resolve("http://studio:9/stage/whip"))
            return linked, direct, nobody

    linked, direct, nobody = asyncio.run(scenario())
    assert (linked.whip_url, linked.token) == ("http://studio:8003/stage/whip", "tok")
    assert direct.whip_url == "http://studio:9/stage/whip"
    assert nobody.fatal and "token" in str(nobody)


def test_relays_are_named_to_who_has_a_token_and_to_nobody_else(http, stage):
    answered = http.post(PATH, headers=TOKEN | SDP, content="v=0")
    asked = http.request("OPTIONS", PATH, headers=TOKEN)
    for response in (answered, asked):
        assert parse_links(response.headers["link"]) == stage.ice_servers("let-me-in")
        assert "Link" in response.headers["access-control-expose-headers"]
    assert "link" not in http.request("OPTIONS", PATH).headers
    assert "link" not in http.request("OPTIONS", PATH, headers={"Authorization": "Bearer x"}).headers
