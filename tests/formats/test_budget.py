"""However many ask, and when: no more is spent than there is."""

from hypothesis import given
from hypothesis import strategies as st

from stentor.model.budget import Budget

AMOUNT, SPAN_S = 100, 10
ASKED = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 60)), max_size=80)


@given(ASKED)
def test_in_no_span_is_more_spent_than_twice_the_amount(asked: list[tuple[float, int]]) -> None:
    budget, now, spent = Budget(AMOUNT, SPAN_S), 0.0, []
    for after_s, cost in asked:
        now += after_s
        if budget.take(cost, now):
            spent.append((now, cost))
        assert sum(cost for at, cost in spent if now - at < SPAN_S) <= 2 * AMOUNT


def test_what_is_spent_comes_back() -> None:
    budget = Budget(AMOUNT, SPAN_S)
    assert budget.take(AMOUNT, 1_000)
    assert not budget.take(1, 1_000)
    assert budget.take(AMOUNT // 2, 1_000 + SPAN_S / 2)
    assert not budget.take(1, 1_000 + SPAN_S / 2)
    assert budget.take(AMOUNT, 1_000 + 2 * SPAN_S)
