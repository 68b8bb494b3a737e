"""Attack or crowd: what the window of evidence says, and why.

Four families of evidence, each of which can be wrong in its own way:

    conformance  sources that do what no player does: forged tickets, requests that never end, streams that never drain,
                 joins again and again without a solution, requests by the thousand
    completion   sources and networks that begin sessions and complete none: P(share completed < 0.1) > 0.999 by a
                 Beta(1, 1) prior, which takes 65 starts with none completed
    requests     sources that ask far more than all who behave
    strangers    those suspected were never seen to behave well, while most of the others were

*Attack* takes two families, one of them conformance or completion, in three looks running; or, while the door cannot
answer all who come, requests by strangers. One is *undecided*; many
who come and behave are a *crowd*. What the door held back itself is no evidence, nor is a crowd's size. A network of
machines that plays the whole protocol passes as people. No clock, no sockets.
"""

from __future__ import annotations

from functools import lru_cache
from math import erf, exp, lgamma, log, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stentor.formats.evidence import BAD, MAPPED
from stentor.model.board import Signal, Verdict
from stentor.model.suspicion import Flags, Judgement, Picture, Suspect

SHARE, SURE = 0.10, 0.999  # of sessions completed, below which nobody is a listener; and how sure that has to be
STARTS_MIN = 65  # with none completed, that is sure
STARTS_KNOWN_MIN = 200  # of a source that was seen to behave well before: many may be behind one address
BAD_MIN, BAD_OVER_GOOD = 8, 4  # of one source, in the window
FORGED_WEIGHT = 2  # each counts for so many more: unlike a network that fails, a ticket is forged on purpose
BAD_ALL_MIN = 20
BAD_SPREAD_MIN, BAD_SPREAD_SHARE = 100, 0.1  # of those who do little of it each; of all who come
POOLED_STARTS_MIN = (
    15  # of one source that is judged together with others like it: nobody by themselves begins so often
)
MEMBER_STARTS_MIN = 2  # of a source in a network that fails as a whole
REQUESTS_MIN, REQUESTS_OVER_GOOD = 150, 20
REQUESTS_ALL_MIN = 300
# A page asks every five seconds at the most, so this is what 2,500 of them would ask. How many the door has time for is
# of no account: a crowd on a slow machine is still a crowd.
ENDLESS_MIN, ENDLESS_OVER_GOOD = 5_000, 200
STRANGERS_MAX, OTHERS_MIN, OTHERS_SHARE_MIN = 0.05, 20, 0.3
LOOKS = 3
QUIET_MS = 10_000  # without a sign, and an attack is over
CROWD_JOINS_MIN, CROWD_OVER = 50, 4.0  # joins in the window; how many times as many as before
BASE_MS = 60_000
SUSPECTS_MAX = 12_000
FAVOURED_MIN, FAVOURED_MAX = 10, 4_096  # joins of one source in the window; such sources

Rows = npt.NDArray[np.int64]


@lru_cache(maxsize=16_384)
def posterior(starts: int, completed: int) -> float:
    """P(p < SHARE) after so many sessions, with a uniform prior: by the identity of Beta and binomial tails (Abramowitz
    and Stegun, 26.5.24)."""
    n = starts + 1
    if completed > 200 or completed >= SHARE * n:
        return 0.5 * (1 + erf((SHARE * n - completed - 0.5) / sqrt(2 * n * SHARE * (1 - SHARE))))
    terms = (
        lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(SHARE) + (n - k) * log(1 - SHARE)
        for k in range(completed + 1)
    )
    return 1 - min(1.0, sum(exp(term) for term in terms))


class _Found(NamedTuple):
    """Suspects of one family: a flag a row, and the sign it stands for."""

    family: str
    flags: Flags
    events: Rows
    signal: Signal | None


