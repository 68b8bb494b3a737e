"""Errors as RFC 9457 problem details: one shape for every role."""

from __future__ import annotations

import json

CONTENT_TYPE = "application/problem+json"


def problem(status: int, code: str, title: str, detail: str = "") -> bytes:
    """The body. `code` is stable and for programs, `title` for people, `detail` says what was wrong here."""
    fields = {"type": f"about:blank#{code}", "title": title, "status": status, "code": code}
    if detail:
        fields["detail"] = detail
    return json.dumps(fields).encode()
