"""Which keys count when, and what is minted by them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stentor.core.keys import EARLY_S, HOURS_KEPT, Key, Keys, admission, hours, lasting, oldest_kept, show_key_ids
from stentor.formats import ticket
from stentor.formats.ticket import HOUR_IDS, HOUR_S, SHOW_IDS, Class, Token

TAG = ticket.show_tag("show-1")
NINE = 9 * HOUR_S
TIMES = st.integers(HOUR_S * 1_000, HOUR_S * 1_000_000)


def secret(hour: int) -> bytes:
    return hour.to_bytes(32, "big")


def kept_up(keys: Keys, now: int) -> Keys:
    for hour in keys.tick(now):
        keys.receive_hour(hour, secret(hour))
    return keys


def test_two_hours_count_and_shortly_before_it_the_next() -> None:
    assert hours(NINE) == (8, 9)
    assert hours(NINE + HOUR_S - EARLY_S - 1) == (8, 9)
    assert hours(NINE + HOUR_S - EARLY_S) == (8, 9, 10)


@given(TIMES, st.integers(EARLY_S + 1, HOUR_S), st.integers(-EARLY_S, EARLY_S), st.data())
def test_a_ticket_is_taken_to_its_end_by_every_clock_that_is_near(
    now: int, life_s: int, skew_s: int, data: st.DataObject
) -> None:
    """Door and edge may be a minute apart, and hours may begin in between."""
    door, edge = kept_up(Keys(), now), Keys()
    found = door.of_hour(now)
    assert found is not None
    text = admission(Key(*found, 1), TAG, 5, now, life_s)
    later = data.draw(st.integers(now + skew_s, now + life_s - 1))  # by the edge's clock
    kept_up(edge, later)
    token = ticket.check(text, edge.by_id, TAG, later, group=1)
    assert isinstance(token, Token) and (token.seq, token.cls) == (5, Class.LATE)


@given(st.lists(TIMES, min_size=1, max_size=20))
def test_whatever_the_clock_does_what_counts_is_here_and_nothing_else(times: list[int]) -> None:
    keys = Keys()
    keys.receive_show({128: b"s" * 32})
    by_id = keys.by_id
    for now in times:
        kept_up(keys, now)
        expected = {hour % len(HOUR_IDS): secret(hour) for hour in hours(now)}
        assert keys.by_id == expected | {128: b"s" * 32}
        assert keys.tick(now) == []
    assert keys.by_id is by_id


def test_a_key_that_is_not_brought_is_asked_for_again() -> None:
    keys = Keys()
    assert keys.tick(NINE) == keys.tick(NINE) == [8, 9]
    assert keys.of_hour(NINE) is None
    keys.receive_hour(9, secret(9))
    assert keys.tick(NINE) == [8]
    assert keys.of_hour(NINE) == (9, secret(9))


def test_keys_of_another_show_take_the_place_of_the_ones_before() -> None:
    keys = kept_up(Keys(), NINE)
    keys.receive_show({128: b"a" * 32, 129: b"b" * 32})
    keys.receive_show({128: b"c" * 32})
    assert keys.by_id == {8: secret(8), 9: secret(9), 128: b"c" * 32}


def test_ids_of_hours_and_of_shows_are_apart() -> None:
    assert set(HOUR_IDS).isdisjoint(SHOW_IDS) and {*HOUR_IDS, *SHOW_IDS} == set(range(256))


def test_the_key_of_a_show_is_the_first_that_is_not_revoked() -> None:
    assert list(show_key_ids([])) == [128]
    assert list(show_key_ids([128, 129, 5])) == [128, 129, 130]
    assert list(show_key_ids([129])) == [128]
    assert not show_key_ids(SHOW_IDS)


def test_a_ticket_to_come_back_by_is_good_for_a_day_whatever_the_hour() -> None:
    text = lasting(Key(128, b"s" * 32, 1), TAG, 5, NINE)
    keys = kept_up(Keys(), NINE + 23 * HOUR_S)
    assert ticket.check(text, keys.by_id, TAG, NINE + 23 * HOUR_S) is ticket.Refusal.FORGED
    keys.receive_show({128: b"s" * 32})
    token = ticket.check(text, keys.by_id, TAG, NINE + 23 * HOUR_S, group=1)
    assert isinstance(token, Token) and (token.seq, token.cls) == (5, Class.RECONNECT)
    assert ticket.check(text, keys.by_id, TAG, NINE + 24 * HOUR_S) is ticket.Refusal.EXPIRED


def test_a_ticket_of_an_hour_long_gone_has_expired_and_is_not_forged() -> None:
    text = admission(Key(9, secret(9), 1), TAG, 5, NINE, HOUR_S)
    keys = kept_up(Keys(), NINE + 3 * HOUR_S)
    assert 9 not in keys.by_id
    assert ticket.check(text, keys.by_id, TAG, NINE + 3 * HOUR_S) is ticket.Refusal.EXPIRED


def test_some_hours_stay_on_disk_in_case_the_clock_is_put_back() -> None:
    assert oldest_kept(NINE + 100) == 9 - HOURS_KEPT + 1 < hours(NINE)[0]
