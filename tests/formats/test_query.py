import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.formats.query import DIGITS_MAX, BadNumber, is_number, number


@given(st.integers(0, 10**DIGITS_MAX - 1))
def test_a_count_is_read(value: int) -> None:
    assert number({"from": str(value)}, "from") == value


def test_what_is_not_given_is_none() -> None:
    assert number({"burst": "1"}, "from") is None


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.0", "1e3", " 1", "1_0", "٣", "²", "9" * (DIGITS_MAX + 1), "x", "NaN"]
)
def test_nothing_else_is_a_count(text: str) -> None:
    assert not is_number(text)
    with pytest.raises(BadNumber, match=f"from is not a number of at most {DIGITS_MAX} digits"):
        number({"from": text}, "from")
