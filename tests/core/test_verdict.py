"""Attack or crowd, from pictures made by hand; tests/sim has whole evenings."""

from __future__ import annotations

from typing import Any

import pytest

from stentor.core.evidence import RIPE_MS, WINDOW_MS, Evidence
from stentor.core.verdict import LOOKS, QUIET_MS, SURE, Judge, posterior
from stentor.core.witness import Witness
from stentor.formats import evidence
from stentor.formats.evidence import decode, key_of, target
from stentor.model.board import Verdict
from stentor.model.suspicion import Judgement


class Bench:
    """Evidence and its judge. `tell` says what a source did in the last quarter of a second."""

    def __init__(self) -> None:
        self.evidence, self.judge, self.now_ms = Evidence(), Judge(), 0
        self._witness = Witness(evidence.DOOR, 0)

    def tell(self, source: str, **counts: int) -> None:
        for field, n in counts.items():
            self._witness.count(source, field, n)

    def look(self, looks: int = 1, **options: Any) -> Judgement:
        for _ in range(looks):
            for data in self._witness.flush(self.now_ms):
                self.evidence.receive(decode(data), self.now_ms)
            self.now_ms += 250
            judged = self.judge.receive(self.evidence.tick(self.now_ms), **options)
        return judged

    def audience(self, count: int = 100) -> None:
        """People who listen, and behave."""
        for number in range(count):
            self.tell(f"10.1.{number // 250}.{number % 250}", requests=2, starts=2, completed=1, live=1)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_posterior_is_sure_from_sixty_five_starts_with_none_completed() -> None:
    assert posterior(65, 0) > SURE > posterior(64, 0)
    assert posterior(1_000, 60) > SURE > posterior(1_000, 80)
    assert posterior(66, 60) < 0.01 and posterior(10_000, 5_000) < 0.01


def test_a_verdict_stands_from_the_first_look_on_and_not_from_before() -> None:
    bench = Bench()
    bench.now_ms = 36_000_000
    assert bench.look().since_ms == 36_000_250
    assert bench.look(9).since_ms == 36_000_250


def test_nobody_is_calm_and_an_audience_too(bench: Bench) -> None:
    assert bench.look().verdict is Verdict.CALM
    bench.audience(30)
    assert bench.look(40).verdict is Verdict.CALM


def test_many_who_come_and_behave_are_a_crowd(bench: Bench) -> None:
    for number in range(500):
        bench.tell(f"10.2.{number // 250}.{number % 250}", requests=3, joins=1, starts=2)
    assert bench.look(8).verdict is Verdict.CROWD
    for number in range(500):
        bench.tell(f"10.2.{number // 250}.{number % 250}", completed=1, live=1)
    judged = bench.look(20)
    assert (judged.verdict, judged.suspects) == (Verdict.CROWD, ())


def flood(bench: Bench, addresses: int = 40) -> None:
    for number in range(addresses):
        bench.tell(f"10.9.{number}.7", requests=100, joins=100, starts=100)


