"""What Prometheus gets, and who may ask."""

import asyncio
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stentor.io.board import Board
from stentor.io.http import application
from stentor.model import board
from stentor.nodes import metrics

METRICS_MD = Path(__file__).parents[2] / "docs" / "METRICS.md"


def samples(values: Board) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.exposition(values).decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


@pytest.fixture
def values(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_workers_have_samples_of_their_own(values: Board) -> None:
    values.put("edge-0", board.Edge(at_ms=1, joins=4, by_rendition={"opus": 3, "mp3": 1}))
    values.put("edge-1", board.Edge(at_ms=1, joins=5, worst_late_ms=250))
    found = samples(values)
    assert found["stentor_edge_joins_total", (("worker", "0"),)] == 4
    assert found["stentor_edge_joins_total", (("worker", "1"),)] == 5
    assert found["stentor_edge_listeners", (("rendition", "opus"), ("worker", "0"))] == 3
    assert found["stentor_edge_late_seconds_max", (("worker", "1"),)] == 0.25


def test_listeners_by_hls_are_counted_or_estimated(values: Board) -> None:
    values.put("edge-0", board.Edge(at_ms=1, hls_signed=3, hls_estimated=2))
    found = samples(values)
    assert found["stentor_edge_hls_listeners", (("how", "signed"), ("worker", "0"))] == 3
    assert found["stentor_edge_hls_listeners", (("how", "estimated"), ("worker", "0"))] == 2


def test_lines_have_their_shows_name(values: Board) -> None:
    values.put("line-friday", board.Line(at_ms=1, gate=board.Gate.QUEUE, waiting=7, free=-2, rate_mps=1_500))
    found = samples(values)
    assert found["stentor_line_waiting", (("show", "friday"),)] == 7
    assert found["stentor_line_seats_free", (("show", "friday"),)] == -2
    assert found["stentor_line_rate_hertz", (("show", "friday"),)] == 1.5
    assert found["stentor_line_gate", (("gate", "queue"), ("show", "friday"))] == 1


def test_the_stage(values: Board) -> None:
    speakers = (
        board.Speaker("a", "Ada", on_air=True, muted=False, lost=7, jitter_ms=20),
        board.Speaker("b", "Bob", on_air=False, muted=False),
    )
    tape = board.Tape(durable_n=90, problem="no space")
    values.put("stage", board.Stage(at_ms=1, show="s", phase=board.Phase.LIVE, speakers=speakers, tape=tape))
    values.put("levels", board.Levels(1, {"program": -12.5}))
    found = samples(values)
    assert found["stentor_show_phase", (("phase", "live"),)] == 1
    assert found["stentor_show_phase", (("phase", "held"),)] == 0
    assert found["stentor_stage_speakers", (("where", "on air"),)] == 1
    assert found["stentor_speaker_lost_packets_total", (("seat", "a"),)] == 7
    assert found["stentor_speaker_jitter_seconds", (("seat", "a"),)] == 0.02
    assert (found["stentor_tape_chunk", ()], found["stentor_tape_problem", ()]) == (90, 1)
    assert found["stentor_level_dbfs", (("of", "program"),)] == -12.5


def test_an_empty_board_and_a_broken_value(values: Board) -> None:
    assert samples(values) == {}
    values.put("door-0", board.Door(at_ms=1, requests=3))
    (values.directory / "edge-0.json").write_text("{")
    assert samples(values)["stentor_door_requests_total", (("worker", "0"),)] == 3


@pytest.mark.parametrize(
    ("token", "given", "status"),
    [
        ("secret", "secret", 200),
        ("secret", "other", 401),
        ("secret", "", 401),
        ("secret", "sécret", 401),
        ("", "", 404),
    ],
)
def test_only_for_the_bearer_of_the_token(values: Board, token: str, given: str, status: int) -> None:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(application(metrics.route(values, token)))
        async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
            headers = {"Authorization": f"Bearer {given}".encode()} if given else {}
            return await client.get("/crew/metrics", headers=headers)

    answer = asyncio.run(get())
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    else:
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_table_in_the_docs_is_this_one() -> None:
    assert METRICS_MD.read_text() == metrics.table() + "\n", "run: python -m stentor.nodes.metrics > docs/METRICS.md"


def test_every_metric_has_a_name_as_prometheus_wants_it() -> None:
    for _, _, declared in metrics._KINDS:
        for metric in declared:
            assert metric.name.startswith("stentor_") and metric.text.endswith(".")
            assert (metric.kind == "counter") == metric.name.endswith("_total")
