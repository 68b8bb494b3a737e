"""The `now` object: one signed JSON a show, the same for everyone, served by door and edges, cacheable for a second.

    {"chain": "5f…", "chain_n": 812, …, "key": "<base64 Ed25519 public key>", "sig": "<base64 signature>"}

The signature is over the object without `sig`, in canonical form: keys sorted, no white space, UTF-8 (RFC 8785; only
strings, integers, booleans, null, lists and objects are used, so no rule about numbers is needed).

Fields (all but `v`, `show`, `phase`, `at_ms` may be missing):
`v` 1 · `show` id · `title` · `phase` announced|open|drawn|live|held|ended|cancelled · `at_ms` when it was made ·
`starts_at_ms` · `opens_at_ms` · `started_at_ms` · `ended_at_ms` · `t0_ms` Unix ms of show time 0 · `chunk_ms` · `n`
newest whole chunk · `live_n` first recorded chunk · `end_n` one past the last · `reason` · `notice` · `on_air` names ·
`listeners` · `next_poll_ms` · `ladder` {rung, reason} · `verdict` · `chain`, `chain_n` head of the tape's chain and the
chunk it stands at · `replay` path, once it is up · `holding` true while hold fills the program.

Of the line: `gate` free|gathering|queue|closed · `line_reason` · `mark` ranks up to it may enter · `waiting` places
beyond it · `cap` seats · `table` [[rank, places of at most that rank], …] from the mark on · `free`, `soon`,
`rate_mps`, `seen`, `calls_mps` from which waits are told · `ends_at_ms`, and `ends_assumed` true where nothing is
planned · `draw` {commit, base_s, at_ms, beacon_name; once it is made: key, beacon, root, places}. How a page makes a
range and a chance of them is said in core/eta.py, how ranks are made in core/draw.py; `key` there is K, and commit its
SHA-256.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from stentor.model.http import Response

NEXT_POLL_MS = 5_000
SHOW_MS_ASSUMED = 90 * 60_000  # of a show whose end is not planned


def canonical(value: dict[str, Any]) -> bytes:
    """RFC 8785 for the values named above."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign(fields: dict[str, Any], public_key: bytes, signer: Callable[[bytes], bytes]) -> str:
    """-> the text to serve. `signer` makes an Ed25519 signature (64 bytes) of its argument."""
    body = {name: value for name, value in fields.items() if value not in (None, "", [])}
    body["key"] = base64.b64encode(public_key).decode()
    return canonical({**body, "sig": base64.b64encode(signer(canonical(body))).decode()}).decode()


class BadNow(ValueError):
    """The text is not a `now` object."""


def parse(text: str) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    """-> (fields without `sig`, the bytes that were signed, signature, public key); raises `BadNow`."""
    try:
        body = json.loads(text)
        signature, key = (base64.b64decode(body[name], validate=True) for name in ("sig", "key"))
    except (ValueError, KeyError, TypeError) as error:
        raise BadNow(f"not a now object: {error}") from None
    del body["sig"]
    return body, canonical(body), signature, key


def response(text: str) -> Response:
    """The answer that carries the object: the same for everyone, for a second."""
    headers = (
        ("Content-Type", "application/json"),
        ("Cache-Control", "public, max-age=1"),
        ("Access-Control-Allow-Origin", "*"),
    )
    return Response(200, headers, text.encode())