def test_addresses_that_begin_sessions_and_complete_none_are_an_attack(bench: Bench) -> None:
    bench.audience()
    flood(bench)
    assert bench.look(LOOKS).verdict is not Verdict.ATTACK, "nobody can have completed anything yet"
    judged = bench.look(RIPE_MS // 250 + LOOKS)
    assert judged.verdict is Verdict.ATTACK
    assert {signal.family for signal in judged.signals} == {"completion", "strangers"}
    words = " ".join(signal.words for signal in judged.signals)
    assert "40 addresses began 4,000 sessions in 10 s and none played two seconds of audio; 100 %" in words
    assert {one.key for one in judged.suspects} == {key_of(f"10.9.{number}.7") for number in range(40)}
    assert len(judged.vouched) == 100
    assert bench.look((WINDOW_MS + QUIET_MS) // 250 + 1).verdict is not Verdict.ATTACK


def test_that_the_edges_are_down_is_no_evidence_against_anybody(bench: Bench) -> None:
    flood(bench)
    judged = bench.look(RIPE_MS // 250 + LOOKS, edges_up=False)
    assert judged.verdict is not Verdict.ATTACK and "completion" not in {one.family for one in judged.signals}


def test_one_family_alone_is_undecided(bench: Bench) -> None:
    for number in range(5):
        bench.tell(f"10.9.0.{number}", requests=10, forged=10)
    judged = bench.look(LOOKS + 1)
    assert judged.verdict is Verdict.UNDECIDED
    assert judged.signals[0].words == "5 addresses did what no player does: 50 forged tickets in 10 s"


def test_who_does_what_no_player_does_beside_an_audience_is_an_attack_in_a_second(bench: Bench) -> None:
    bench.audience()
    for number in range(20):
        bench.tell(f"10.9.0.{number}", requests=1, unfinished=8)
    judged = bench.look(LOOKS)
    assert judged.verdict is Verdict.ATTACK and judged.since_ms <= 1_000
    assert all(one.families == ("conformance",) and not one.spared for one in judged.suspects)


def test_many_who_each_do_a_little_of_it_and_nothing_else_are_found(bench: Bench) -> None:
    bench.audience()
    for number in range(120):
        bench.tell(f"10.9.0.{number}", unfinished=1)
    bench.tell("10.1.0.1", unfinished=1)
    judged = bench.look(LOOKS)
    assert judged.verdict is Verdict.ATTACK and len(judged.suspects) == 120


def test_those_who_listen_and_ask_for_nothing_do_not_hide_them(bench: Bench) -> None:
    for number in range(2_000):
        bench.tell(f"10.1.{number // 250}.{number % 250}", live=1)
    for number in range(120):
        bench.tell(f"10.9.0.{number}", unfinished=1)
    judged = bench.look(LOOKS)
    assert judged.verdict is Verdict.ATTACK and len(judged.suspects) == 120


def test_a_few_of_many_who_lose_their_network_are_no_attack(bench: Bench) -> None:
    bench.audience(2_000)
    for number in range(150):
        bench.tell(f"10.8.0.{number}", unfinished=1)
    assert bench.look(LOOKS + 1).verdict is not Verdict.ATTACK


def test_an_address_with_many_behind_it_is_no_suspect_for_a_few_who_err(bench: Bench) -> None:
    bench.audience()
    bench.tell("10.3.0.1", requests=900, starts=300, completed=200, live=200, unfinished=40, forged=5)
    assert bench.look(20).suspects == ()


def test_a_network_that_fails_as_a_whole_is_found_though_no_address_does_much(bench: Bench) -> None:
    bench.audience()
    for number in range(50):
        bench.tell(f"10.9.0.{number}", requests=2, joins=2, starts=2)
        bench.tell(f"2001:db8:7:{number:x}::1", requests=2, joins=2, starts=2)
    bench.tell("10.9.0.200", places=1, starts=2)
    judged = bench.look(RIPE_MS // 250 + LOOKS)
    assert judged.verdict is Verdict.ATTACK and len(judged.suspects) == 100
    assert key_of("10.9.0.200") not in {one.key for one in judged.suspects}, "seen before to behave"


def test_a_flood_of_requests_without_anything_else_is_undecided(bench: Bench) -> None:
    for number in range(4):
        bench.tell(f"10.9.0.{number}", requests=2_000)
    bench.audience(10)
    judged = bench.look(LOOKS + 1)
    assert judged.verdict is Verdict.UNDECIDED and judged.signals[0].family == "requests"
    assert judged.signals[0].words.startswith("4 addresses asked 8,000 times in 10 s, 2,000 each; others")


def test_what_the_door_held_back_is_no_evidence(bench: Bench) -> None:
    for number in range(300):
        bench.tell(f"10.4.{number // 250}.{number % 250}", requests=2, joins=2, held=2)
    judged = bench.look(RIPE_MS // 250 + LOOKS)
    assert judged.suspects == () and judged.verdict is Verdict.CROWD


def test_polls_of_a_place_by_the_hundred_are_no_good_order(bench: Bench) -> None:
    """Whoever holds one place could else ask as often as they like: each poll would speak for them."""
    for _ in range(8):
        bench.audience()
        bench.tell("10.9.0.1", requests=250, early=247, polite=3)
        judged = bench.look()
    assert judged.verdict is Verdict.ATTACK and {signal.family for signal in judged.signals} >= {
        "conformance",
        "requests",
    }
    assert [suspect.key for suspect in judged.suspects] == [key_of("10.9.0.1")]
    assert "polls far too early" in judged.signals[0].words


def test_tickets_that_nobody_listens_with_are_counted(bench: Bench) -> None:
    for _ in range(30):
        bench.audience()
        bench.tell("10.9.0.1", requests=4, starts=4, tickets=4)
        bench.tell("10.9.0.2", requests=8, starts=8, tickets=4)
        judged = bench.look()
    unused = {target(one.key): one.unused for one in judged.suspects}
    assert unused == {"10.9.0.1/32": 120, "10.9.0.2/32": 0}


def test_who_asks_by_the_thousand_and_does_nothing_else_attacks(bench: Bench) -> None:
    for _ in range(20):
        bench.audience(30)
        bench.tell("10.9.0.1", requests=1_000)
        judged = bench.look()
    assert judged.verdict is Verdict.ATTACK
    assert [target(one.key) for one in judged.suspects] == ["10.9.0.1/32"]
    assert "requests one after the other" in judged.signals[0].words


@pytest.mark.parametrize(
    "counts",
    [{"requests": 120}, {"requests": 200, "polite": 2}, {"requests": 300, "polite": 280}],
    ids=["pages of a thousand who wait", "a proxy that nobody has listed", "players behind one address"],
)
def test_many_behind_one_address_do_not(bench: Bench, counts: dict[str, int]) -> None:
    for _ in range(40):
        bench.audience(30)
        bench.tell("10.9.0.1", **counts)
        assert bench.look().verdict is not Verdict.ATTACK


def test_strangers_who_ask_too_much_attack_a_door_that_cannot_answer_all(bench: Bench) -> None:
    for overloaded, verdict in ((False, Verdict.UNDECIDED), (True, Verdict.ATTACK)):
        for _ in range(40):
            bench.audience(30)
            for number in range(10):
                bench.tell(f"10.9.0.{number}", requests=8)
            judged = bench.look(overloaded=overloaded)
        assert judged.verdict is verdict
    assert {target(one.key) for one in judged.suspects} == {f"10.9.0.{number}/32" for number in range(10)}


def test_an_overloaded_door_alone_says_nothing_against_a_crowd(bench: Bench) -> None:
    for _ in range(40):
        bench.audience(200)
        for number in range(10):
            bench.tell(f"10.9.0.{number}", requests=8, places=1)
        assert bench.look(overloaded=True).verdict is not Verdict.ATTACK


def test_who_joins_again_and_again_and_never_solves_what_is_asked_does_what_no_page_does(bench: Bench) -> None:
    for look in range(40):
        bench.audience(100)
        for number in range(50):
            if look % 4 == number % 4:
                bench.tell(f"10.9.0.{number}", requests=1, joins=1, held=1, unsolved=1)
        judged = bench.look()
    assert judged.verdict is Verdict.ATTACK and len(judged.suspects) == 50
    assert "without doing what was asked" in judged.signals[0].words


def test_that_all_who_come_are_asked_to_solve_one_says_nothing_against_them(bench: Bench) -> None:
    """A crowd of strangers within a second or two, none of whom has solved it yet; and an office of them."""
    bench.audience(100)
    for number in range(2_000):
        bench.tell(f"10.9.{number // 250}.{number % 250}", requests=1, joins=1, held=1, unsolved=1)
    bench.tell("10.8.0.1", requests=60, joins=60, held=60, unsolved=30, solved=15)
    assert bench.look(8).verdict in (Verdict.CALM, Verdict.CROWD)
