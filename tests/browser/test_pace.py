"""The player's judgement of its distance to the live edge, driven through hours in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from browser.station import Station

# A player whose clock runs off by `drift`, fed with chunks that come up to `jitterS` late; -> what it did.
SIMULATE = """
async ({ drift, jitterS, seconds, chunkS, distanceS }) => {
  const { Pace } = await import("/assets/00000000/listen/pace.js");
  const pace = new Pace(chunkS);
  let [distance, rate, stalls, moves, rates, seed] = [distanceS ?? pace.marginS, 1, 0, 0, 0, 1];
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  pace.restart(0);
  for (let now = chunkS; now < seconds; now += chunkS) {
    distance -= chunkS * (drift + rate - 1);
    const seen = distance - jitterS * random();
    if (seen < 0) { stalls += 1; distance -= seen; pace.receiveStall(now); }
    const { move, rate: wanted, live } = pace.receiveChunk(Math.max(0, seen), now) ?? {};
    if (move) { distance -= move; moves += 1; }
    if (wanted) { rate = wanted; rates += 1; }
    if (live) { distance = pace.marginS; moves += 1; }
  }
  return { distance, stalls, moves, rates, rate, margin: pace.marginS };
}
"""


@pytest.fixture
def simulate(browse: Callable[..., Page], station: Station) -> Callable[..., dict[str, Any]]:
    page = browse(station.url)
    defaults = {"drift": 0, "jitterS": 0.02, "seconds": 600, "chunkS": 0.5, "distanceS": None}
    return lambda **values: page.evaluate(SIMULATE, defaults | values)


def test_steady_nothing_is_touched(simulate: Callable[..., dict[str, Any]]) -> None:
    did = simulate(seconds=3 * 3600)
    assert (did["moves"], did["rates"], did["stalls"]) == (0, 0, 0)


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
@pytest.mark.parametrize("chunk_s", [0.25, 0.5])
def test_three_hours_of_drift_are_a_few_small_moves(
    simulate: Callable[..., dict[str, Any]], drift: float, chunk_s: float
) -> None:
    did = simulate(drift=drift, seconds=3 * 3600, chunkS=chunk_s)
    assert did["stalls"] == 0
    assert did["rates"] == 0
    assert 0 < did["moves"] <= 40
    assert abs(did["distance"] - did["margin"]) < 0.12


def test_after_an_outage_it_catches_up_by_one_change_of_rate(simulate: Callable[..., dict[str, Any]]) -> None:
    did = simulate(distanceS=2.2)
    assert (did["rate"], did["rates"]) == (1, 2)
    assert abs(did["distance"] - did["margin"]) < 0.12


def test_far_behind_it_goes_to_the_edge(simulate: Callable[..., dict[str, Any]]) -> None:
    did = simulate(distanceS=30)
    assert (did["moves"], did["rates"]) == (1, 0)


def test_a_jittery_connection_settles(simulate: Callable[..., dict[str, Any]]) -> None:
    did = simulate(jitterS=0.6, seconds=1800)
    assert did["stalls"] <= 3
    assert did["distance"] < 1.2


# Chunks of half a second come four at a time, then singly again; -> distances, margins and what was done in each part.
GROUPS = """
async ({ seconds }) => {
  const { Pace } = await import("/assets/00000000/listen/pace.js");
  const pace = new Pace(0.5);
  pace.widen(4);
  let [distance, rate, n, now] = [pace.marginS + pace.spanS, 1, 0, 0];
  const parts = [];
  for (const group of [4, 1]) {
    pace.widen(group);
    const did = { moves: 0, rates: [], least: Infinity };
    for (let until = now + seconds; now < until; now += 0.5) {
      distance -= 0.5 * rate;
      if (++n % group === 0) {
        for (let k = 0; k < group; k += 1) {
          did.least = Math.min(did.least, distance);
          const { move, rate: wanted, live } = pace.receiveChunk(distance, now) ?? {};
          if (move || live) did.moves += 1;
          if (move) distance -= move;
          if (wanted) did.rates.push((rate = wanted));
          distance += 0.5;
        }
      }
    }
    parts.push({ ...did, distance: distance - 0.5, margin: pace.marginS });
  }
  return parts;
}
"""


def test_in_groups_it_is_at_rest_and_singly_again_it_comes_nearer(
    browse: Callable[..., Page], station: Station
) -> None:
    fours, singly = browse(station.url).evaluate(GROUPS, {"seconds": 240})
    assert (fours["moves"], fours["rates"]) == (0, [])
    assert fours["least"] == pytest.approx(fours["margin"]) == pytest.approx(0.43)
    assert singly["margin"] == pytest.approx(0.19)
    assert singly["moves"] <= 1 and singly["rates"] in ([], [1.05, 1])
    assert singly["distance"] == pytest.approx(singly["margin"], abs=0.12)


LAG = """
async ({ looks, wantedS }) => {
  const { Lag } = await import("/assets/00000000/listen/pace.js");
  const lag = new Lag();
  lag.touched(wantedS, 0);
  const seen = looks.map(([behindS, nowS]) => lag.look(behindS, nowS));
  const missed = seen.find(({ missedS }) => missedS)?.missedS;
  return { stood: seen.filter(({ stood }) => stood).length, missed, moveS: lag.moveS };
}
"""


def test_time_that_is_lost_without_a_word_is_noticed_once(browse: Callable[..., Page], station: Station) -> None:
    looks = [[0.7, 0.3], [0.7, 0.5], [0.71, 1.0], [0.79, 1.5], [0.79, 2.0], [0.7, 2.5]]
    saw = browse(station.url).evaluate(LAG, {"looks": looks, "wantedS": None})
    assert saw["stood"] == 1


def test_what_a_move_costs_is_learned(browse: Callable[..., Page], station: Station) -> None:
    saw = browse(station.url).evaluate(LAG, {"looks": [[0.9, 0.3], [0.75, 0.5], [0.75, 1.0]], "wantedS": 0.7})
    assert saw["missed"] == pytest.approx(0.05)
    assert saw["moveS"] == pytest.approx(0.12)
    assert saw["stood"] == 0
