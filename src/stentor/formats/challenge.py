"""What whoever joins is asked to solve first while an attack cannot be ruled out, how it is signed, and how it comes
back.

The work is that of the `altcha` library's first protocol: a `number` from 0 to `maxnumber` is sought of which
SHA-256(salt + number) is `challenge` (hex); `signature` is HMAC-SHA-256 of `challenge`. A challenge is made beforehand,
for nobody; the *stamp* beside it says whom it was given to and when:

    <kind>.<hour, minute and second as Unix time, hex>.<keyed BLAKE2b-96 over kind, time, network and subject, hex>

A stamp of kind `s` (to solve) is over the signature of a challenge, one of kind `w` (to wait) stands alone and proves
that somebody without JavaScript has waited. What comes back is `?solution=<base64url of altcha's JSON>&stamp=<stamp>`,
or the stamp alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec
from altcha.v1 import ChallengeOptions, PayloadType, create_challenge, verify_solution

from stentor.formats import problem
from stentor.formats.problem import Refused
from stentor.model.http import Request, Response

STATUS, CODE = 428, "challenge-needed"  # 403 would be for what is forged
TITLE = "Many come at once, so a little work is asked of whoever joins"
SOLVED_MAX = 4_000_000  # more work is not done by `solve`
SALT_BYTES = 12
SOLUTION_CHARS_MAX = 600
_MAC_BYTES = 12
_STAMP_CHARS_MAX = 64
_STAMP_CHARS = frozenset("0123456789abcdefsw.")
_ALGORITHM: Final = "SHA-256"
_PREFIX_BITS = 64  # of an IPv6 source: whoever has one address has all of these


class Kind(StrEnum):
    """What a stamp lets its holder do."""

    SOLVE = "s"
    WAIT = "w"


class Challenge(NamedTuple):
    """Hex, but for the salt's last character. Half of `maxnumber` hashes are the price of a join, on average."""

    salt: str
    challenge: str
    signature: str
    maxnumber: int

    def fields(self) -> dict[str, str | int]:
        """By the names of altcha's protocol."""
        return {"algorithm": _ALGORITHM, **self._asdict()}


class Solution(msgspec.Struct, frozen=True):
    """What altcha's protocol sends back; other fields are not looked at."""

    challenge: str
    number: int
    salt: str
    signature: str
    algorithm: str = _ALGORITHM


class Stamp(NamedTuple):
    kind: Kind
    at_s: int
    mac: bytes


class BadSolution(ValueError):
    """It cannot be read; the text says why."""


@lru_cache(maxsize=4_096)
def network(source: str) -> bytes:
    """Whom a stamp is bound to: an IPv4 address, or the /64 of an IPv6 one. What is no address stands for itself."""
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source.encode()
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return mapped.packed if mapped else address.packed[: _PREFIX_BITS // 8]
    return address.packed


def make(key: bytes, salt: bytes, number: int, number_max: int) -> Challenge:
    """A challenge that `number` solves."""
    options = ChallengeOptions(
        algorithm=_ALGORITHM, max_number=number_max, hmac_key=key, salt=salt.hex(), number=number
    )
    made = create_challenge(options)
    return Challenge(made.salt, made.challenge, made.signature, number_max)


def stamp(key: bytes, kind: Kind, at_s: int, source: str, subject: str = "") -> str:
    """For whoever is at `source`, at a Unix second."""
    return f"{kind}.{at_s:x}.{_mac(key, kind, at_s, source, subject).hex()}"


def open_stamp(key: bytes, text: str, source: str, subject: str = "") -> Stamp | None:
    """None if it was not given to this source for this subject."""
    kind, _, rest = text.partition(".")
    at, _, mac = rest.partition(".")
    if len(text) > _STAMP_CHARS_MAX or kind not in tuple(Kind):
        return None
    try:
        at_s, given = int(at, 16), bytes.fromhex(mac)
    except ValueError:
        return None
    if at != f"{at_s:x}" or not hmac.compare_digest(given, _mac(key, Kind(kind), at_s, source, subject)):
        return None
    return Stamp(Kind(kind), at_s, given)


def _mac(key: bytes, kind: Kind, at_s: int, source: str, subject: str) -> bytes:
    said = b"%s %d %s " % (kind.encode(), at_s, subject.encode()) + network(source)
    return hashlib.blake2b(said, key=key, digest_size=_MAC_BYTES).digest()


def parse(text: str) -> Solution:
    """Raises `BadSolution`."""
    if len(text) > SOLUTION_CHARS_MAX:
        raise BadSolution("it is too long")
    try:
        bare = text.replace("+", "-").replace("/", "_").rstrip("=")
        raw = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
        return msgspec.json.decode(raw, type=Solution)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise BadSolution(f"it cannot be read: {error}") from None


def text(given: Challenge, number: int) -> str:
    """What a solver sends back."""
    fields = given.fields() | {"number": number}
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def solve(asked: Mapping[str, Any]) -> str:
    """`asked`: the fields of a `Needed`. -> what is to be added to the query of the join; "" if there is no solution.
    It takes as long as it takes: half a second for the default."""
    try:
        fields, stamp = asked["challenge"], str(asked["stamp"])
        salt, hashed, signature = (str(fields[name]) for name in ("salt", "challenge", "signature"))
        given = Challenge(salt, hashed, signature, min(fields["maxnumber"], SOLVED_MAX))
    except (KeyError, TypeError):
        return ""
    start = hashlib.sha256(given.salt.encode())
    for number in range(given.maxnumber + 1):
        tried = start.copy()
        tried.update(b"%d" % number)
        if tried.hexdigest() == given.challenge:
            return urlencode({"solution": text(given, number), "stamp": stamp})
    return ""


def solves(key: bytes, found: Solution) -> bool:
    """Whether it is right; the signature is gone by, so that nobody else's challenges count."""
    payload: PayloadType = {
        "algorithm": _ALGORITHM,
        "challenge": found.challenge,
        "number": found.number,
        "salt": found.salt,
        "signature": found.signature,
    }
    right, _ = verify_solution(payload, key, check_expires=False)
    return right and found.algorithm == _ALGORITHM


@dataclass(frozen=True, slots=True)
class Needed(Refused):
    """A join that has to solve this first; `wait_stamp` is for whoever cannot, and counts after `wait_s`."""

    challenge: Challenge | None = None
    stamp: str = ""
    wait_stamp: str = ""
    wait_s: int = 0

    def response(self) -> Response:
        answer = problem.refusal(self.status, self.code, self.title, self.detail)
        if self.challenge is None:
            return answer
        fields = json.loads(answer.body or b"{}") | {"challenge": self.challenge.fields(), "stamp": self.stamp}
        return Response(answer.status, answer.headers, json.dumps(fields).encode())


def for_players(show: str) -> Response:
    """What a player is told, which can neither solve nor wait."""
    detail = f"a player cannot do it: a browser gets its address for players at /s/{show}/wait"
    return problem.refusal(STATUS, CODE, TITLE, detail)


def wait_stamp(request: Request) -> str:
    """What a page without JavaScript comes back with; "" if it cannot be one, for it is written into the page again."""
    found = request.query.get("stamp", "")
    return found if len(found) <= _STAMP_CHARS_MAX and _STAMP_CHARS.issuperset(found) else ""


def sent(request: Request) -> tuple[str, str]:
    """-> what a request brings of it: the solution, and the stamp."""
    return request.query.get("solution", ""), request.query.get("stamp", "")
