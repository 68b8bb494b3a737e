"""Joins a second, from counters of workers that come and go."""

from __future__ import annotations

from stentor.core.joins import WORKERS_MAX, Joins
from stentor.model.board import Edge

START = 1_000_000


def _edge(pid: int, joins: int) -> Edge:
    return Edge(at_ms=0, pid=pid, joins=joins)


def test_nothing_is_known_at_first_nor_after_silence() -> None:
    joins = Joins()
    assert joins.hz(START) is None and joins.due(START)
    joins.receive([_edge(1, 5_000)], START)
    assert joins.hz(START) is None and not joins.due(START + 999) and joins.due(START + 1_000)
    joins.receive([_edge(1, 5_003)], START + 1_000)
    assert joins.hz(START + 1_000) == 3.0
    assert joins.hz(START + 6_001) is None


def test_ten_seconds_are_looked_at() -> None:
    joins = Joins()
    for second in range(60):
        joins.receive([_edge(1, 100 * second if second < 40 else 4_000 + 7 * (second - 40))], START + 1_000 * second)
    assert joins.hz(START + 59_000) == 7.0


def test_workers_that_come_and_go_make_no_leap() -> None:
    joins = Joins()
    joins.receive([_edge(1, 9_000), _edge(2, 500)], START)
    joins.receive([_edge(3, 4), _edge(2, 506)], START + 1_000)  # 1 was killed, 3 has its place
    joins.receive([_edge(1, 9_000), _edge(2, 506)], START + 2_000)  # 1 was only not readable
    joins.receive([_edge(1, 9_000), _edge(2, 400)], START + 3_000)  # an older value, seen late
    assert joins.hz(START + 3_000) == round(10 / 3, 1)


def test_memory_is_bounded() -> None:
    joins = Joins()
    for second in range(3):
        edges = [_edge(second * WORKERS_MAX + worker, 1) for worker in range(WORKERS_MAX)]
        joins.receive(edges, START + 1_000 * second)
    assert len(joins._counts) == WORKERS_MAX and len(joins._points) <= 11
