"""The values on the board, by key. Desired state carries a revision; its owner reconciles.

desk        `Desk`      written by the desk: shows, what the crew wants, who may speak
stage       `Stage`     written by the studio: what is
ended-<show> `Stage`    written by the studio when a show is over: how it ended
levels      `Levels`    written by the studio four times a second
usher       `Usher`     written by the usher: health of the hold watcher
edge-<i>    `Edge`      one a worker, once a second
door-<i>    `Door`      one a worker, once a second
now-<show>  `Now`       written by the usher once a second, signed, served by door and edges
line-<show> `Line`      written by the usher four times a second: who may come in, and how long the line is
ladder      `Ladder`    written by the usher when it changes: what is given up at the moment
shield      `Shield`    written by the usher four times a second: attack or crowd, and why
rules       `Rules`     written by the usher when they change: who is limited, challenged, shut out
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec


class Phase(StrEnum):
    """Where a show is in its life; the table of transitions is in core/life.py."""

    ANNOUNCED = "announced"
    OPEN = "open"
    DRAWN = "drawn"
    LIVE = "live"
    HELD = "held"
    ENDED = "ended"
    CANCELLED = "cancelled"


Wish = Literal["", "go", "hold", "end", "cancel"]


class Seat(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody who may speak, as the crew wants them. `token_hash` is SHA-256 of the invite, hex."""

    id: str
    name: str
    token_hash: str
    crew: bool = False
    on_air: bool = False
    muted: bool = False
    removed: bool = False
    expires_at: int = 0  # Unix seconds; 0: the end of the show


