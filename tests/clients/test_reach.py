"""`stentor check --speaker` against a stage."""

import asyncio

from stentor.clients import reach
from stentor.clients.reach import Level, examine
from support.stages import impaired_port, studio


def look(monkeypatch, *, loss: float = 0.0, name: str = "ann", seconds: float = 1.5) -> dict:
    async def run():
        async with studio() as made:
            made.seat("ann")
            return await examine(made.url, f"token-of-{name}", seconds)

    monkeypatch.setattr(reach, "Port", impaired_port(loss))
    return {finding.what: finding for finding in asyncio.run(asyncio.wait_for(run(), 60))}


def test_a_good_way_is_called_good(monkeypatch):
    found = look(monkeypatch)
    assert [finding.level for finding in found.values()] == [Level.GOOD] * 4 + [Level.WARN]
    assert "ms" in found["round trip"].text and found["loss"].text == "0.0% there, 0.0% back"
    assert "no TURN relay" in found["relay"].text


def test_loss_is_measured(monkeypatch):
    assert look(monkeypatch, loss=0.4, seconds=3.0)["loss"].level is Level.BAD


def test_a_firewall_is_named(monkeypatch):
    monkeypatch.setattr(reach, "CONNECT_S_MAX", 1.0)

    def walled(*arguments):
        port = impaired_port(0.0)(*arguments)
        for lane in port._lanes:
            lane.send = lambda data, address: None
        return port

    async def run():
        async with studio() as made:
            made.seat("ann")
            return await examine(made.url, "token-of-ann")

    monkeypatch.setattr(reach, "Port", walled)
    found = asyncio.run(asyncio.wait_for(run(), 60))
    assert [(finding.what, finding.level) for finding in found][:2] == [("whip", Level.GOOD), ("udp", Level.BAD)]


def test_a_link_that_is_not_valid_is_the_only_thing_said(monkeypatch):
    (only,) = look(monkeypatch, name="nobody").values()
    assert only.level is Level.BAD and "not valid" in only.text
