"""Where many of the listeners of the last minutes came from."""

from __future__ import annotations

import pytest

from stentor.core import gathered
from stentor.core.gathered import LISTENERS_MIN, SPAN_MS, SPANS, Gathered
from stentor.core.witness import Witness
from stentor.formats import evidence
from stentor.formats.evidence import decode, key_of


def told(places: Gathered, now_ms: int, **heard: int) -> None:
    """So many sessions were heard from `h<last byte of the address>`."""
    witness = Witness(evidence.DOOR, 0)
    for source, count in heard.items():
        witness.count(f"10.0.0.{source[1:]}", "completed", count)
        witness.count(f"10.0.0.{source[1:]}", "starts", count)
    for data in witness.flush(now_ms):
        places.receive(decode(data))
    places.tick(now_ms)


def test_an_office_is_a_place_and_somebody_is_not() -> None:
    places = Gathered()
    told(places, 1_000, h1=LISTENERS_MIN, h2=LISTENERS_MIN + 1)
    assert places.places == {key_of("10.0.0.2")}


def test_of_many_listeners_it_takes_more_than_a_thousandth() -> None:
    places = Gathered()
    told(places, 1_000, h1=10, h2=11, h3=9_979)
    assert places.places == {key_of("10.0.0.2"), key_of("10.0.0.3")}


def test_after_five_minutes_it_is_forgotten() -> None:
    places = Gathered()
    for minute in range(SPANS):
        told(places, SPAN_MS * (minute + 1), h1=2)
    assert places.places == {key_of("10.0.0.1")}, "two a minute"
    for minute in range(SPANS, 2 * SPANS):
        told(places, SPAN_MS * (minute + 1))
    assert places.places == frozenset()


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    places = Gathered()
    monkeypatch.setattr(gathered, "SOURCES_MAX", 2)
    told(places, 1_000, h1=9, h2=9, h3=9)
    assert len(places.places) == 2
