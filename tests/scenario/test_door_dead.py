"""The door is dead and nobody starts it anew: pages and `now` are to be had at the edge, and who listens goes on."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from support.onair import OnAir
from support.running import Running, installation, until

pytestmark = pytest.mark.scenario
MORE_BYTES = 10_000


def test_the_edge_stands_in_for_a_dead_door(tmp_path: Path) -> None:
    with installation(tmp_path) as running, ExitStack() as stack:
        running.start()
        on_air = OnAir(running, stack, tmp_path, starts_in_s=1.0)
        show, heard = on_air.made.show, tmp_path / "heard.mp3"
        http = stack.enter_context(httpx.Client(timeout=30, headers={"Connection": "close"}))
        ticket = http.post(running.url("door", f"/s/{show}/join")).json()["ticket"]
        mount = running.url("edge", f"/live/{ticket}/mp3")
        listening = on_air.play("curl", "-sN", mount, output=heard)
        on_air.heard_at_least(heard, MORE_BYTES)
        for role in ("serve", "door-0"):
            running.kill(role)
        with pytest.raises(httpx.TransportError):
            http.get(running.url("door", "/healthz"))
        the_edge_answers(running, http, show)
        on_air.heard_at_least(heard, heard.stat().st_size + MORE_BYTES)
        assert listening.poll() is None
        listening.kill()
        again = tmp_path / "again.mp3"
        on_air.play("curl", "-sN", mount, output=again)
        on_air.heard_at_least(again, MORE_BYTES)
        running.start()
        until(lambda: http.post(running.url("door", f"/s/{show}/join")).status_code == 200, "a door lets in again")


def the_edge_answers(running: Running, http: httpx.Client, show: str) -> None:
    """With what a cache may keep, and a clear no to whoever wants to come in."""
    for path in (f"/s/{show}/now", f"/live/{show}/now"):  # the page asks at the second when the first fails
        now = http.get(running.url("edge", path))
        assert (now.status_code, now.json()["show"]) == (200, show)
        assert now.headers["cache-control"] == "public, max-age=1"
    page = http.get(running.url("edge", f"/s/{show}"))
    assert page.status_code == 200 and "stale-if-error" in page.headers["cache-control"]
    assets = re.findall(r'"(/assets/[^"]+\.(?:js|css))"', page.text)
    assert assets
    for asset in assets:
        found = http.get(running.url("edge", asset))
        assert found.status_code == 200 and "immutable" in found.headers["cache-control"]
    wait = http.get(running.url("edge", f"/s/{show}/wait"))
    assert wait.status_code == 200 and wait.headers["cache-control"] == "public, max-age=1"
    assert "Nobody new can be let in for a moment" in wait.text
    refused = http.post(running.url("edge", f"/s/{show}/join"))
    assert (refused.status_code, json.loads(refused.content)["code"]) == (503, "door-down")
    assert refused.headers["retry-after"].isdigit() and refused.headers["cache-control"] == "no-store"
