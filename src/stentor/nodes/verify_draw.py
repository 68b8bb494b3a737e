"""`stentor verify --draw`: whether a draw was made by the rules, from what everybody can fetch or has kept.

A source is a show's page, or a directory with what was fetched there: the files `now` and `places`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from stentor.core import draw
from stentor.formats import now as now_format
from stentor.formats import ticket
from stentor.formats.merkle import RECORD_BYTES, Tree
from stentor.formats.tapemeta import fingerprint
from stentor.io import keys
from stentor.nodes.report import Report
from stentor.nodes.verify import parse_key

NOW_BYTES_MAX = 64 * 1024
PLACES_BYTES_MAX = 16_000_000 * RECORD_BYTES
TIMEOUT_S = 10.0
PAGES_MAX = 1_000
_FIELDS = {"commit": str, "base_s": int, "key": str, "root": str, "places": int}


class Draw(NamedTuple):
    """What a `now` object says of a draw that is made."""

    commit: str
    base_s: int
    key: str  # K
    root: str
    places: int
    beacon_name: str
    beacon: str


def main(source: str, *, json: bool = False, key: str | None = None, commit: str = "", place: str = "") -> int:
    """Check the draw of `source`, print what was found.

    `key` as in `verify.parse_key`; `commit` is what was published before the draw, `place` somebody's token.
    -> 0: all is well, 1: it is not, 2: nothing could be checked.
    """
    try:
        report = check(_reader(source), parse_key(key) if key else None, commit, place)
    except (OSError, httpx.HTTPError) as error:
        print(f"verify: {source}: {error}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    report.print(json=json)
    return 0 if report.ok else 1


def _reader(source: str) -> Callable[[str, int], bytes]:
    """-> what gives `now` or `places`, of at most so many bytes. Raises `OSError`, `httpx.HTTPError`, `ValueError`."""
    if source.startswith(("http://", "https://")):
        return lambda name, bytes_max: _fetch(f"{source.rstrip('/')}/{name}", bytes_max)
    return lambda name, bytes_max: _limited(Path(source, name).read_bytes(), name, bytes_max)


def _fetch(url: str, bytes_max: int) -> bytes:
    """All pages of it, end to end: each says by a Link where the next one is."""
    body, pages = bytearray(), 0
    with httpx.Client(timeout=TIMEOUT_S) as client:
        following: str | None = url
        while following is not None:
            with client.stream("GET", following) as response:
                response.raise_for_status()
                for data in response.iter_bytes():
                    body += data
                    _limited(body, url, bytes_max)
                link = response.links.get("next", {}).get("url")
                following = str(response.url.join(link)) if link else None
            pages += 1
            if pages > PAGES_MAX:
                raise ValueError(f"{url} has no end")
    return bytes(body)


def _limited(data: bytes, name: str, bytes_max: int) -> bytes:
    if len(data) > bytes_max:
        raise ValueError(f"{name} has more than {bytes_max} bytes")
    return bytes(data)


def check(read: Callable[[str, int], bytes], key: bytes | None, commit: str = "", place: str = "") -> Report:
    """Raises `ValueError` if there is nothing that could be checked; besides, what `read` raises."""
    token = _token(place) if place else None
    fields, signed, signature, public_key = now_format.parse(read("now", NOW_BYTES_MAX).decode(errors="replace"))
    made, report = _draw(fields), Report()
    report.facts["show"] = f"{fields.get('show')}: {fields.get('title')}"
    _tell_signature(report, keys.verify(public_key, signed, signature), public_key, key)
    _tell_secret(report, made, commit.lower())
    _tell_beacon(report, made)
    records = read("places", PLACES_BYTES_MAX)
    _tell_places(report, made, records)
    if token is not None:
        _tell_place(report, made, records, token, str(fields.get("show")))
    return report


def _draw(fields: dict[str, Any]) -> Draw:
    found = fields.get("draw")
    if not isinstance(found, dict) or not found.get("root"):
        raise ValueError("no draw has been made for this show (yet)")
    if any(type(found.get(name)) is not kind for name, kind in _FIELDS.items()):
        raise ValueError("the `draw` of the now object lacks something")
    texts = {name: str(found.get(name, "")) for name in ("beacon_name", "beacon")}
    return Draw(**{name: found[name] for name in _FIELDS}, **texts)


def _token(text: str) -> ticket.Token:
    """Raises `ValueError`."""
    token = ticket.peek(text.strip())
    if not isinstance(token, ticket.Token) or token.kind is not ticket.Kind.PLACE:
        raise ValueError("what was given is not the token of a place")
    return token


def _tell_signature(report: Report, good: bool, public_key: bytes, given: bytes | None) -> None:
    own = fingerprint(public_key.hex())
    report.values |= {"key": public_key.hex(), "key_known": given == public_key}
    report.facts["signer"] = f"{own}, the key that was given" if given else f"{own} (its own word: --key compares it)"
    if not good:
        report.refuse("the signature of `now` is not good: somebody has changed it")
    if given not in (None, public_key):
        report.refuse(f"`now` is of another key: {own}")


def _tell_secret(report: Report, made: Draw, noted: str) -> None:
    try:
        committed = draw.commit(bytes.fromhex(made.key))
    except ValueError:
        committed = ""
    report.facts["commit"] = f"{made.commit} (the show's own word: --commit compares it with one you noted)"
    report.values["commit"] = made.commit
    if committed != made.commit:
        report.refuse("K is not what was committed to: its SHA-256 differs from `commit`")
    if noted:
        report.facts["commit"] = f"{made.commit}, compared with the one you noted"
    if noted and noted != made.commit:
        report.refuse(f"before the draw something else was committed to: {noted}")


def _tell_beacon(report: Report, made: Draw) -> None:
    report.facts["beacon"] = f"{made.beacon_name}: {made.beacon}"
    if not made.beacon:
        report.facts["beacon"] = "none: that K was not picked to suit somebody is the operator's word"
    if made.beacon_name and not made.beacon:
        report.refuse(f"the beacon that was named ({made.beacon_name}) was not used")


def _tell_places(report: Report, made: Draw, records: bytes) -> None:
    count, cut = divmod(len(records), RECORD_BYTES)
    report.values |= {"places": count, "root": made.root}
    report.facts["places"] = f"{count}, root {made.root}"
    if cut or count != made.places:
        report.refuse(f"the log holds {count} places and {cut} bytes, where {made.places} were drawn")
        return
    tree = Tree()
    tree.add_records(records)
    if tree.root().hex() != made.root:
        report.refuse("the log is not the one that was drawn: its Merkle root is another")
    seqs, issued = _columns(records)
    if bool((np.diff(seqs.astype(np.int64)) <= 0).any()):
        report.refuse("the log is not sorted, or holds a place twice")
    if bool((issued >= made.base_s).any()):
        report.refuse("the log holds places that were given out after the draw")


def _tell_place(report: Report, made: Draw, records: bytes, token: ticket.Token, show: str) -> None:
    if token.show != ticket.show_tag(show):
        report.refuse("the place is of another show")
        return
    key = draw.draw_key(bytes.fromhex(made.key), made.beacon)
    mine = draw.rank(key, token.seq, token.issued, made.base_s)
    seqs, issued = _columns(records)
    before = int((draw.ranks(key, seqs, issued, made.base_s) < mine).sum())
    report.values |= {"seq": token.seq, "rank": mine, "position": before + 1}
    if token.issued >= made.base_s:
        report.facts["place"] = f"{token.seq}, rank {mine}: it came after the draw, behind all {made.places} drawn"
        return
    report.facts["place"] = f"{token.seq}, rank {mine}: {before + 1} of {made.places}"
    if not bool(((seqs == token.seq) & (issued == token.issued)).any()):
        report.refuse(f"place {token.seq} came before the draw, and is not in the log: it was left out")


def _columns(records: bytes) -> tuple[draw.Numbers, draw.Numbers]:
    """-> (seqs, seconds of issue); a cut record is left out."""
    whole = np.frombuffer(records, ">u4", len(records) // RECORD_BYTES * 2).reshape(-1, 2).astype(np.uint32)
    return whole[:, 0], whole[:, 1]
