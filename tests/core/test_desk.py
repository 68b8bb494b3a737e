"""The desk's orders: what goes in, what is refused and why, and that a second press changes nothing."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from stentor.core import desk, life
from stentor.core.desk import Limits, Made, Seated
from stentor.formats.crew import NewShow, SeatOrder
from stentor.formats.invite import token_hash
from stentor.formats.refusal import Reason, Refusal
from stentor.model.board import Phase, Show

NOW_MS = 1_800_000_000_000
NOW_S = NOW_MS // 1000
LIMITS = Limits(speakers_max=5, open_before_ms=900_000)


def _rng() -> random.Random:
    return random.Random(7)


def _made(**fields: Any) -> Made:
    order = NewShow(**{"title": "Town hall", "starts_in_s": 60.0, "guests": ("Ada", "Bob"), **fields})
    made = desk.create_show(order, LIMITS, NOW_MS, _rng())
    assert isinstance(made, Made), made
    return made


def _refused(**fields: Any) -> Refusal:
    order = NewShow(**{"title": "Town hall", "starts_in_s": 60.0, **fields})
    refusal = desk.create_show(order, LIMITS, NOW_MS, _rng())
    assert isinstance(refusal, Refusal)
    return refusal


def _show(result: Show | Seated | Refusal) -> Show:
    assert not isinstance(result, Refusal), result
    return result if isinstance(result, Show) else result.show


def _reason(result: object) -> Reason:
    assert isinstance(result, Refusal)
    return result.reason


def test_a_new_show_has_its_host_and_guests_backstage() -> None:
    show, tokens = _made()
    assert [(seat.name, seat.crew, seat.on_air, seat.expires_at) for seat in show.seats] == [
        ("Host", True, False, 0),
        ("Ada", False, False, 0),
        ("Bob", False, False, 0),
    ]
    assert (show.starts_at_ms, show.opens_at_ms) == (NOW_MS + 60_000, NOW_MS + 60_000 - 900_000)
    assert {seat.id: seat.token_hash for seat in show.seats} == {k: token_hash(v) for k, v in tokens.items()}


def test_tokens_are_nowhere_in_a_show() -> None:
    show, tokens = _made()
    assert all(re.fullmatch(r"[\w-]{22}", token) for token in tokens.values())
    assert not any(token in repr(show) for token in tokens.values())


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Town hall", "town-hall"),
        ("Ärger im  Büro!", "arger-im-buro"),
        ("東京", "show"),
        ("x" * 120, "x" * 27),
        ("a" * 26 + " b", "a" * 26),
    ],
)
def test_ids_are_made_of_titles(title: str, slug: str) -> None:
    show_id = _made(title=title).show.id
    assert re.fullmatch(re.escape(slug) + "-[a-z2-7]{4}", show_id)
    assert len(show_id) <= 32


def test_who_is_on_air_from_the_start_can_be_said_at_creation() -> None:
    show = _made(host="Eve", on_air=("Ada", " eve ".strip().title())).show
    assert [seat.name for seat in show.seats if seat.on_air] == ["Eve", "Ada"]


def test_text_is_one_clean_line() -> None:
    assert _made(title=" Town \n\t hall\x00 ").show.title == "Town hall"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"title": "  "}, "title"),
        ({"title": "x" * 121}, "at most 120"),
        ({"guests": ("a", "b", "c", "d", "e")}, "5. A show has at most 4 guests beside its host (speakers_max is 5)"),
        *(
            ({"chunk_ms": chunk_ms}, f"chunk_ms: {chunk_ms}; 250 or 500: ")
            for chunk_ms in (2000, 1000, 260, 7, 0, -500)
        ),
        ({"guests": ("Ada", "ada")}, "twice"),
        ({"guests": ("Host",)}, "twice"),
        ({"guests": ("",)}, "name"),
        ({"guests": ("x" * 41,)}, "at most 40"),
        ({"starts_in_s": None}, "one of"),
        ({"starts_at_ms": NOW_MS}, "one of"),
        ({"starts_in_s": -86_401.0}, "24 hours"),
        ({"starts_in_s": 1e300}, "two years"),
        ({"chunk_ms": 300}, "250 or 500"),
        ({"on_air": ("Zed",)}, "'Zed'"),
        ({"link_life_s": -1}, "link_life_s"),
    ],
)
def test_what_is_wrong_with_a_new_show_is_said(fields: dict[str, Any], word: str) -> None:
    refusal = _refused(**fields)
    assert refusal.reason is Reason.INPUT and word in refusal.detail


def test_a_start_up_to_a_day_past_is_taken() -> None:
    assert _made(starts_in_s=None, starts_at_ms=NOW_MS - 86_400_000).show.starts_at_ms == NOW_MS - 86_400_000


def test_doors_open_before_the_draw_and_the_draw_is_before_the_start() -> None:
    start = NOW_MS + 7_200_000
    show = _made(starts_in_s=7_200, draw_before_s=900, lasts_s=5_400, beacon_name=" drand\n4242 ").show
    assert (show.opens_at_ms, show.draws_at_ms) == (start - 1_800_000, start - 900_000)
    assert (show.ends_at_ms, show.beacon_name) == (start + 5_400_000, "drand 4242")
    show = _made(starts_in_s=7_200, draw_before_s=900, open_before_s=2_700).show
    assert (show.opens_at_ms, show.draws_at_ms) == (start - 2_700_000, start - 900_000)
    show = _made(starts_in_s=7_200, open_before_s=60, lasts_s=0).show
    assert (show.opens_at_ms, show.draws_at_ms, show.ends_at_ms) == (start - 60_000, 0, 0)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"draw_before_s": 900, "open_before_s": 900}, "open_before_s: doors must open before the draw"),
        ({"draw_before_s": 7_200}, "draw_before_s: the draw would be past"),
        ({"draw_before_s": -1}, "draw_before_s: from 0 to 604800"),
        ({"open_before_s": 604_801}, "open_before_s: from 0 to 604800"),
        ({"lasts_s": 1e300}, "lasts_s: from 0 to 604800"),
        ({"beacon_name": "drand 4242"}, "beacon_name: there is no draw"),
        ({"draw_before_s": 900, "beacon_name": "x" * 81}, "beacon_name: 81 characters; at most 80"),
    ],
)
def test_times_that_make_no_sense_are_refused(fields: dict[str, Any], word: str) -> None:
    refusal = _refused(**{"starts_in_s": 7_200, **fields})
    assert refusal.reason is Reason.INPUT and word in refusal.detail


def test_a_new_seat_has_a_link_once() -> None:
    show = _made().show
    first = desk.add_seat(show, "Cy", 0, LIMITS, NOW_S, _rng())
    assert isinstance(first, Seated) and first.token and first.seat in first.show.seats
    again = desk.add_seat(first.show, "  cy ", 0, LIMITS, NOW_S, _rng())
    assert again == Seated(first.show, first.seat, "")


def test_guests_are_bounded_and_a_removed_one_makes_room() -> None:
    show = _made(guests=("a", "b", "c", "d")).show
    assert _reason(desk.add_seat(show, "e", 0, LIMITS, NOW_S, _rng())) is Reason.SEATS_FULL
    show = _show(desk.change_seat(show, show.seats[1].id, SeatOrder(removed=True)))
    show = _show(desk.add_seat(show, "e", 0, LIMITS, NOW_S, _rng()))
    assert _reason(desk.renew_seat(show, show.seats[1].id, LIMITS, _rng())) is Reason.SEATS_FULL


def test_seats_are_bounded_the_removed_included() -> None:
    show, rng = _made(guests=()).show, _rng()
    for _ in range(desk.SEATS_MAX - 1):
        show = _show(desk.add_seat(show, "Ada", 0, LIMITS, NOW_S, rng))
        show = _show(desk.change_seat(show, show.seats[-1].id, SeatOrder(removed=True)))
    assert _reason(desk.add_seat(show, "Ada", 0, LIMITS, NOW_S, rng)) is Reason.SEATS_FULL
    assert _show(desk.renew_seat(show, show.seats[-1].id, LIMITS, rng)).seats[-1].removed is False


def test_a_new_link_voids_the_old_one() -> None:
    show, tokens = _made()
    seat = show.seats[1]
    renewed = desk.renew_seat(show, seat.id, LIMITS, random.Random(8))
    assert isinstance(renewed, Seated)
    hashes = {other.token_hash for other in renewed.show.seats}
    assert token_hash(renewed.token) in hashes and token_hash(tokens[seat.id]) not in hashes


def test_a_removed_guest_is_off_the_air_and_comes_back_only_by_a_new_link() -> None:
    show = _made(on_air=("Ada",)).show
    seat_id = show.seats[1].id
    removed = _show(desk.change_seat(show, seat_id, SeatOrder(removed=True)))
    assert (removed.seats[1].removed, removed.seats[1].on_air) == (True, False)
    assert desk.change_seat(removed, seat_id, SeatOrder(removed=True)) is removed
    for order in (SeatOrder(removed=False), SeatOrder(on_air=True), SeatOrder(muted=True, removed=True)):
        assert _reason(desk.change_seat(removed, seat_id, order)) is Reason.SEAT_REMOVED
    back = _show(desk.renew_seat(removed, seat_id, LIMITS, _rng()))
    assert (back.seats[1].removed, back.seats[1].on_air) == (False, False)


def test_a_removed_guest_whose_name_was_given_away_does_not_come_back_under_it() -> None:
    show = _made().show
    show = _show(desk.change_seat(show, show.seats[1].id, SeatOrder(removed=True)))
    show = _show(desk.add_seat(show, "Ada", 0, LIMITS, NOW_S, random.Random(8)))
    assert _reason(desk.renew_seat(show, show.seats[1].id, LIMITS, _rng())) is Reason.NAME_TAKEN


def test_the_host_cannot_be_removed() -> None:
    show = _made().show
    assert _reason(desk.change_seat(show, show.seats[0].id, SeatOrder(removed=True))) is Reason.CREW_STAYS


def test_a_seat_is_changed_by_what_is_named_and_no_more() -> None:
    show = _made().show
    seat_id = show.seats[1].id
    changed = _show(desk.change_seat(show, seat_id, SeatOrder(on_air=True)))
    assert changed.seats[1] == replace(show.seats[1], on_air=True)
    assert desk.change_seat(changed, seat_id, SeatOrder(on_air=True)) is changed
    assert desk.change_seat(changed, seat_id, SeatOrder()) is changed
    assert _reason(desk.change_seat(show, seat_id, SeatOrder(name="BOB"))) is Reason.NAME_TAKEN
    assert _show(desk.change_seat(show, seat_id, SeatOrder(name="ADA"))).seats[1].name == "ADA"
    assert _reason(desk.change_seat(show, "nobody", SeatOrder())) is Reason.SEAT_UNKNOWN


def _wished(show: Show, wish: Any, phase: Phase, reason: str = "") -> Show | Refusal:
    return desk.set_wish(show, wish, reason, phase, life.outcome(phase, wish))


def test_a_wish_is_kept_with_its_reason_and_a_second_press_changes_nothing() -> None:
    show = _made().show
    held = _show(_wished(show, "hold", Phase.OPEN, "the guest is late"))
    assert (held.wish, held.reason) == ("hold", "the guest is late")
    assert _wished(held, "hold", Phase.OPEN, "the guest is late") is held
    assert _show(_wished(held, "hold", Phase.HELD, "still late")).reason == "still late"
    released = _show(_wished(held, "go", Phase.HELD))
    assert (released.wish, released.reason) == ("go", "")


def test_a_wish_that_the_clock_has_fulfilled_changes_nothing() -> None:
    show = _made().show
    assert _wished(show, "go", Phase.LIVE) is show


def test_to_end_what_has_not_begun_is_to_cancel_it() -> None:
    assert _show(_wished(_made().show, "end", Phase.HELD)).wish == "cancel"


@pytest.mark.parametrize(("wish", "phase"), [("hold", Phase.LIVE), ("cancel", Phase.LIVE), ("go", Phase.ENDED)])
def test_a_wish_out_of_its_phase_is_refused(wish: str, phase: Phase) -> None:
    refusal = _wished(_made().show, wish, phase)
    assert _reason(refusal) is Reason.WISH_REFUSED


def test_notice_and_cap() -> None:
    show = _made().show
    noticed = _show(desk.set_notice(show, " We start\nsoon "))
    assert noticed.notice == "We start soon"
    assert desk.set_notice(noticed, "We start soon") is noticed
    assert _show(desk.set_notice(noticed, "")).notice == ""
    assert _reason(desk.set_notice(show, "x" * 501)) is Reason.INPUT
    assert _show(desk.set_cap(show, 100)).cap == 100
    assert desk.set_cap(show, 0) is show
    assert _reason(desk.set_cap(show, -1)) is Reason.INPUT


def test_links_are_refused_for_what_they_are() -> None:
    show = _made(link_life_s=60).show
    host, guest = show.seats[:2]
    assert desk.refuse_link(guest, NOW_S + 59) is None
    assert _reason(desk.refuse_link(guest, NOW_S + 60)) is Reason.TOKEN_EXPIRED
    assert desk.refuse_link(host, NOW_S + 10**6) is None
    assert _reason(desk.refuse_link(replace(guest, removed=True), NOW_S)) is Reason.SEAT_REMOVED


NAMES = st.sampled_from(["Ada", "ada ", "Bob", "Cy", "Dee", "Eve", "Flo", "", "x" * 41, "Ünder"])
FLAGS = st.none() | st.booleans()


class Desk(RuleBasedStateMachine):
    """Any orders in any order: limits hold, names and links stay apart, and the same order again changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = random.Random(1)
        self.show = _made().show
        self.links: dict[str, str] = {}  # the link last given for each seat

    def _take(self, result: Show | Seated | Refusal) -> None:
        if isinstance(result, Seated) and result.token:
            self.links[result.seat.id] = result.token
        if not isinstance(result, Refusal):
            self.show = _show(result)

    @rule(name=NAMES)
    def add(self, name: str) -> None:
        self._take(desk.add_seat(self.show, name, 0, LIMITS, NOW_S, self.rng))
        again = desk.add_seat(self.show, name, 0, LIMITS, NOW_S, self.rng)
        assert isinstance(again, Refusal) or (again.show is self.show and not again.token)

    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        seat = data.draw(st.sampled_from(self.show.seats))
        self._take(desk.renew_seat(self.show, seat.id, LIMITS, self.rng))

    @rule(data=st.data(), on_air=FLAGS, muted=FLAGS, removed=FLAGS, name=st.none() | NAMES)
    def change(self, data: st.DataObject, **fields: Any) -> None:
        seat = data.draw(st.sampled_from(self.show.seats))
        order = SeatOrder(**fields)
        self._take(desk.change_seat(self.show, seat.id, order))
        again = desk.change_seat(self.show, seat.id, order)
        assert isinstance(again, Refusal) or again is self.show

    @rule(wish=st.sampled_from(["go", "hold", "end", "cancel"]), phase=st.sampled_from(list(Phase)))
    def wish(self, wish: Any, phase: Phase) -> None:
        self._take(_wished(self.show, wish, phase, "because"))
        again = _wished(self.show, wish, phase, "because")
        assert isinstance(again, Refusal) or again is self.show

    @invariant()
    def bounded_and_told_apart(self) -> None:
        seats = self.show.seats
        present = [seat for seat in seats if not seat.removed]
        assert len(seats) <= desk.SEATS_MAX
        assert sum(not seat.crew for seat in present) <= LIMITS.guests_max
        assert len({seat.id for seat in seats}) == len(seats) == len({seat.token_hash for seat in seats})
        assert len({seat.name.casefold() for seat in present}) == len(present)
        assert seats[0].crew and not seats[0].removed
        assert not any(seat.removed and seat.on_air for seat in seats)

    @invariant()
    def the_last_link_given_is_the_one_that_works(self) -> None:
        hashes = {seat.id: seat.token_hash for seat in self.show.seats}
        assert all(hashes[seat_id] == token_hash(token) for seat_id, token in self.links.items())


TestDesk = Desk.TestCase
TestDesk.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
