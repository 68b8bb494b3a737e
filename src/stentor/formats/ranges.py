"""Byte ranges of RFC 9110, section 14: what part of a body of known size a `Range` header asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass

DIGITS_MAX = 19  # a position with more digits is not worth an answer of its own: the header is ignored
_ONE_RANGE = re.compile(rf"bytes=[ \t]*([0-9]{{0,{DIGITS_MAX}}})-([0-9]{{0,{DIGITS_MAX}}})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """The range lies outside the body: answer 416 with this `Content-Range`."""

    size: int

    @property
    def content_range(self) -> str:
        return f"bytes */{self.size}"


def parse(header: str, size: int) -> tuple[int, int] | Unsatisfiable | None:
    """-> (first, last) byte, both inclusive, of a body of `size` bytes; `Unsatisfiable`; or None: send it all with 200.

    None stands for no header, for another unit, for what is no range, and for several ranges (RFC 9110, 14.2 lets a
    server ignore the header).
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None or match.group(1, 2) == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return _suffix(int(last), size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        return Unsatisfiable(size)
    return int(first), min(int(last or size), size - 1)


def _suffix(length: int, size: int) -> tuple[int, int] | Unsatisfiable | None:
    """The last `length` bytes. Of an empty body any suffix is satisfied by all of it, which 206 cannot say."""
    if not length:
        return Unsatisfiable(size)
    return (max(0, size - length), size - 1) if size else None


def content_range(span: tuple[int, int], size: int) -> str:
    """The `Content-Range` of a 206 that carries `span`, as `parse` gave it."""
    return f"bytes {span[0]}-{span[1]}/{size}"
