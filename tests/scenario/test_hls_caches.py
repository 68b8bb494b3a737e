"""Stock caches in front of an edge, as docs/proxies configures them: many players ask hardly more than one would."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from stentor.core.playlist import Layout
from stentor.formats.ticket import pull_token
from stentor.io.keys import stable_key
from stentor.model.rendition import AAC
from support.edge import SHOW, Station

pytestmark = pytest.mark.scenario
PLAYERS = 200
FIRST, LAST = 40, 52
ORIGIN_REQUESTS_MAX = 1.1  # of a playlist or part


def _of_the_benches(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "support" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"bench_{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


Players = _of_the_benches("players").Players
CACHES = _of_the_benches("caches").CACHES


@contextmanager
def playing(players) -> Iterator[None]:
    """In a thread with a loop of its own; what goes wrong there is raised here."""
    loop, faults = asyncio.new_event_loop(), []
    task = loop.create_task(players.run())

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()
    if faults:
        raise faults[0]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    station = Station(tmp_path)
    station.publish(*range(1, FIRST + 1))
    yield station
    station.close()


@pytest.mark.parametrize("name", CACHES)
def test_players_collapse_to_one(station: Station, tmp_path: Path, name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    layout = Layout(station.ring.grid, AAC)
    base = f"/live/{pull_token(SHOW, stable_key(station.settings.keys_dir))}/aac"
    with CACHES[name](station.port, tmp_path) as port:
        players = Players(port, base, PLAYERS, layout.segment_parts)
        with playing(players):
            station.until(lambda: players.slowest() == layout.part_of(FIRST))
            asked = station.server.counters.requests
            for n in range(FIRST + 1, LAST + 1):
                station.until(lambda: station.edge.pull.waiting)
                station.publish(n)
                station.until(lambda n=n: players.slowest() == layout.part_of(n))
            asked = station.server.counters.requests - asked
    assert {player.parts for player in players.all} == {LAST - FIRST + 1}
    assert asked <= ORIGIN_REQUESTS_MAX * 2 * (LAST - FIRST) + 1, "a playlist and a part each, and one that waits"
