"""Tickets as strangers send them: the one that was minted is taken, and nothing else is; never an exception."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stentor.core import mount
from stentor.formats import ticket
from stentor.model.http import Request, Response

KEY, SHOW, NOW = bytes(range(32)), ticket.show_tag("show-1"), 1_800_000_000
TOKEN = ticket.Token(ticket.Kind.TICKET, SHOW, ticket.Class.LATE, 7, NOW - 5, NOW - 60, NOW + 600)
TICKET = ticket.mint(TOKEN, KEY)
ALPHABET = "ABCXYZabcxyz0189-_"
TEXT = st.text(max_size=80) | st.text(ALPHABET, min_size=ticket.LENGTH, max_size=ticket.LENGTH)
VIEW = mount.View(
    show_tag=lambda: SHOW,
    full=lambda seq: False,
    keys={0: KEY},
    group=0,
    revoked=lambda token: False,
    now_text=lambda show: None,
)


@given(st.integers(0, ticket.LENGTH), st.integers(0, ticket.LENGTH), TEXT)
def test_text_in_the_place_of_other_text(at: int, size: int, text: str) -> None:
    changed = TICKET[:at] + text + TICKET[at + size :]
    taken = ticket.check(changed, {0: KEY}, SHOW, NOW)
    assert isinstance(taken, ticket.Refusal) or changed == TICKET


@given(TEXT.filter(lambda text: "/" not in text), st.sampled_from(["opus", "mp3", "aac-low.mp4", "flac", ""]), TEXT)
def test_an_edge_refuses_with_a_reason(text: str, rendition: str, query: str) -> None:
    request = Request("GET", f"/live/{text}/{rendition}", {"from": query, "burst": query}, {})
    answer = mount.answer(request, VIEW, NOW)
    answer = answer.response if isinstance(answer, mount.No) else answer
    assert isinstance(answer, Response) and 400 <= answer.status < 500
    assert ("Content-Type", "application/problem+json") in answer.headers
