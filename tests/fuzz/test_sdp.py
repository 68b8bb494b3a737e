"""Offers against a corpus and whatever hypothesis makes of it: taken, or refused with a reason; nothing is left behind.

A case that once failed is added to `sdp/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.formats.sdp import SDP_BYTES_MAX
from stentor.io.webrtc import NegotiationError, Peer, Port

CORPUS = {path.stem: path.read_bytes().decode() for path in sorted((Path(__file__).parent / "sdp").glob("*.sdp"))}
TAKEN = {"chromium", "firefox", "bare-lf"}
LINES = sorted({line for text in CORPUS.values() for line in text.splitlines()})


class Answerer:
    """A port, and a peer on it for each offer."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._port = self._runner.run(self._open())

    async def _open(self) -> Port:
        return Port(["127.0.0.1"], 0)

    def close(self) -> None:
        self._runner.run(self._close())
        self._runner.close()

    async def _close(self) -> None:
        self._port.close()

    def refusal(self, offer: str) -> str:
        """Why the offer is not taken; "" if it is."""
        return self._runner.run(self._refusal(offer))

    async def _refusal(self, offer: str) -> str:
        peer = Peer(self._port, lambda packet: None)
        try:
            answer = await peer.answer(offer)
        except NegotiationError as error:
            return str(error)
        else:
            assert answer.count("m=audio") == 1 and "opus/48000" in answer, answer
            return ""
        finally:
            await peer.close()
            assert not any(lane._by_username or lane._by_address for lane in self._port._lanes)


@pytest.fixture(scope="module")
def answerer() -> Iterator[Answerer]:
    answerer = Answerer()
    yield answerer
    answerer.close()


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus(answerer: Answerer, name: str) -> None:
    assert (answerer.refusal(CORPUS[name]) == "") == (name in TAKEN)


def test_a_huge_offer_is_no_burden(answerer: Answerer) -> None:
    for line in ("a=candidate:1 1 udp 1 192.0.2.7 1 typ host\r\n", "a=ssrc:1 cname:x\r\n", "m=audio 9 X 0\r\n", "\r\n"):
        text = CORPUS["chromium"]
        answerer.refusal(text + line * ((SDP_BYTES_MAX - len(text)) // len(line)))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(CORPUS)), st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["", *LINES])), max_size=4)
)
def test_lines_left_out_and_put_in(answerer: Answerer, name: str, changes: list[tuple[int, str]]) -> None:
    lines = CORPUS[name].splitlines()
    for at, line in changes:
        lines[at % len(lines)] = line
    answerer.refusal("\r\n".join(lines) + "\r\n")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TAKEN)), st.integers(0, 2_000), st.integers(0, 40), st.text(max_size=8))
def test_text_put_in_the_place_of_other_text(answerer: Answerer, name: str, at: int, size: int, text: str) -> None:
    offer = CORPUS[name]
    answerer.refusal(offer[: at % len(offer)] + text + offer[at % len(offer) + size :])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(LINES) | st.text(max_size=30), max_size=20))
def test_any_lines(answerer: Answerer, lines: list[str]) -> None:
    answerer.refusal("\r\n".join(lines))
