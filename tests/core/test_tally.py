"""Workers' counters add up to what has happened, whoever starts again and whatever their clocks say."""

from stentor.core.tally import KEPT_MS, STALE_MS, WORKERS_MAX, Said, Tally


def test_growth_is_counted_once() -> None:
    tally = Tally()
    assert tally.receive({"edge-0": Said(1, 7, 100, 40)}, 0) == 0, "counted before we came"
    assert (tally.level, tally.workers) == (40, 1)
    assert tally.receive({"edge-0": Said(2, 7, 103, 41), "edge-1": Said(9, 8, 5, 5)}, 1) == 8
    assert tally.receive({"edge-0": Said(2, 7, 103, 41), "edge-1": Said(9, 8, 5, 5)}, 2) == 0
    assert (tally.level, tally.workers) == (46, 2)


def test_a_worker_that_starts_again_counts_from_nothing() -> None:
    tally = Tally()
    tally.receive({"edge-0": Said(1, 7, 100)}, 0)
    assert tally.receive({"edge-0": Said(2, 8, 3)}, 1) == 3
    assert tally.receive({"edge-0": Said(3, 8, 4)}, 2) == 1


def test_a_worker_is_itself_under_another_name() -> None:
    """A reload: for a moment the old worker and the new one write under the same name, then the old one has its own."""
    tally = Tally()
    tally.receive({"edge-0": Said(1, 7, 100, 40)}, 0)
    assert tally.receive({"edge-0": Said(2, 8, 0, 0)}, 1) == 0
    assert tally.receive({"edge-0": Said(3, 7, 101, 40)}, 2) == 1
    assert tally.receive({"edge-0": Said(3, 7, 101, 40), "edge-0.7": Said(4, 7, 102, 39)}, 3) == 1
    assert tally.level == 39, "nobody is there twice"
    assert tally.receive({"edge-0": Said(4, 8, 5, 5), "edge-0.7": Said(5, 7, 102, 38)}, 4) == 5
    assert (tally.level, tally.workers) == (43, 2)


def test_workers_that_are_gone_are_forgotten_in_the_end() -> None:
    tally = Tally()
    for pid in range(2 * WORKERS_MAX):
        tally.receive({"edge-0": Said(pid, pid, 1)}, pid)
    assert (tally.level, tally.workers, tally.known) == (0, 1, WORKERS_MAX)


def test_silence_is_told_by_our_own_clock() -> None:
    tally = Tally()
    for now_ms in range(0, 2 * STALE_MS, 1_000):
        tally.receive({"ahead": Said(now_ms + 30_000, 1, 0, 1), "silent": Said(7, 2, 0, 1)}, now_ms)
    assert (tally.level, tally.workers) == (2, 1), "it may be there, and not be able to say so"
    for now_ms in range(2 * STALE_MS, KEPT_MS + 2_000, 1_000):
        tally.receive({"ahead": Said(now_ms + 30_000, 1, 0, 1), "silent": Said(7, 2, 0, 1)}, now_ms)
    assert (tally.level, tally.workers) == (1, 1)
    tally.receive({"silent": Said(8, 2, 4, 1)}, now_ms + 1)
    assert (tally.level, tally.workers) == (1, 1)


def test_a_worker_whose_value_is_lost_does_not_count_anew() -> None:
    """Of a board that was lost, and is written again."""
    tally = Tally()
    tally.receive({"edge-0": Said(1, 7, 50, 20)}, 0)
    assert tally.receive({}, 1_000) == 0
    assert tally.receive({"edge-0": Said(2, 7, 52, 21)}, 2_000) == 2 and tally.level == 21