class Judge:
    """`receive` a picture several times a second."""

    def __init__(self) -> None:
        self._verdict, self._since_ms = Verdict.CALM, -1
        self._looks = 0
        self._signed_ms = -QUIET_MS
        self._base, self._base_ms = 0.0, 0
        self._signals: tuple[Signal, ...] = ()

    def receive(self, picture: Picture, *, edges_up: bool = True, overloaded: bool = False) -> Judgement:
        """`edges_up`: whether anybody could complete a session at all; `overloaded`: whether more is asked at the door
        than it can answer."""
        if self._since_ms < 0:
            self._since_ms = picture.at_ms  # it says nothing of the time before
        found = _conformance(picture), _completion(picture, edges_up=edges_up), _requests(picture)
        strangers = _strangers(picture, found)
        signals = tuple(one.signal for one in (*found, strangers) if one.signal is not None)
        joins, crowded = int(picture.column("joins").sum()), self._is_crowd(picture)
        self._decide(picture.at_ms, signals, crowded=crowded, overloaded=overloaded)
        good = _vouched(picture)
        return Judgement(
            picture.at_ms,
            self._verdict,
            self._since_ms,
            signals or (self._signals if self._verdict is Verdict.ATTACK else ()),
            _suspects(picture, found),
            len(picture.keys),
            joins,
            int(picture.column("completed").sum()),
            frozenset(key.tobytes() for key in picture.keys[good]),
            frozenset(
                key.tobytes() for key in picture.keys[good & (picture.column("joins") >= FAVOURED_MIN)][:FAVOURED_MAX]
            ),
        )

    def _is_crowd(self, picture: Picture) -> bool:
        joins = float(picture.column("joins").sum())
        dt_ms, self._base_ms = picture.at_ms - self._base_ms, picture.at_ms
        crowd = joins >= CROWD_JOINS_MIN and joins > CROWD_OVER * self._base
        self._base += (joins - self._base) * min(1.0, dt_ms / BASE_MS)
        return crowd or (self._verdict is Verdict.CROWD and joins >= CROWD_JOINS_MIN)

    def _decide(self, now_ms: int, signals: tuple[Signal, ...], *, crowded: bool, overloaded: bool) -> None:
        families = {signal.family for signal in signals}
        hard = families & {"conformance", "completion"} or (overloaded and families >= {"requests", "strangers"})
        self._looks = self._looks + 1 if hard and len(families) > 1 else 0
        if self._looks >= LOOKS or (self._verdict is Verdict.ATTACK and hard):
            self._signed_ms, self._signals = now_ms, signals
            self._become(Verdict.ATTACK, now_ms)
        elif self._verdict is Verdict.ATTACK and now_ms - self._signed_ms < QUIET_MS:
            return
        elif families - {"strangers"}:
            self._become(Verdict.UNDECIDED, now_ms)
        else:
            self._become(Verdict.CROWD if crowded else Verdict.CALM, now_ms)

    def _become(self, verdict: Verdict, now_ms: int) -> None:
        if verdict is not self._verdict:
            self._verdict, self._since_ms = verdict, now_ms


def _good(picture: Picture) -> Rows:
    columns = (picture.column(name) for name in ("completed", "polite", "solved", "places"))
    return np.asarray(sum(columns) + (picture.column("live") > 0), np.int64)


def _vouched(picture: Picture) -> Flags:
    return (picture.column("live") > 0) | (picture.column("completed") > 0)


def _signal(family: str, words: str, flags: Flags, events: int, score: float) -> Signal:
    return Signal(family, words, int(flags.sum()), events, round(score, 4))  # type: ignore[arg-type]


def _conformance(picture: Picture) -> _Found:
    bad = np.asarray(sum(picture.column(name) for name in BAD), np.int64)
    good, forged = _good(picture), picture.column("forged")
    flags = (bad + FORGED_WEIGHT * forged >= BAD_MIN) & (bad > BAD_OVER_GOOD * good)
    asked = picture.column("requests") + picture.column("starts")
    few = bad - picture.column("unsolved")  # everybody is asked once
    little = (few > 0) & (good == 0) & ~picture.known & (2 * few >= asked)
    come = int(((asked + few) > 0).sum())  # who listens and asks for nothing makes no attack a small one
    if int(few[little].sum()) >= BAD_SPREAD_MIN and int(little.sum()) >= BAD_SPREAD_SHARE * come:
        flags |= little  # each does little of it, and nothing else
    endless = _endless(picture, good)
    flags |= endless
    bad = bad + endless * picture.column("requests")
    events = int(bad[flags].sum())
    signal = None
    if events >= BAD_ALL_MIN:
        parts = [(name, int(picture.column(name)[flags].sum())) for name in BAD]
        parts.append(("endless", int(picture.column("requests")[endless].sum())))
        words = f"{_addresses(flags)} did what no player does: {_listed(parts)} in 10 s"
        signal = _signal("conformance", words, flags, events, events / max(1, int(bad.sum())))
    return _Found("conformance", flags, bad, signal)


