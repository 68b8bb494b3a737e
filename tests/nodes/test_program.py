"""What an edge makes of the stage: the title that players show names who is on air."""

import time

import pytest
from msgspec.structs import replace

from stentor.core.usher import STALE_MS
from stentor.formats import icy
from stentor.model.board import Speaker, Stage
from support.edge import SHOW, TITLE, Station, demux_icy

ADA, GRACE = Speaker("a", "Ada", True, False), Speaker("g", "Grace", True, False)


@pytest.fixture
def station(tmp_path):
    station = Station(tmp_path)
    yield station
    station.close()


def speak(station, *speakers, age_ms=0):
    """The stage tells the board who is there, and the edge looks."""
    now_ms = time.time_ns() // 1_000_000
    stage = Stage(now_ms - age_ms, show=SHOW, title=TITLE, ring=str(station.ring.path), speakers=speakers)
    station.board.put("stage", stage)
    station.edge.program.look()


def title_of(station, client):
    """What a player that takes titles out of the stream shows last."""
    titles = demux_icy(client.read() and client.body)[1]
    return titles[-1] if titles else ""


def test_the_title_names_who_is_on_air_and_changes_while_one_listens(station):
    speak(station, ADA, replace(GRACE, on_air=False))
    client = station.listen("mp3", Icy_MetaData="1")
    n = 1
    for speakers, title in (
        ((ADA,), f"Ada - {TITLE}"),
        ((ADA, GRACE), f"Ada, Grace - {TITLE}"),
        ((), TITLE),
    ):
        speak(station, *speakers)
        station.publish(*range(n, n + 12))  # four seconds and more: two titles
        n += 12
        expected = icy.block(title)[1:].rstrip(b"\0").decode()
        station.until(lambda expected=expected: title_of(station, client) == expected)
    assert client.headers["icy-name"] == TITLE


def test_of_a_stage_that_says_nothing_any_more_nobody_is_named(station):
    speak(station, ADA, age_ms=STALE_MS + 1)
    station.publish(1)
    client = station.listen("mp3", Icy_MetaData="1")
    station.publish(*range(2, 12))
    station.until(lambda: title_of(station, client) == f"StreamTitle='{TITLE}';")
