"""Pages of crew and speakers: how they are served, whatever is on them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from stentor.io.http import application
from stentor.nodes.desk_crew import CrewPages


def _get(web: Path, path: str, studio_port: int = 8003, **headers: str) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(application(CrewPages(studio_port, web).routes()))
        async with httpx.AsyncClient(transport=transport, base_url="http://show.example:8002") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(get())


@pytest.fixture
def web(tmp_path: Path) -> Path:
    for name in ("crew", "speak", "shared"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(f"<title>{name}</title>")
        (tmp_path / name / "page.js").write_text(f"// {name}")
    return tmp_path


@pytest.mark.parametrize(("path", "name"), [("/crew/", "crew"), ("/crew/speak", "speak")])
def test_a_page_may_reach_the_desk_the_studio_and_nothing_else(web: Path, path: str, name: str) -> None:
    answer = _get(web, path)
    assert (answer.status_code, answer.text) == (200, f"<title>{name}</title>")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self' http://show.example:8003 https://show.example:8003;" in policy
    assert answer.headers["permissions-policy"] == "microphone=(self)"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_behind_one_origin_there_is_no_other_to_reach(web: Path) -> None:
    assert "connect-src 'self';" in _get(web, "/crew/", studio_port=0).headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/crew/", "/crew/assets/crew/page.js", "/crew/assets/shared/page.js"])
def test_files_are_revalidated(web: Path, path: str) -> None:
    first = _get(web, path)
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    assert _get(web, path, **{"If-None-Match": first.headers["etag"]}).status_code == 304


def test_the_bare_path_leads_to_the_page(web: Path) -> None:
    answer = _get(web, "/crew")
    assert (answer.status_code, answer.headers["location"]) == (308, "/crew/")


@pytest.mark.parametrize("path", ["/crew/assets/listen/page.js", "/crew/assets/crew/none.js", "/crew/nothing"])
def test_what_is_not_there_is_a_problem(web: Path, path: str) -> None:
    answer = _get(web, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
