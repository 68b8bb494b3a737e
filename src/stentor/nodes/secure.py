"""TLS of a role, if it is set: the certificate, and what its reloads have to tell."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from stentor.io.tls import Certificate
from stentor.settings import Settings

LOOK_S = 1.0  # between two looks at the files
log = structlog.get_logger()


def certificate(settings: Settings) -> Certificate | None:
    """None without TLS. Raises `TlsError`."""
    if not settings.tls_chain:
        return None
    held = Certificate(Path(settings.tls_chain), Path(settings.tls_key))
    if held.problem:
        log.error("certificate expired", reason=held.problem)
    return held


def refresh(held: Certificate) -> None:
    """To be called now and then."""
    if not held.refresh():
        return
    if held.problem:
        log.error("certificate not reloaded, the old one stays", reason=held.problem)
    else:
        log.info("certificate reloaded", expires=held.expires.isoformat())


async def keep_fresh(held: Certificate | None) -> None:
    """The same for a role on asyncio, until cancelled."""
    while held is not None:
        await asyncio.sleep(LOOK_S)
        refresh(held)
