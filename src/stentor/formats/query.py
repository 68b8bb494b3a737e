"""Numbers in the query of a request."""

from __future__ import annotations

from collections.abc import Mapping

DIGITS_MAX = 10


class BadNumber(ValueError):
    """The query has something else where a number belongs; the text says what."""


def is_number(text: str) -> bool:
    """Whether it is a count from 0 on, of at most `DIGITS_MAX` digits."""
    return text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX


def number(query: Mapping[str, str], name: str) -> int | None:
    """The count `name`; None if it is not given. Raises `BadNumber`."""
    text = query.get(name)
    if text is None:
        return None
    if not is_number(text):
        raise BadNumber(f"{name} is not a number of at most {DIGITS_MAX} digits")
    return int(text)
