"""The draw: the same ranks one by one and many at once, by the formula that is published."""

from hashlib import blake2b, sha256

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.draw import LATE_S_MAX, RANK_MAX, commit, draw_key, earliest, rank, ranks, settled

SECRET = bytes(range(32))
KEY = draw_key(SECRET, "round 4711: abc")
NUMBERS = st.integers(0, 2**32 - 1)


def test_known_values() -> None:
    assert commit(SECRET) == sha256(SECRET).hexdigest()
    assert commit(SECRET).startswith("630dcd2966c4336691125448bbb25b4f")
    assert KEY.hex() == "3ecd23e2c81d941a587bd6134c0f625ebded76859e39e08cabf10e92cf797423"
    assert [rank(KEY, seq, 99, 100) for seq in (1, 2, 8)] == [1015052694, 402563611, 135091199]
    assert [rank(KEY, 1, issued, 100) >> 32 for issued in (0, 99, 100, 101)] == [0, 0, 1, 2]


def test_by_the_formula() -> None:
    digest = blake2b((17 // 8).to_bytes(8, "big"), key=KEY).digest()
    h = int.from_bytes(digest[(17 % 8) * 8 :][:8], "big")
    assert rank(KEY, 17, 0, 1) == h >> 32
    assert rank(KEY, 17, 25, 20) == (1 + 25 - 20) << 32 | h >> 32


def test_the_beacon_and_the_secret_both_matter() -> None:
    assert len({draw_key(SECRET), KEY, draw_key(bytes(32), "round 4711: abc")}) == 3


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=40), NUMBERS)
def test_many_at_once_are_as_one_by_one(places: list[tuple[int, int]], base_s: int) -> None:
    seqs, issued = (np.array([place[i] for place in places], np.uint32) for i in (0, 1))
    expected = [rank(KEY, seq, second, base_s) for seq, second in places]
    assert ranks(KEY, seqs, issued, base_s).tolist() == expected
    assert all(0 <= value <= RANK_MAX for value in expected)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_who_was_drawn_stands_before_who_came_late(early: int, late: int, issued: int, base_s: int) -> None:
    if base_s > issued:
        assert rank(KEY, early, issued, base_s) < rank(KEY, late, base_s, base_s)
    assert rank(KEY, late, base_s + LATE_S_MAX, base_s) >> 32 == LATE_S_MAX


@given(NUMBERS, st.integers(0, 100), st.integers(1, 10), NUMBERS)
def test_no_new_place_comes_below_what_is_settled(base_s: int, since_s: int, ago_s: int, seq: int) -> None:
    now_s = base_s + since_s
    assert rank(KEY, seq, max(base_s, now_s - 1), base_s) > settled(now_s, base_s)
    if since_s > 1:
        assert rank(KEY, seq, max(0, now_s - 1 - ago_s), base_s) <= settled(now_s, base_s)


@given(NUMBERS, st.integers(0, RANK_MAX - 2**32), NUMBERS)
def test_nobody_comes_in_front_of_those_who_were_called(base_s: int, mark: int, seq: int) -> None:
    assert rank(KEY, seq, earliest(mark, base_s), base_s) > mark
    assert earliest(mark, base_s) >= base_s
