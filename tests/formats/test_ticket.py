"""Tickets: what is minted is taken, and nothing else is."""

from hypothesis import given
from hypothesis import strategies as st

from stentor.formats.ticket import HOUR_IDS, LENGTH, Class, Kind, Refusal, Token, check, hour_id, mint, show_tag

KEYS = {0: b"k" * 32, 7: b"q" * 32}
SHOW = show_tag("town-hall")
TOKEN = Token(Kind.TICKET, SHOW, Class.LATE, 12, 1_000, 1_000, 2_000)
U32 = st.integers(0, 2**32 - 1)


@given(st.sampled_from(Class), U32, U32, st.sampled_from([0, 7]), st.integers(0, 65535), st.integers(0, 65535))
def test_what_is_minted_is_taken(cls: Class, seq: int, issued: int, key_id: int, group: int, tag: int) -> None:
    token = Token(Kind.TICKET, SHOW, cls, seq, issued, 5, 50, key_id, group, tag)
    text = mint(token, KEYS[key_id])
    assert len(text) == LENGTH
    assert check(text, KEYS, SHOW, 20) == check(text, KEYS, SHOW, 20, group=group) == token


@given(st.integers(0, LENGTH - 1), st.sampled_from("AQgw_-9z"))
def test_a_change_of_any_character_is_seen(at: int, letter: str) -> None:
    text = mint(TOKEN, KEYS[0])
    changed = text[:at] + letter + text[at + 1 :]
    assert (changed == text) or check(changed, KEYS, SHOW, 1_500) in (Refusal.FORGED, Refusal.MALFORMED)


@given(st.integers(0, 2**32))
def test_an_hour_has_an_id_and_its_neighbours_have_others(hour: int) -> None:
    ids = [hour_id(hour + step) for step in range(-1, 4)]
    assert len(set(ids)) == len(ids) and set(HOUR_IDS).issuperset(ids)


@given(st.text(max_size=100))
def test_anything_else_is_malformed_or_forged(text: str) -> None:
    assert check(text, KEYS, SHOW, 1_500) in (Refusal.FORGED, Refusal.MALFORMED)


def test_each_refusal_has_its_reason() -> None:
    def refusal(now: int = 1_500, show: bytes = SHOW, **changes: object) -> object:
        return check(mint(TOKEN._replace(**changes), KEYS[0]), KEYS, show, now)  # type: ignore[arg-type]

    assert refusal() == TOKEN
    assert refusal(now=999) is Refusal.EARLY
    assert refusal(now=2_000) is Refusal.EXPIRED
    assert refusal(show=show_tag("other")) is Refusal.WRONG_SHOW
    assert refusal(kind=Kind.PLACE) is Refusal.WRONG_KIND
    assert check(mint(TOKEN, KEYS[0]), KEYS, SHOW, 1_500, group=1) is Refusal.WRONG_GROUP
    assert refusal(key_id=3) is Refusal.FORGED
    assert refusal(key_id=3, now=2_000) is Refusal.EXPIRED, "its key may be gone"
    assert check(mint(TOKEN, b"x" * 32), KEYS, SHOW, 2_000) is Refusal.FORGED
    assert check(mint(TOKEN, b"x" * 32), KEYS, SHOW, 1_500) is Refusal.FORGED
    assert check(mint(TOKEN, KEYS[0])[:-4], KEYS, SHOW, 1_500) is Refusal.MALFORMED
