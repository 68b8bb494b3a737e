"""Errors as RFC 9457 problem details: one shape for every role."""

from __future__ import annotations

import json
from dataclasses import dataclass

from stentor.model.http import Headers, Response

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something was not granted, as a problem."""

    status: int
    code: str
    title: str
    detail: str = ""
    retry_after_s: int = 0

    def response(self) -> Response:
        return refusal(self.status, self.code, self.title, self.detail, retry_after_s=self.retry_after_s)


def problem(status: int, code: str, title: str, detail: str = "") -> bytes:
    """The body. `code` is stable and for programs, `title` for people, `detail` says what was wrong here."""
    fields = {"type": f"about:blank#{code}", "title": title, "status": status, "code": code}
    if detail:
        fields["detail"] = detail
    return json.dumps(fields).encode()


def refusal(
    status: int, code: str, title: str, detail: str = "", *, retry_after_s: int = 0, extra: Headers = ()
) -> Response:
    """The whole answer: kept by no cache, readable by every origin; with Retry-After if that is not 0."""
    headers = (("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store"), ("Access-Control-Allow-Origin", "*"))
    retry = (("Retry-After", str(retry_after_s)),) if retry_after_s else ()
    return Response(status, (*headers, *retry, *extra), problem(status, code, title, detail))
