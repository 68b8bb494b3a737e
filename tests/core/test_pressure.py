"""Whether what is shut out still comes."""

from __future__ import annotations

from stentor.core.pressure import FORGET_MS, SPAN_MS, Pressure


def told(pressure: Pressure, now_ms: int, *totals: int) -> int:
    """A span each; -> when the last one was."""
    for total in totals:
        pressure.receive(total, now_ms)
        now_ms += SPAN_MS
    return now_ms - SPAN_MS


def test_much_of_it_counts_and_a_tenth_does_not() -> None:
    pressure = Pressure()
    loud = told(pressure, SPAN_MS, 0, 1_000, 2_000)
    assert pressure.last_ms == loud
    told(pressure, loud + SPAN_MS, 2_100, 2_200, 2_200)
    assert pressure.last_ms == loud, "a tenth of the most is what is always there"
    later = told(pressure, loud + 4 * SPAN_MS, 2_400)
    assert pressure.last_ms == later


def test_what_was_counted_before_it_looked_is_no_news_and_nor_is_a_total_that_falls() -> None:
    pressure = Pressure()
    told(pressure, SPAN_MS, 90_000, 90_000, 10)
    assert pressure.last_ms == 0


def test_the_next_attack_may_be_smaller() -> None:
    pressure = Pressure()
    loud = told(pressure, SPAN_MS, 0, 1_000_000)
    later = told(pressure, loud + FORGET_MS, 1_000_000, 1_000_010)
    assert pressure.last_ms == later


def test_within_a_span_nothing_is_looked_at() -> None:
    pressure = Pressure()
    told(pressure, SPAN_MS, 0)
    pressure.receive(1_000, SPAN_MS + 1)
    assert pressure.last_ms == 0
