"""What the crew wants, as values: a show and its seats go in with an order, and come out changed, or a `Refusal`.

An order that changes nothing returns the very same value, so a button pressed twice makes no revision. Tokens are
128 random bits, kept only as their SHA-256; who holds one may act for its seat, and a crew seat for the whole show.
Functions that make ids or tokens take `rng`; the desk gives one that cannot be guessed.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from stentor.formats.crew import NewShow, SeatOrder
from stentor.formats.invite import ID_CHARS_MAX, Rng, new_id, new_token, one_line, token_hash
from stentor.formats.refusal import Reason, Refusal, clean_line, same_or
from stentor.model.board import Phase, Seat, Show, Wish

TITLE_CHARS_MAX = 120
NAME_CHARS_MAX = 40
REASON_CHARS_MAX = 200
NOTICE_CHARS_MAX = 500
SEATS_MAX = 64  # those removed included: they stay known, so that a removed guest is told so
HOSTS = 1  # seats of the crew, which nobody can take away
PAST_MS_MAX = 24 * 3_600_000
FUTURE_MS_MAX = 2 * 366 * 24 * 3_600_000
CAP_MAX = 100_000_000
LINK_LIFE_S_MAX = 366 * 24 * 3600
CHUNKS_MS = (250, 500)
BEACON_NAME_CHARS_MAX = 80
BEFORE_S_MAX = 7 * 24 * 3600  # doors and draw before the start
LASTS_S_MAX = 7 * 24 * 3600


class Limits(NamedTuple):
    """`speakers_max` seats, the host's among them. Doors open `open_before_ms` before the draw, or before the start
    where there is none, unless the order says otherwise."""

    speakers_max: int
    open_before_ms: int

    @property
    def guests_max(self) -> int:
        return min(self.speakers_max, SEATS_MAX) - HOSTS


class Made(NamedTuple):
    """A new show and the tokens of its seats, by seat id: the only time they are seen."""

    show: Show
    tokens: dict[str, str]


class Times(NamedTuple):
    """Unix milliseconds; 0: no draw, no planned end."""

    opens_at_ms: int
    draws_at_ms: int
    ends_at_ms: int


class Seated(NamedTuple):
    """`token` is empty where the seat was there already."""

    show: Show
    seat: Seat
    token: str


def create_show(order: NewShow, limits: Limits, now_ms: int, rng: Rng) -> Made | Refusal:
    """A show with a seat for its host (crew) and one for each guest. Everyone starts backstage, but for `on_air`."""
    title = clean_line("title", order.title, TITLE_CHARS_MAX)
    starts_at_ms = _start(order, now_ms)
    names = _names((order.host, *order.guests), limits)
    beacon_name = clean_line("beacon_name", order.beacon_name, BEACON_NAME_CHARS_MAX, empty=True)
    for problem in (title, starts_at_ms, names, beacon_name, _rest(order)):
        if isinstance(problem, Refusal):
            return problem
    assert isinstance(title, str) and isinstance(starts_at_ms, int) and isinstance(names, tuple)
    assert isinstance(beacon_name, str)
    times = _times(order, limits, starts_at_ms, now_ms)
    if isinstance(times, Refusal):
        return times
    strangers = sorted({one_line(name) for name in order.on_air} - set(names))
    if strangers:
        return Refusal(Reason.INPUT, f"on_air: {strangers[0]!r} is neither the host nor a guest.")
    show = Show(
        id=new_id(title, "show", rng),
        title=title,
        starts_at_ms=starts_at_ms,
        opens_at_ms=times.opens_at_ms,
        chunk_ms=order.chunk_ms,
        draws_at_ms=times.draws_at_ms,
        ends_at_ms=times.ends_at_ms,
        beacon_name=beacon_name,
    )
    return _with_seats(show, names, order, now_ms // 1000, rng)


def _with_seats(show: Show, names: tuple[str, ...], order: NewShow, now_s: int, rng: Rng) -> Made:
    on_air = {one_line(name) for name in order.on_air}
    tokens = {}
    for number, name in enumerate(names):
        crew = number == 0
        seat, token = _new_seat(show, name, 0 if crew else _expiry(order.link_life_s, now_s), rng)
        show = replace(show, seats=(*show.seats, replace(seat, crew=crew, on_air=name in on_air)))
        tokens[seat.id] = token
    return Made(show, tokens)


def add_seat(show: Show, name: str, link_life_s: int, limits: Limits, now_s: int, rng: Rng) -> Seated | Refusal:
    """A seat for a guest. Whoever has that name already keeps their seat and link: a second press changes nothing."""
    clean = clean_line("name", name, NAME_CHARS_MAX)
    if isinstance(clean, Refusal):
        return clean
    if not 0 <= link_life_s <= LINK_LIFE_S_MAX:
        return Refusal(Reason.INPUT, f"link_life_s: from 0 (until the show ends) to {LINK_LIFE_S_MAX}.")
    present = [seat for seat in show.seats if not seat.removed]
    same = next((seat for seat in present if seat.name.casefold() == clean.casefold()), None)
    if same is not None:
        return Seated(show, same, "")
    full = _full(show, limits)
    if full is not None:
        return full
    seat, token = _new_seat(show, clean, _expiry(link_life_s, now_s), rng)
    return Seated(replace(show, seats=(*show.seats, seat)), seat, token)


def renew_seat(show: Show, seat_id: str, limits: Limits, rng: Rng) -> Seated | Refusal:
    """A new link for a seat, until the show ends; the old one is void. A removed guest is taken back, backstage."""
    seat = find_seat(show, seat_id)
    if isinstance(seat, Refusal):
        return seat
    taken = _taken(show, seat.name, seat.id)
    if seat.removed and taken:
        return Refusal(Reason.NAME_TAKEN, f"{seat.name} has been given another seat: {taken.id}.")
    if seat.removed and _guests(show) >= limits.guests_max:
        return _no_room(limits)
    token = new_token(rng)
    renewed = replace(seat, token_hash=token_hash(token), removed=False, expires_at=0)
    return Seated(_put_seat(show, renewed), renewed, token)


def change_seat(show: Show, seat_id: str, order: SeatOrder) -> Show | Refusal:
    """Carry out what `order` names. Removing a guest takes them off the air and voids their link."""
    seat = find_seat(show, seat_id)
    if isinstance(seat, Refusal):
        return seat
    if seat.removed:
        if order == SeatOrder(removed=True):
            return show
        return Refusal(Reason.SEAT_REMOVED, f"{seat.name} was removed; a new link takes them back.")
    if order.removed:
        if seat.crew:
            return Refusal(Reason.CREW_STAYS, "The host's seat cannot be removed; make a new link for it instead.")
        return _put_seat(show, replace(seat, removed=True, on_air=False))
    return _changed(show, seat, order)


def _changed(show: Show, seat: Seat, order: SeatOrder) -> Show | Refusal:
    name = seat.name if order.name is None else clean_line("name", order.name, NAME_CHARS_MAX)
    if isinstance(name, Refusal):
        return name
    taken = _taken(show, name, seat.id)
    if taken:
        return Refusal(Reason.NAME_TAKEN, f"{taken.name} is the name of another seat: {taken.id}.")
    on_air = seat.on_air if order.on_air is None else order.on_air
    muted = seat.muted if order.muted is None else order.muted
    return _put_seat(show, replace(seat, name=name, on_air=on_air, muted=muted))


def set_wish(show: Show, wish: Wish, reason: str, phase: Phase, leads_to: Phase | None) -> Show | Refusal:
    """`leads_to` is where the table of phases takes this wish from `phase`; None if it does not know it there."""
    clean = clean_line("reason", reason, REASON_CHARS_MAX, empty=True)
    if isinstance(clean, Refusal):
        return clean
    if leads_to is None or (wish == "cancel" and phase is Phase.LIVE):  # what is on air is ended, and by that word
        return Refusal(Reason.WISH_REFUSED, f"The show is {phase.value}; {wish!r} has no meaning there.")
    if leads_to is Phase.CANCELLED:
        wish = "cancel"  # also what is ended before it began
    if leads_to is phase and wish != "hold":  # there already, perhaps by the clock
        return show
    return same_or(show, replace(show, wish=wish, reason=clean))


def set_notice(show: Show, text: str) -> Show | Refusal:
    """What everyone waiting and listening is told; empty takes it away."""
    clean = clean_line("text", text, NOTICE_CHARS_MAX, empty=True)
    return clean if isinstance(clean, Refusal) else same_or(show, replace(show, notice=clean))


def set_cap(show: Show, cap: int) -> Show | Refusal:
    """How many may listen at once; 0: what the machine carries."""
    if not 0 <= cap <= CAP_MAX:
        return Refusal(Reason.INPUT, f"cap: from 0 (what the machine carries) to {CAP_MAX}.")
    return same_or(show, replace(show, cap=cap))


def find_seat(show: Show, seat_id: str) -> Seat | Refusal:
    seat = next((seat for seat in show.seats if seat.id == seat_id), None)
    return seat or Refusal(Reason.SEAT_UNKNOWN, f"This show has no seat {seat_id[:ID_CHARS_MAX]!r}.")


def refuse_link(seat: Seat, now_s: int) -> Refusal | None:
    """Why the link of this seat is not taken at `now_s` (Unix seconds); None if it is."""
    if seat.removed:
        return Refusal(Reason.SEAT_REMOVED, "The crew has removed this seat; ask them for a new link.")
    if seat.expires_at and now_s >= seat.expires_at:
        return Refusal(Reason.TOKEN_EXPIRED, "This link has expired; ask the crew for a new one.")
    return None


def _put_seat(show: Show, seat: Seat) -> Show:
    seats = tuple(seat if other.id == seat.id else other for other in show.seats)
    return same_or(show, replace(show, seats=seats))


def _new_seat(show: Show, name: str, expires_at: int, rng: Rng) -> tuple[Seat, str]:
    ids = {seat.id for seat in show.seats}
    seat_id = new_id(name, "seat", rng)
    while seat_id in ids:
        seat_id = new_id(name, "seat", rng)
    token = new_token(rng)
    return Seat(id=seat_id, name=name, token_hash=token_hash(token), expires_at=expires_at), token


def _guests(show: Show) -> int:
    return sum(not seat.removed and not seat.crew for seat in show.seats)


def _full(show: Show, limits: Limits) -> Refusal | None:
    if _guests(show) >= limits.guests_max:
        return _no_room(limits)
    if len(show.seats) >= SEATS_MAX:
        return Refusal(Reason.SEATS_FULL, f"{SEATS_MAX} seats were given out; take a removed one back by a new link.")
    return None


def _no_room(limits: Limits) -> Refusal:
    return Refusal(Reason.SEATS_FULL, f"{_at_most(limits)}; remove one first.")


def _at_most(limits: Limits) -> str:
    return f"A show has at most {limits.guests_max} guests beside its host (speakers_max is {limits.speakers_max})"


def _taken(show: Show, name: str, but_for: str) -> Seat | None:
    same = (seat for seat in show.seats if seat.name.casefold() == name.casefold())
    return next((seat for seat in same if not seat.removed and seat.id != but_for), None)


def _expiry(link_life_s: int, now_s: int) -> int:
    return now_s + link_life_s if link_life_s else 0


def _names(given: tuple[str, ...], limits: Limits) -> tuple[str, ...] | Refusal:
    if len(given) - 1 > limits.guests_max:
        return Refusal(Reason.INPUT, f"guests: {len(given) - 1}. {_at_most(limits)}.")
    names: list[str] = []
    for text in given:
        name = clean_line("name", text, NAME_CHARS_MAX)
        if isinstance(name, Refusal):
            return name
        if name.casefold() in (other.casefold() for other in names):
            return Refusal(Reason.INPUT, f"guests: {name!r} is there twice; the crew tells people apart by name.")
        names.append(name)
    return tuple(names)


def _start(order: NewShow, now_ms: int) -> int | Refusal:
    if (order.starts_at_ms is None) == (order.starts_in_s is None):
        return Refusal(Reason.INPUT, "Give one of starts_at_ms and starts_in_s.")
    at = order.starts_at_ms if order.starts_at_ms is not None else _after(order.starts_in_s, now_ms)
    if not now_ms - PAST_MS_MAX <= at <= now_ms + FUTURE_MS_MAX:
        return Refusal(Reason.INPUT, "The start is more than 24 hours past, or more than two years ahead.")
    return at


def _after(starts_in_s: float | None, now_ms: int) -> int:
    assert starts_in_s is not None
    return now_ms + round(max(-1e9, min(1e9, starts_in_s)) * 1000)


def _times(order: NewShow, limits: Limits, starts_at_ms: int, now_ms: int) -> Times | Refusal:
    draw_s, opens_s = order.draw_before_s, order.open_before_s
    for field, value_s, max_s in (
        ("draw_before_s", draw_s, BEFORE_S_MAX),
        ("open_before_s", opens_s, BEFORE_S_MAX),
        ("lasts_s", order.lasts_s, LASTS_S_MAX),
    ):
        if value_s is not None and not 0 <= value_s <= max_s:
            return Refusal(Reason.INPUT, f"{field}: from 0 to {max_s}.")
    last_ms = starts_at_ms - _ms(draw_s)
    opens_at_ms = last_ms - limits.open_before_ms if opens_s is None else starts_at_ms - _ms(opens_s)
    wrong = _wrong_draw(order, opens_at_ms, last_ms, now_ms)
    if wrong:
        return Refusal(Reason.INPUT, wrong)
    lasts_ms = _ms(order.lasts_s)
    return Times(opens_at_ms, last_ms if draw_s is not None else 0, starts_at_ms + lasts_ms if lasts_ms else 0)


def _wrong_draw(order: NewShow, opens_at_ms: int, draws_at_ms: int, now_ms: int) -> str:
    if order.draw_before_s is None:
        return "beacon_name: there is no draw for it; give draw_before_s too." if one_line(order.beacon_name) else ""
    if draws_at_ms <= now_ms:
        return "draw_before_s: the draw would be past already, and nobody could have come to it."
    if opens_at_ms >= draws_at_ms:
        return "open_before_s: doors must open before the draw (draw_before_s), so that people can come to it."
    return ""


def _ms(seconds: float | None) -> int:
    return round((seconds or 0) * 1000)


def _rest(order: NewShow) -> Refusal | None:
    if order.chunk_ms not in CHUNKS_MS:
        shorter_or_longer = "shorter ones stall players, longer ones do not fit a slot of the ring"
        return Refusal(Reason.INPUT, f"chunk_ms: {order.chunk_ms}; 250 or 500: {shorter_or_longer}.")
    if not 0 <= order.link_life_s <= LINK_LIFE_S_MAX:
        return Refusal(Reason.INPUT, f"link_life_s: from 0 (until the show ends) to {LINK_LIFE_S_MAX}.")
    return None
