"""The after-action report from entries: stretches, lives of rules, whose doing it was, and sums that add up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.core import report as reports
from stentor.core.report import Empty, heard, make, merged, rule_lives, series, stretches, within
from stentor.formats.ledger import Begun, Entry, Judged, Ledger, Noted, Ordered, Ruled, Sampled
from stentor.formats.report import Report, Source, Taped
from stentor.model.board import Phase, Signal, Verdict

SOURCE = Source("ledger.jsonl", "00", 1, 0, 0, False, 0)
T0_MS = 1_760_000_000_000
SIGNAL = Signal("completion", "412 addresses and none played", 412, 9_800, 0.999)
ATTACK = (10, 20)  # seconds


def _sample(second: int, **fields: object) -> Sampled:
    attack = ATTACK[0] <= second < ATTACK[1]
    values: dict[str, object] = {
        "phase": Phase.LIVE,
        "listening": 100,
        "voices": 1,
        "verdict": Verdict.ATTACK if attack else Verdict.CALM,
        "level": 3 * attack,
    }
    return Sampled(T0_MS + 1000 * second, **values | fields)


def _evening(**fields: object) -> list[Entry]:
    """Thirty seconds, of which ten are an attack; `fields` are of every sample."""
    entries: list[Entry] = [Begun(T0_MS, "friday", "Friday", T0_MS, T0_MS)]
    for second in range(30):
        if second == ATTACK[0]:
            entries.append(Judged(T0_MS + 1000 * second, Verdict.ATTACK, 3, (SIGNAL,), error="wrong in 0 of 300"))
        if second == ATTACK[1]:
            entries.append(Judged(T0_MS + 1000 * second, Verdict.CALM))
        entries.append(_sample(second, **fields))
    return entries


def _made(entries: list[Entry], taped: Taped | None = None) -> Report:
    return make(Ledger(entries), taped, SOURCE, T0_MS + 10**6)


def _words(report: Report, kind: str) -> str:
    return " ".join(one.words for one in report.findings if one.kind == kind)


def test_a_verdict_lasts_until_the_next() -> None:
    found = stretches(_evening())
    assert [(one.verdict, (one.from_ms - T0_MS) // 1000, (one.to_ms - T0_MS) // 1000) for one in found] == [
        ("calm", 0, 10),
        ("attack", 10, 20),
        ("calm", 20, 29),
    ]
    assert found[1].signals == (SIGNAL,)


def test_a_verdict_ends_with_a_sample_that_knows_of_none() -> None:
    """As after a restart of the machine, where nobody wrote down that it was over."""
    entries = [entry for entry in _evening() if not (isinstance(entry, Judged) and entry.verdict == "calm")]
    assert [(one.verdict, one.to_ms - one.from_ms) for one in stretches(entries)][1] == ("attack", 10_000)


def test_the_report_says_when_and_for_how_long() -> None:
    report = _made(_evening())
    assert report.totals.attack_ms == 10_000
    assert "judged to be an attack, first at 08:53:30 UTC, for 10 s in all" in report.summary[1]
    assert [one.verdict for one in report.verdicts] == ["attack"]
    assert "wrong in 0 of 300" in report.caveats[0]


def test_where_no_attack_was_seen_nothing_is_said_of_how_often_such_a_verdict_errs() -> None:
    report = _made([entry for entry in _evening(verdict=Verdict.CALM) if not isinstance(entry, Judged)])
    assert not any("such a verdict" in line for line in report.caveats)


def test_what_is_the_attacks_doing_and_what_is_not() -> None:
    report = _made(_evening(blocked=7, shed=2, dropped=1, rung=2))
    assert "70 connections were refused by rules while it lasted" in _words(report, "attack")
    assert "20 requests were put off" in _words(report, "attack")
    assert "10 listeners were dropped while it lasted" in _words(report, "unclear")
    assert "outside of it 20" in _words(report, "unclear")
    assert "140 connections were refused by rules before or after" in _words(report, "unclear")
    assert "Quality was given up" in _words(report, "other")


def test_without_an_attack_nothing_is_said_to_be_its_doing() -> None:
    entries = [_sample(second, verdict=Verdict.CROWD, level=1, rung=1, dropped=1) for second in range(9)]
    report = _made([Begun(T0_MS, "friday"), *entries])
    assert report.summary[1] == "No attack was seen. For 8 s a crowd was at the door."
    assert {one.kind for one in report.findings} == {"other"}


def test_undecided_is_said_to_be_undecided() -> None:
    entries = [_sample(second, verdict=Verdict.UNDECIDED, level=2) for second in range(9)]
    assert "could not be told" in _made([Begun(T0_MS, "friday"), *entries]).summary[1]


def test_nothing_measured_is_no_report() -> None:
    with pytest.raises(Empty):
        _made([Begun(T0_MS, "friday")])
    with pytest.raises(Empty):
        _made([])


def _taped(lengths: list[int], **fields: object) -> Taped:
    values: dict[str, object] = {"first_n": 5, "first_ms": T0_MS, "chunk_ms": 500, "lengths": tuple(lengths)}
    return Taped(**values | fields)


def test_the_tape_says_which_pieces_were_hold() -> None:
    report = _made(_evening(), _taped([int(at not in (22, 23, 50)) for at in range(60)]))
    audio = report.audio
    assert (audio.by, audio.chunks, audio.aired, audio.held, audio.last_n) == ("tape", 60, 57, 3, 64)
    assert (audio.unexplained, audio.unexplained_in_attack) == (3, 2)
    assert "2 pieces of hold went out while somebody was on air and it lasted" in _words(report, "unclear")
    assert "1 piece of hold went out outside of the attack" in _words(report, "other")


def test_hold_that_has_another_cause_is_not_the_attacks() -> None:
    held = _taped([0] * 60)
    nobody = _made(_evening(voices=0), held)
    silent = _made(_evening(absent=("studio",)), held)
    assert (nobody.audio.unvoiced, nobody.audio.unexplained) == (60, 0)
    assert (silent.audio.studio, silent.audio.unexplained) == (60, 0)
    assert "because nobody was on air" in _words(nobody, "other")
    assert "the studio was silent or late" in _words(silent, "other")
    assert not _words(nobody, "unclear")


def test_a_whole_show_is_said_to_be_whole() -> None:
    report = _made(_evening(), _taped([1] * 60))
    assert "every piece of audio carried the program" in _words(report, "other")


def test_pieces_that_the_disk_did_not_take() -> None:
    audio = heard([_sample(0)], _taped([1, 1, 0], lost=((7, 7),)), [])
    assert audio.lost == 1


def test_without_a_tape_the_samples_are_counted() -> None:
    report = _made(_evening(aired=1, held=1, late=1))
    assert (report.audio.by, report.audio.chunks, report.audio.studio) == ("ledger", 60, 30)
    assert any("recording was not at hand" in line for line in report.caveats)
    assert _made(_evening()).audio.by == "nothing"


def test_a_rule_from_its_making_to_its_end() -> None:
    def ruled(second: int, change: str, id_: str = "r1", **fields: object) -> Ruled:
        return Ruled(T0_MS + 1000 * second, id_, change, "drop", "aa", "IPv4 address", **fields)

    lives = rule_lives(
        [
            ruled(0, "made", why="66 joins"),
            ruled(1, "enforced", hits=4),
            ruled(3, "expired", hits=9, until_ms=T0_MS + 3_000),
            ruled(4, "made", spared="a listener plays there"),  # the next usher counts from one again
            ruled(5, "made"),
            ruled(5, "released"),
        ]
    )
    first, second, third = lives
    assert (first.enforced_ms - T0_MS, first.ended, first.until_ms - T0_MS, first.hits, first.why) == (
        1_000, "expired", 3_000, 9, "66 joins",
    )  # fmt: skip
    assert (second.ended, second.spared, second.enforced_ms) == ("", "a listener plays there", 0)
    assert third.ended == "released"


def test_orders_and_notes_are_kept_apart() -> None:
    report = _made([*_evening(), Ordered(T0_MS + 40_000, "Siege"), Noted(T0_MS + 41_000, "9 lines are missing")])
    assert [one.words for one in report.orders] == ["Siege"]
    assert [one.words for one in report.notes] == ["9 lines are missing"]


def test_a_time_without_an_usher_is_told() -> None:
    entries = [entry for entry in _evening() if not T0_MS + 3_000 < entry.at_ms < T0_MS + 12_000]
    report = _made(entries)
    assert report.totals.unsampled_ms == 9_000
    assert None in report.series.listening
    assert any("9 s nobody kept the ledger" in line for line in report.caveats)


def test_a_clock_that_is_set_back_does_not_turn_time() -> None:
    report = _made([*_evening(), _sample(5), _sample(40)])
    assert report.to_ms == T0_MS + 40_000
    assert all(one.from_ms <= one.to_ms for one in report.verdicts)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60))
def test_every_sample_is_in_one_bin(gaps_ms: list[int]) -> None:
    at_ms, samples = T0_MS, []
    for gap_ms in gaps_ms:
        at_ms += gap_ms
        samples.append(Sampled(at_ms, joins=1, listening=3))
    found = series(samples)
    assert round(sum(rate or 0 for rate in found.joins_hz) * found.step_s) == pytest.approx(len(samples), rel=0.05)
    assert len(found.listening) <= reports.BINS_MAX + 2
    assert {3} <= set(found.listening) <= {3, None}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9)), max_size=9), st.integers(-5, 120))
def test_spans(pairs: list[tuple[int, int]], at: int) -> None:
    spans = [(first, first + length) for first, length in sorted(pairs)]
    assert within(at, merged(spans)) == any(first < at <= last for first, last in spans)
