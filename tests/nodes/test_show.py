"""When a show's recording begins, whatever was done to the clock since its grid was laid."""

import pytest

from stentor.nodes.show import first_live, lay_grid

S = 1_000_000_000
LAID_WALL, LAID_MONO = 1_700_000_000 * S + 123_456_789, 77 * S + 5
STARTS_MS = 1_700_000_900_000
T0_N = 1_801  # in half seconds: the grid began between one and two chunks before it was laid


def go(after_s: float, clock_set_s: float = 0.0) -> int:
    """The first chunk of a show that goes live `after_s` after its grid was laid, the clock set by this much."""
    grid = lay_grid(STARTS_MS, 500, LAID_WALL, LAID_MONO)
    passed = int(after_s * S)
    return first_live(grid, STARTS_MS, LAID_WALL + passed + int(clock_set_s * S), LAID_MONO + passed)


def test_the_start_is_on_its_chunk_however_late_it_is_noticed() -> None:
    grid = lay_grid(STARTS_MS, 500, LAID_WALL, LAID_MONO)
    assert grid.wall_ns(T0_N) == STARTS_MS * 1_000_000
    assert {go(899.877 + late) for late in (0.0, 0.1, 0.7, 5.0, 29.0)} == {T0_N}


@pytest.mark.parametrize("slewed", [-0.6, -0.02, 0.02, 0.6])
def test_a_clock_that_is_kept_right_moves_nothing(slewed: float) -> None:
    assert go(899.9 - slewed, slewed) == T0_N


def test_a_clock_set_forward_brings_the_start_forward() -> None:
    assert go(300.0, 600.0) == T0_N - 1_200


def test_a_clock_set_back_puts_it_off() -> None:
    assert go(899.9 + 3_600, -3_600.0) == T0_N + 7_200


def test_who_comes_very_late_begins_then() -> None:
    assert go(899.877 + 600.0) == T0_N + 1_200 - 60