def _endless(picture: Picture, good: Rows) -> Flags:
    """Sources that ask and ask: more than the pages of thousands of people behind one address would, waiting for T0."""
    requests = picture.column("requests").astype(np.int64)
    return np.asarray((requests >= ENDLESS_MIN) & (requests > ENDLESS_OVER_GOOD * (1 + good)))


_BAD_WORDS = {
    "forged": "forged tickets",
    "early": "polls far too early",
    "unfinished": "requests that did not come to an end",
    "undrained": "streams that took nothing",
    "unsolved": "joins again and again without doing what was asked",
    "endless": "requests one after the other",
}


def _listed(parts: object) -> str:
    return ", ".join(f"{count:,} {_BAD_WORDS[name]}" for name, count in parts if count)  # type: ignore[attr-defined]


def _completion(picture: Picture, *, edges_up: bool) -> _Found:
    completed, ripe, live = picture.column("completed"), picture.ripe, picture.column("live")
    none = np.zeros(len(picture.keys), np.bool_)
    if not edges_up:
        return _Found("completion", none, ripe.astype(np.int64), None)
    enough = np.where(picture.known, STARTS_KNOWN_MIN, STARTS_MIN)
    alone = none.copy()
    for row in np.flatnonzero((ripe >= enough) & (live == 0)).tolist():
        alone[row] = posterior(int(ripe[row]), int(completed[row])) > SURE
    flags = alone | _failing_networks(picture) | _failing_together(picture)
    starts = int(ripe[flags].sum())
    signal = None
    if flags.any():
        score = posterior(starts, int(completed[flags].sum()))
        share = round(100 * float((~picture.known[flags]).mean()))
        words = (
            f"{_addresses(flags)} began {starts:,} sessions in 10 s and {_completed(int(completed[flags].sum()))} "
            f"two seconds of audio; {share} % of them were never seen before to behave"
        )
        signal = _signal("completion", words, flags, starts, score)
    return _Found("completion", flags, ripe.astype(np.int64), signal)


def _strange(picture: Picture) -> Flags:
    """Sources that began sessions, and of which nobody ever saw anything good."""
    none_done = (picture.column("completed") == 0) & (picture.column("live") == 0)
    return np.asarray(~picture.known & none_done & (picture.ripe > 0))


def _failing_together(picture: Picture) -> Flags:
    """Sources that each begin many sessions, though too few to be sure of one by itself, in whatever networks."""
    flags = _strange(picture) & (picture.ripe >= POOLED_STARTS_MIN)
    return flags if int(picture.ripe[flags].sum()) >= STARTS_MIN else np.zeros_like(flags)


def _completed(count: int) -> str:
    return "none played" if not count else f"only {count:,} played"


def _failing_networks(picture: Picture) -> Flags:
    """Members of networks (/24, and /48 of IPv6) that begin sessions and complete none, without those who are known."""
    completed, ripe, strange = picture.column("completed"), picture.ripe, _strange(picture)
    flags = np.zeros(len(picture.keys), np.bool_)
    if not strange.any():
        return flags
    networks, where = np.unique(_networks(picture.keys), return_inverse=True)
    starts = np.bincount(where, ripe, len(networks)).astype(np.int64)
    done = np.bincount(where, completed, len(networks)).astype(np.int64)
    failing = np.zeros(len(networks), np.bool_)
    for at in np.flatnonzero(starts >= STARTS_MIN).tolist():
        failing[at] = posterior(int(starts[at]), int(done[at])) > SURE
    six = np.array([not key.tobytes().startswith(MAPPED) for key in picture.keys], np.bool_)
    return np.asarray(failing[where] & strange & ((ripe >= MEMBER_STARTS_MIN) | six))


