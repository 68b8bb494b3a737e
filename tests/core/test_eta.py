"""Waits as they are told: known where they can be, wide enough, and the same for page and door."""

from math import exp, sqrt

from hypothesis import given
from hypothesis import strategies as st

from stentor.core.eta import (
    DRIFT,
    WAIT_S_MAX,
    Pace,
    Z,
    ahead,
    chance,
    ends_at_ms,
    places_up_to,
    range_s,
)
from stentor.formats.now import SHOW_MS_ASSUMED

PACE = Pace(rate_mps=2_000, seen=100, free=0, soon=0, calls_mps=500_000, next_poll_ms=5_000)
TABLE = ((100, 10), (200, 20), (1_000, 60))


def test_the_table_is_exact_at_its_points_and_in_proportion_between() -> None:
    assert [places_up_to(TABLE, rank) for rank in (99, 100, 150, 200, 600, 1_000, 2_000)] == [0, 10, 15, 20, 40, 60, 60]
    assert ahead(TABLE, 100, 100) == 0 and ahead(TABLE, 100, 99) == 0
    assert ahead(TABLE, 100, 101) == 0 and ahead(TABLE, 100, 201) == 10 and ahead(TABLE, 100, 9_999) == 50
    assert ahead((), 0, 5) == 0


def test_what_is_not_known_is_not_said() -> None:
    fresh = PACE._replace(rate_mps=0, seen=0)
    assert range_s(0, fresh) is None and chance(0, fresh, 60) is None
    with_seats = fresh._replace(free=10, soon=12)
    assert range_s(9, with_seats) == (0, 8) and chance(9, with_seats, 60) == 1.0
    assert range_s(10, with_seats) is None


def test_the_formula() -> None:
    s = sqrt(1 / 100 + 1 / 100 + DRIFT**2)
    low, high = range_s(99, PACE) or (0, 0)
    assert low == int(50 * exp(-Z * s) - 2)
    assert high - 1 < 50 * exp(Z * s) + 100 / 500 + 6 + 1 <= high
    assert range_s(99, PACE._replace(soon=100)) == (0, high), "the called may stay away"


def test_the_end_of_the_show() -> None:
    assert chance(99, PACE, 50) == 0.5 and chance(99, PACE, 0) == 0.0
    assert chance(99, PACE, 5e-324) == chance(0, PACE._replace(rate_mps=1), 5e-324) == 0.0
    assert chance(99, PACE, 500) == 1.0 and chance(9_999, PACE, 50) == 0.0
    assert ends_at_ms(1_000, 0) == (1_000 + SHOW_MS_ASSUMED, True)
    assert ends_at_ms(1_000, 2_000) == (2_000, False)


COUNTS = st.integers(0, 10_000_000)
SEATS = st.integers(-100_000, 10_000_000)


@given(COUNTS, st.builds(Pace, COUNTS, COUNTS, SEATS, SEATS, COUNTS, st.integers(1, 60_000)), st.floats(-1e6, 1e6))
def test_any_values(places: int, pace: Pace, left_s: float) -> None:
    found = range_s(places, pace)
    likely = chance(places, pace, left_s)
    assert found is None or 0 <= found[0] <= found[1] <= WAIT_S_MAX
    assert likely is None or 0 <= likely <= 1
