"""Rules: for one source, after a while in shadow, never against who listens, and not for long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stentor.core import rules
from stentor.core.rules import LEAVE_MS, LIFE_MS, LIFE_MS_MAX, LIMIT_MS, SHADOW_MS, Decision, Load, Rulebook, Wishes
from stentor.formats.evidence import key_of
from stentor.model.board import Verdict
from stentor.model.suspicion import Judgement, Suspect

LISTENER, HOSTILE = key_of("10.0.0.1"), key_of("10.9.0.1")


def suspect(key: bytes = HOSTILE) -> Suspect:
    return Suspect(key, ("completion",), 90, 0.9999, "90 in 10 s: sessions begun, none completed")


def judged(
    verdict: Verdict = Verdict.ATTACK, *suspects: Suspect, vouched: frozenset[bytes] = frozenset({LISTENER})
) -> Judgement:
    return Judgement(0, verdict, 0, (), suspects, 0, 0, 0, vouched, frozenset())


ATTACK, CALM = judged(Verdict.ATTACK, suspect()), judged(Verdict.CALM)


def actions(decision: Decision) -> list[str]:
    return [rule.action for rule in decision.enforced]


def test_a_rule_is_in_shadow_then_limits_then_drops() -> None:
    book = Rulebook()
    made = book.receive(ATTACK, 1_000)
    assert (made.level, made.enforced, [change.what for change in made.changes]) == (rules.ATTACK, (), ["made"])
    assert made.rules[0].target == "10.9.0.1/32" and made.share
    assert actions(book.receive(ATTACK, 1_000 + SHADOW_MS)) == ["limit"]
    assert actions(book.receive(ATTACK, 1_000 + SHADOW_MS + LIMIT_MS)) == ["drop"]


def test_a_rule_runs_out_and_the_next_for_the_same_source_lives_twice_as_long() -> None:
    book, now = Rulebook(), 0
    lives = []
    for _ in range(7):
        until = book.receive(ATTACK, now).rules[0].until_ms
        lives.append(until - now)
        for later in range(now, until, 10_000):  # it comes and comes, and nothing of it is seen but that it is refused
            assert book.receive(CALM, later, load=Load(pressed_ms=later)).rules
        assert book.receive(CALM, until - 1, load=Load(pressed_ms=later)).rules
        gone = book.receive(CALM, until, load=Load(pressed_ms=later))
        assert not gone.rules and gone.changes[-1].what == "expired"
        now = until + 1
    assert lives == [min(LIFE_MS_MAX, LIFE_MS * 2**n) for n in range(7)]


def test_rules_end_a_minute_after_hardly_anything_comes_any_more() -> None:
    """However long they would have lived: somebody else may have such an address by then."""
    book = Rulebook()
    book.receive(ATTACK, 0)
    book._held[HOSTILE].until_ms = LIFE_MS_MAX
    assert book.receive(CALM, 200_000, load=Load(pressed_ms=200_000)).enforced
    assert book.receive(CALM, 200_000 + LEAVE_MS - 1, load=Load(pressed_ms=200_000)).enforced
    ended = book.receive(CALM, 200_000 + LEAVE_MS, load=Load(pressed_ms=200_000))
    assert not ended.rules and ended.changes[-1].what == "over"
    assert book.receive(ATTACK, 300_000).rules, "and are made anew for whoever comes again"


def test_where_many_have_listened_lately_nothing_is_enforced() -> None:
    book = Rulebook()
    wrong = ATTACK._replace(gathered=frozenset({HOSTILE}))
    book.receive(wrong, 0)
    assert book.receive(wrong, SHADOW_MS).enforced == ()
    assert "last five minutes" in book.receive(wrong, SHADOW_MS).rules[0].spared
    assert book.receive(ATTACK, SHADOW_MS + 1).enforced


def test_an_attack_that_listens_from_a_few_of_its_addresses_does_not_hold_back_the_rules_for_the_others() -> None:
    book = Rulebook()
    many = [suspect(key_of(f"10.9.1.{number}")) for number in range(200)]
    few = frozenset(one.key for one in many[:9])
    attack = judged(Verdict.ATTACK, *many, vouched=few | {LISTENER})
    book.receive(attack, 0)
    assert len(book.receive(attack, SHADOW_MS).enforced) == 191


def test_tickets_of_whom_a_rule_shuts_out_are_void_once() -> None:
    book = Rulebook()
    attack = judged(Verdict.ATTACK, suspect()._replace(unused=7), suspect(LISTENER)._replace(unused=9))
    assert book.receive(attack, 0).void == 0, "in shadow"
    more = judged(Verdict.ATTACK, suspect()._replace(unused=12))
    book.receive(more, SHADOW_MS - 1)
    assert book.receive(more, SHADOW_MS).void == 12, "and not of whom it spares"
    assert book.receive(attack, SHADOW_MS + 1_000).void == 12


def test_nothing_of_a_source_is_remembered_for_long() -> None:
    book = Rulebook()
    first = book.receive(ATTACK, 0).rules[0]
    book.receive(CALM, LIFE_MS_MAX + rules.REMEMBERED_MS)
    assert not book._lives and not book._held
    again = book.receive(ATTACK, 2 * LIFE_MS_MAX + rules.REMEMBERED_MS).rules[0]
    assert again.until_ms - again.since_ms == first.until_ms - first.since_ms


def test_where_somebody_listens_nothing_is_enforced() -> None:
    book = Rulebook()
    both = judged(Verdict.ATTACK, suspect(), suspect(LISTENER))
    spared = next(change.rule for change in book.receive(both, 0).changes if change.what == "spared")
    assert (spared.target, spared.spared) == ("10.0.0.1/32", "somebody listens there, or has just listened")
    assert [rule.target for rule in book.receive(both, SHADOW_MS).enforced] == ["10.9.0.1/32"]
    came = judged(Verdict.ATTACK, suspect(), vouched=frozenset({HOSTILE, LISTENER}))
    assert book.receive(came, SHADOW_MS + 1).enforced == ()


def test_rules_that_would_hit_many_who_listen_are_all_spared() -> None:
    book = Rulebook()
    listeners = frozenset(key_of(f"10.0.0.{number}") for number in range(20))
    wrong = judged(Verdict.ATTACK, suspect(), *map(suspect, listeners), vouched=listeners)
    book.receive(wrong, 0)
    decision = book.receive(wrong, SHADOW_MS)
    assert decision.enforced == ()
    assert "a thousandth" in next(rule.spared for rule in decision.rules if rule.target == "10.9.0.1/32")


def test_a_dry_run_writes_down_and_enforces_nothing() -> None:
    book, wishes = Rulebook(), Wishes(dry_run=True)
    book.receive(ATTACK, 0, wishes=wishes)
    dry = book.receive(ATTACK, SHADOW_MS, wishes=wishes)
    assert (dry.enforced, dry.share, dry.rules[0].spared != "") == ((), 0, True)
    assert actions(book.receive(ATTACK, SHADOW_MS + 1)) == ["limit"]


def test_what_the_crew_has_released_is_not_made_again() -> None:
    book, wishes = Rulebook(), Wishes(released=("10.9.0.1/32",))
    book.receive(ATTACK, 0)
    assert book.receive(ATTACK, SHADOW_MS).enforced
    released = book.receive(ATTACK, SHADOW_MS + 1, wishes=wishes)
    assert (released.rules, released.changes[0].what) == ((), "released")
    assert book.receive(ATTACK, SHADOW_MS + 2, wishes=wishes).rules == ()


def test_a_level_is_left_a_minute_after_its_last_sign() -> None:
    book = Rulebook()
    book.receive(judged(Verdict.UNDECIDED), 0)
    assert book.receive(CALM, LEAVE_MS - 1).level == rules.DOUBT
    assert book.receive(CALM, LEAVE_MS).level == rules.OPEN


def test_siege_by_order_or_when_the_door_has_no_time_left_in_an_attack() -> None:
    book = Rulebook()
    assert book.receive(CALM, 0, wishes=Wishes(siege=True)).level == rules.SIEGE
    assert book.receive(CALM, 250).level == rules.OPEN
    for now in (1_000, 1_000 + rules.BUSY_MS):
        level = book.receive(ATTACK, now, load=Load(0.95)).level
    assert level == rules.SIEGE
    assert book.receive(ATTACK, now + 1, load=Load(0.1)).level == rules.SIEGE, "it has time because of the siege"
    assert book.receive(ATTACK, now + LEAVE_MS, load=Load(0.1)).level == rules.ATTACK
    for verdict, meant in ((Verdict.CROWD, rules.CROWD), (Verdict.UNDECIDED, rules.DOUBT)):
        book = Rulebook()
        for now in (1_000, 1_000 + rules.BUSY_MS):
            assert book.receive(judged(verdict), now, load=Load(0.99)).level == meant, "people are not locked out"


def test_the_next_usher_goes_on_with_the_rules_on_the_board() -> None:
    first, book = Rulebook(), Rulebook()
    first.receive(ATTACK, 0)
    enforced = first.receive(ATTACK, SHADOW_MS).rules
    book.restore(enforced, 1_000)
    assert book.receive(CALM, 1_000).enforced[0].target == "10.9.0.1/32"
    assert book.receive(CALM, enforced[0].until_ms).enforced == ()
    assert book.receive(judged(Verdict.ATTACK, suspect(key_of("10.9.0.2"))), 2_000).changes[-1].rule.id == "r2"


def test_what_was_spared_or_in_shadow_is_not_enforced_by_an_usher_who_has_seen_nobody_yet() -> None:
    first, book, vouched = Rulebook(), Rulebook(), frozenset({LISTENER})
    first.receive(judged(Verdict.ATTACK, suspect(LISTENER), vouched=vouched), 0)
    spared = first.receive(judged(Verdict.ATTACK, suspect(LISTENER), suspect(), vouched=vouched), SHADOW_MS).rules
    assert [rule.target for rule in spared] == ["10.0.0.1/32", "10.9.0.1/32"]
    book.restore(spared, 2_000)
    assert book.receive(judged(Verdict.CALM, vouched=frozenset()), 2_000).enforced == ()


def test_there_are_never_more_rules_than_workers_and_kernel_take() -> None:
    book = Rulebook()
    many = [suspect(key_of(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")) for number in range(12_500)]
    assert len(book.receive(judged(Verdict.ATTACK, *many), 0).rules) == rules.RULES_MAX == 12_000
    book.restore((), 1)
    assert len(book.receive(judged(Verdict.ATTACK, *many), LIFE_MS).rules) == rules.RULES_MAX


MOVES = st.lists(
    st.tuples(
        st.integers(0, 40_000),
        st.sampled_from(list(Verdict)),
        st.frozensets(st.integers(0, 9), max_size=6),
        st.frozensets(st.integers(0, 9), max_size=6),
    ),
    max_size=40,
)


@given(MOVES)
def test_whatever_comes_nobody_who_listens_is_hit_and_everything_runs_out(
    moves: list[tuple[int, Verdict, frozenset[int], frozenset[int]]],
) -> None:
    book, now, keys = Rulebook(), 0, [key_of(f"10.5.0.{number}") for number in range(10)]
    for passed_ms, verdict, suspects, vouched in moves:
        now += passed_ms
        good = frozenset(keys[number] for number in vouched)
        made = judged(verdict, *(suspect(keys[number]) for number in suspects), vouched=good)
        decision = book.receive(made, now)
        assert not {rule.target for rule in decision.enforced} & {f"10.5.0.{number}/32" for number in vouched}
        assert all(now < rule.until_ms <= now + LIFE_MS_MAX for rule in decision.rules)
    assert book.receive(CALM, now + LIFE_MS_MAX).rules == ()