def _networks(keys: npt.NDArray[np.void]) -> npt.NDArray[np.bytes_]:
    """/24 of IPv4, /48 of IPv6, as bytes that compare."""
    raw = np.frombuffer(keys.tobytes(), np.uint8).reshape(len(keys), -1).copy()
    mapped = (raw[:, :12] == np.frombuffer(MAPPED, np.uint8)).all(axis=1)
    raw[mapped, 15] = 0
    raw[~mapped, 6:] = 0
    raw[~mapped, 15] = 6
    raw[mapped, 0] = 4  # no zeros at the end, which numpy's bytes would not tell apart
    return np.ascontiguousarray(raw + 1).view("S16").ravel()


def _requests(picture: Picture) -> _Found:
    requests = picture.column("requests").astype(np.int64)
    flags = (requests >= REQUESTS_MIN) & (requests > REQUESTS_OVER_GOOD * (1 + _good(picture)))
    events = int(requests[flags].sum())
    others = requests[~flags]
    usual = float(others.mean()) if len(others) else 0.0
    signal = None
    if events >= REQUESTS_ALL_MIN:
        each = events / int(flags.sum())
        words = f"{_addresses(flags)} asked {events:,} times in 10 s, {each:,.0f} each; others {usual:.1f}"
        signal = _signal("requests", words, flags, events, each / max(usual, 1.0))
    return _Found("requests", flags, requests, signal)


def _strangers(picture: Picture, found: tuple[_Found, ...]) -> _Found:
    """Whether those suspected stand apart from the others."""
    flags = np.asarray(np.logical_or.reduce([one.flags for one in found if one.signal is not None] or [_no(picture)]))
    behaved = picture.known | (_good(picture) > 0)
    others, signal = behaved[~flags], None
    if flags.any() and len(others) >= OTHERS_MIN and others.mean() >= OTHERS_SHARE_MIN:
        share = float(behaved[flags].mean())
        if share <= STRANGERS_MAX:
            words = (
                f"of {_addresses(flags)} {100 * (1 - share):.0f} % never did anything a listener does; "
                f"of the {len(others):,} others {100 * float(others.mean()):.0f} % did"
            )
            signal = _signal("strangers", words, flags, int(flags.sum()), 1 - share)
    return _Found("strangers", flags, flags.astype(np.int64), signal)


def _no(picture: Picture) -> Flags:
    return np.zeros(len(picture.keys), np.bool_)


def _addresses(flags: Flags) -> str:
    count = int(flags.sum())
    return "1 address" if count == 1 else f"{count:,} addresses"


def _suspects(picture: Picture, found: tuple[_Found, ...]) -> tuple[Suspect, ...]:
    """Most events first."""
    signed = [one for one in found if one.signal is not None]
    if not signed:
        return ()
    flags = np.asarray(np.logical_or.reduce([_against(one, picture) for one in signed]))
    weight = np.asarray(sum(one.events * one.flags for one in signed))
    rows = np.flatnonzero(flags)
    rows = rows[np.argsort(-weight[rows], kind="stable")][:SUSPECTS_MAX]
    return tuple(_suspect(picture, signed, int(row)) for row in rows)


def _against(found: _Found, picture: Picture) -> Flags:
    """That somebody asks much is not enough against who is known to behave: many may be behind one address."""
    return found.flags & ~picture.known if found.family == "requests" else found.flags


def _suspect(picture: Picture, signed: list[_Found], row: int) -> Suspect:
    mine = [one for one in signed if one.flags[row]]
    words = "; ".join(_own_words(one, row) for one in mine)
    live, completed = int(picture.column("live")[row]), int(picture.column("completed")[row])
    spared = "somebody listens there" if live else f"{completed} sessions completed there" if completed else ""
    score = max(float(one.signal.score) for one in mine if one.signal is not None)
    events = sum(int(one.events[row]) for one in mine)
    unused = max(0, 2 * int(picture.column("tickets")[row]) - int(picture.column("starts")[row]))
    unused += int(picture.column("queued")[row])
    families = tuple(one.family for one in mine)
    return Suspect(picture.keys[row].tobytes(), families, events, score, words, spared, unused)


_OWN = {"conformance": "no player does that", "completion": "sessions begun, none completed", "requests": "requests"}


def _own_words(found: _Found, row: int) -> str:
    return f"{int(found.events[row]):,} in 10 s: {_OWN[found.family]}"