class Revoked(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tickets and places that are void before their time: by key id, by class (formats/ticket.Class), by range of seq
    (first, last)."""

    keys: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()
    seqs: tuple[tuple[int, int], ...] = ()


class Show(msgspec.Struct, frozen=True, omit_defaults=True):
    """One show as announced and as the crew wants it. Times are Unix milliseconds.

    `draws_at_ms` 0: no draw, first come first served from the start. `ends_at_ms` is what is planned; 0: not known.
    `rung` is the step of the ladder that the crew asks for; -1: by measure. `beacon_name` was said beforehand, `beacon`
    is what it turned out to be.
    """

    id: str
    title: str
    starts_at_ms: int
    opens_at_ms: int
    chunk_ms: int = 500
    wish: Wish = ""
    reason: str = ""
    notice: str = ""
    cap: int = 0  # listeners; 0: what the machine carries
    seats: tuple[Seat, ...] = ()
    draws_at_ms: int = 0
    ends_at_ms: int = 0
    closed: bool = False  # nobody new is let in; who is in line keeps their place
    rung: int = -1
    beacon_name: str = ""
    beacon: str = ""
    revoked: Revoked = Revoked()
    dry_run: bool = False  # rules are made and written down, but not enforced
    siege: bool = False  # tickets and reconnects only, by order of the crew
    released: tuple[str, ...] = ()  # targets of rules that the crew has lifted


class Desk(msgspec.Struct, frozen=True, omit_defaults=True):
    revision: int = 0
    shows: tuple[Show, ...] = ()


class Speaker(msgspec.Struct, frozen=True, omit_defaults=True):
    """A connected speaker as the stage has them. `stopped_ms`: since the last packet of audio."""

    seat: str
    name: str
    on_air: bool
    muted: bool
    stopped_ms: int = 0
    jitter_ms: int = 0
    lost: int = 0
    concealed: int = 0
    received: int = 0


class Tape(msgspec.Struct, frozen=True, omit_defaults=True):
    """State of the recording. `problem` is empty while the disk takes what it is given."""

    first_n: int = 0
    next_n: int = 0
    chain: str = ""  # hex
    chain_n: int = 0
    durable_n: int = 0
    pending_bytes: int = 0
    problem: str = ""


class Stage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the studio is doing. `show` is empty between shows."""

    at_ms: int
    pid: int = 0
    revision: int = 0
    show: str = ""
    title: str = ""
    phase: Phase = Phase.ANNOUNCED
    ring: str = ""
    tape_directory: str = ""
    t0_wall_ns: int = 0
    chunk_ms: int = 500
    n: int = 0
    live_n: int = 0
    end_n: int = 0
    started_at_ms: int = 0
    ended_at_ms: int = 0
    speakers: tuple[Speaker, ...] = ()
    late_ticks: int = 0
    late_chunks: int = 0
    tape: Tape = Tape()
    problem: str = ""


class Levels(msgspec.Struct, frozen=True):
    """Peak levels since the last value, dBFS, -120 for silence; by seat id, `program` for the mix."""

    at_ms: int
    dbfs: dict[str, float]


class Usher(msgspec.Struct, frozen=True, omit_defaults=True):
    at_ms: int
    pid: int = 0
    hold_chunks: int = 0
    late_polls: int = 0


class Gate(StrEnum):
    """How the door lets in at the moment."""

    FREE = "free"  # at once, within `Line.at_once`
    GATHERING = "gathering"  # places only: the draw is still to come
    QUEUE = "queue"  # who has a rank up to the mark
    CLOSED = "closed"  # nobody


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """The line of one show. Ranks are integers below 2**53 (core/draw.py): a place may enter if its rank <= `mark`.

    `table` has up to 64 points (rank, how many places have at most that rank), ascending, from which anybody can tell
    how many are ahead of a rank. `at_once`: tickets that each door worker may give until the next value.
    `rate_mps`: places let in per thousand seconds, 0: not known yet, known from `seen` of them. `commit` is SHA-256 of
    `key` (both hex); `key` is shown once the draw is made. `root` is the Merkle root over the `places` that were drawn.
    `free` seats can be given now (below 0: so many too few), to `soon` places if as many of those called stay away as
    did so far; places are called at most at `calls_mps`, per thousand seconds. core/eta.py makes waits of these.
    """

    at_ms: int
    gate: Gate = Gate.FREE
    mark: int = 0
    at_once: int = 0
    cap: int = 0  # seats
    listening: int = 0
    called: int = 0  # let in, and not yet arrived
    waiting: int = 0
    rate_mps: int = 0
    seen: int = 0
    next_poll_ms: int = 5_000
    reason: str = ""
    table: tuple[tuple[int, int], ...] = ()
    commit: str = ""
    key: str = ""
    beacon_name: str = ""
    beacon: str = ""
    root: str = ""
    places: int = 0
    free: int = 0
    soon: int = 0
    calls_mps: int = 0
    base_s: int = 0  # Unix second that ranks count from (core/draw.py)


class Ladder(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is given up. From chunk `from_n` on, chunks go out `group` at a time (1, 2 or 4), each group's last number
    is divisible by `group`. `low`: new listeners get the low rendition of their codec; `low_from_n` is the chunk from
    which everybody who can be spliced gets it, 0: nobody. `capacity` by rung, listeners. `show` is whose chunks these
    are; `write_ns` and `kib_ns` are what was measured: a write to a listener's socket, and each KiB in it."""

    at_ms: int
    revision: int = 0
    rung: int = 0
    group: int = 1
    from_n: int = 0
    low: bool = False
    low_from_n: int = 0
    cap: int = 0
    reason: str = ""
    capacity: tuple[int, ...] = ()
    show: str = ""
    write_ns: int = 0
    kib_ns: int = 0


class Edge(msgspec.Struct, frozen=True, omit_defaults=True):
    """One edge worker's counters since its start."""

    at_ms: int
    pid: int = 0
    listeners: int = 0
    by_rendition: dict[str, int] = {}
    joins: int = 0
    refused: int = 0
    skips: int = 0
    drops: int = 0
    chunks: int = 0
    holds_made: int = 0
    bytes_sent: int = 0
    worst_late_ms: int = 0
    pulls: int = 0  # HLS requests answered
    pulls_refused: int = 0  # HLS requests for what there is not, or that make no sense
    pulls_waiting: int = 0  # HLS requests that wait for their chunk
    arrivals: int = 0  # listeners whose ticket was seen for the first time
    renewed: int = 0  # listeners who came back
    replaced: int = 0  # sessions that ended because their ticket began a newer one
    refusals: dict[str, int] = {}  # by code
    blocked: int = 0  # connections refused by a rule
    evidence_lost: int = 0  # datagrams of evidence that the usher did not take
    hls_signed: int = 0  # listeners by HLS whose page says so by beacons; `listeners` has neither these
    hls_estimated: int = 0  # nor these, an estimate (core/visitors.py)

    @property
    def seats(self) -> int:
        """All who count against the cap."""
        return self.listeners + self.hls_signed + self.hls_estimated


class Door(msgspec.Struct, frozen=True, omit_defaults=True):
    at_ms: int
    pid: int = 0
    requests: int = 0
    tickets: int = 0
    refused: int = 0
    places: int = 0
    shed: int = 0
    line_at_ms: int = 0  # of the `Line` that it goes by
    at_once: int = 0  # of the tickets: to whoever had not been called, so that nobody keeps a seat for them yet
    at_once_by: dict[str, int] = {}  # the same by show, of those that are announced
    blocked: int = 0  # connections refused by a rule
    evidence_lost: int = 0  # datagrams of evidence that the usher did not take
    challenged: int = 0  # joins that were asked to solve something first
    solved: int = 0
    cpu: float = 0.0  # the share of a core that it took lately


class Now(msgspec.Struct, frozen=True, omit_defaults=True):
    """`text` is the signed `now` object (formats/now.py) as it is to be served."""

    at_ms: int
    text: str


class Verdict(StrEnum):
    """What the usher takes those at the door for (core/verdict.py)."""

    CALM = "calm"
    CROWD = "crowd"
    UNDECIDED = "undecided"
    ATTACK = "attack"


class Signal(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason for a verdict or a rule. `words` is a sentence with its numbers, for people; `sources` showed it with
    `events` in the window; `score` is the posterior or ratio behind it."""

    family: Literal["conformance", "completion", "requests", "strangers"]
    words: str
    sources: int = 0
    events: int = 0
    score: float = 0.0


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """`target` is a network as text: one IPv4 address (/32) or IPv6 /64. `enforced_ms` 0: in shadow, or in a dry run.
    `why` is the words of its signals, `spared` what speaks against enforcing it."""

    id: str
    action: Literal["limit", "drop"]
    target: str
    since_ms: int
    until_ms: int
    enforced_ms: int = 0
    hits: int = 0
    why: str = ""
    spared: str = ""


class Shield(msgspec.Struct, frozen=True, omit_defaults=True):
    """The verdict and what it rests on. Counts are of the window of 10 s; `sources` is an estimate. `level`: 0 open,
    1 crowd, 2 doubt, 3 attack, 4 siege. `drops_by`: kernel, workers, or "nobody: <reason>". `error` is how often such
    verdicts were wrong in rehearsal, in words. `challenge`: who joins without a ticket has to solve one first; `share`
    is how many joins a cluster may make in 10 s, 0: no limit; `void` is how many tickets and places, since the usher's
    start, were given to whom a rule shut out before they had listened: no seat is kept for them."""

    at_ms: int
    verdict: Verdict = Verdict.CALM
    since_ms: int = 0
    level: int = 0
    signals: tuple[Signal, ...] = ()
    sources: int = 0
    joins: int = 0
    completed: int = 0
    rules: int = 0
    drops_by: str = ""
    dry_run: bool = False
    siege: bool = False
    error: str = ""
    challenge: bool = False
    share: int = 0
    void: int = 0


class Rules(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most 12,000 rules."""

    at_ms: int
    revision: int = 0
    rules: tuple[Rule, ...] = ()
