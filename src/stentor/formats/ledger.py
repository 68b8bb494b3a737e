"""The ledger of a show: what was measured, judged and done at its door, a line of JSON each, oldest first.

A line is written whole or torn, never changed. No line has the address of anybody: a rule's target is written as a
keyed hash, by which the rules of one day can be told to be of one source; the key is another each day, and is never on
a disk (io/ledger). Words made by others are looked through for addresses (`nameless`) before they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from ipaddress import ip_network
from typing import Annotated, Literal, NamedTuple

import msgspec

from stentor.model.board import Phase, Signal, Verdict

VERSION = 1
WORDS_CHARS_MAX = 500
LINE_BYTES_MAX = 16_384  # beyond, a line is not one of ours
HASH_BYTES = 8
Change = Literal["made", "enforced", "spared", "expired", "over", "released"]
Count = Annotated[int, msgspec.Meta(ge=0)]


class _Line(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="is", tag=str.lower):
    """`at_ms` is Unix time in milliseconds."""

    at_ms: Count


class Begun(_Line, frozen=True):
    """The usher takes up the ledger of a show: its first, or one that comes after it."""

    show: str
    title: str = ""
    opens_at_ms: Count = 0
    starts_at_ms: Count = 0
    version: int = VERSION


class Sampled(_Line, frozen=True):
    """How it stood. What is counted is counted since the sample before: `joins` sessions that began, `blocked`
    connections refused by a rule, `shed` requests put off, `dropped` listeners whose socket took nothing, `skipped`
    those that fell behind, `challenged` joins that were to solve something first; of the chunks that came out `aired`
    were program, `held` hold, and `late` came too late from the studio. `asked`, `completed` and `sources` are of the
    10 s before (board.Shield). `n`: the newest chunk; `voices`: how many are on air; `absent`: roles that are silent.
    """

    phase: Phase = Phase.ANNOUNCED
    joins: Count = 0
    waiting: Count = 0
    listening: Count = 0
    seats: Count = 0
    rung: Count = 0
    verdict: Verdict = Verdict.CALM
    level: Count = 0
    rules: Count = 0
    asked: Count = 0
    completed: Count = 0
    sources: Count = 0
    blocked: Count = 0
    shed: Count = 0
    challenged: Count = 0
    dropped: Count = 0
    skipped: Count = 0
    n: Count = 0
    aired: Count = 0
    held: Count = 0
    late: Count = 0
    voices: Count = 0
    absent: tuple[str, ...] = ()


class Judged(_Line, frozen=True):
    """The verdict, or the level, is another than before. `error` is how often such a verdict was wrong in rehearsal."""

    verdict: Verdict
    level: Count = 0
    signals: tuple[Signal, ...] = ()
    sources: Count = 0
    asked: Count = 0
    completed: Count = 0
    drops_by: str = ""
    dry_run: bool = False
    siege: bool = False
    error: str = ""


class Ruled(_Line, frozen=True):
    """What became of a rule. `source` is the keyed hash of its target, `kind` says what sort of target that is; `why`
    are the words of its signals, which are of `families`; `spared` is what speaks against enforcing it, `hits` how many
    events it showed in 10 s, at most."""

    id: str
    change: Change
    action: Literal["limit", "drop"]
    source: str
    kind: str = ""
    until_ms: Count = 0
    hits: Count = 0
    why: str = ""
    spared: str = ""
    families: tuple[str, ...] = ()


class Ordered(_Line, frozen=True):
    """What the crew has ordered, in words."""

    words: str


class Noted(_Line, frozen=True):
    """What a reader of the ledger has to know about the ledger itself."""

    words: str


Entry = Begun | Sampled | Judged | Ruled | Ordered | Noted
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


class Ledger(NamedTuple):
    """What could be read. `unread`: lines that are no entries; `torn`: the last line was cut short."""

    entries: list[Entry]
    unread: int = 0
    torn: bool = False


def encode(entry: Entry) -> bytes:
    return _encoder.encode(entry) + b"\n"


def read(data: bytes) -> Ledger:
    """Every entry that stands in `data`; what is no entry is counted and passed over."""
    *lines, rest = data.split(b"\n")
    found = [_entry(line) for line in lines if line]
    entries = [entry for entry in found if entry is not None]
    return Ledger(entries, len(found) - len(entries), bool(rest))


def _entry(line: bytes) -> Entry | None:
    if len(line) > LINE_BYTES_MAX:
        return None
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def hashed(key: bytes, target: str) -> str:
    """The hash of a rule's target, 16 hexadecimal digits."""
    return blake2b(target.encode(), key=key, digest_size=HASH_BYTES).hexdigest()


def kind_of(target: str) -> str:
    """What sort of target `target` (a network as text) is, in words."""
    try:
        network = ip_network(target, strict=False)
    except ValueError:
        return "unknown"
    if network.version == 4 and network.prefixlen == 32:
        return "IPv4 address"
    return f"IPv{network.version} /{network.prefixlen}"


_TOKEN = re.compile(r"[0-9A-Fa-f.:]{2,50}(?:/\d{1,3})?")


def nameless(words: str) -> str:
    """`words` without any address that may stand in them, in one line, of a length that fits a line."""
    line = _TOKEN.sub(lambda match: "an address" if _is_address(match[0]) else match[0], " ".join(words.split()))
    return line if len(line) <= WORDS_CHARS_MAX else line[: WORDS_CHARS_MAX - 1] + "…"


def _is_address(token: str) -> bool:
    """Whether there is an address in it, be it with a port or at the end of a sentence."""
    trimmed = token.rstrip(".:").lstrip(".")
    return any(_parses(text) for text in (token, trimmed, trimmed.rpartition(":")[0]))


def _parses(text: str) -> bool:
    if text.count(".") != 3 and text.count(":") < 2:
        return False
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def nameless_signals(signals: Iterable[Signal]) -> tuple[Signal, ...]:
    return tuple(msgspec.structs.replace(signal, words=nameless(signal.words)) for signal in signals)
