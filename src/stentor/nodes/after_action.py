"""`stentor report`: what happened at the door of a show, from its ledger and its tape, as text, JSON or a page."""

from __future__ import annotations

import re
import time
from hashlib import sha256
from pathlib import Path

from stentor.core import report as reports
from stentor.core.ledger import BYTES_MAX
from stentor.core.tape import TapeReader
from stentor.formats.ledger import read
from stentor.formats.report import Report, Source, Taped, encode
from stentor.formats.report_page import KINDS, page
from stentor.io import keys
from stentor.io import ledger as files
from stentor.io.tapefile import TapeFiles
from stentor.model.rendition import RENDITIONS

_SHOW = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class NoReport(ValueError):
    """There is no ledger of that show, or nothing in it."""


def make(data_dir: Path, show: str) -> Report:
    """Raises `NoReport`, `OSError`."""
    if not _SHOW.fullmatch(show):
        raise NoReport(f"{show[:64]!r} is no id of a show")
    file = files.path(data_dir, show)
    try:
        with file.open("rb") as opened:
            data = opened.read(BYTES_MAX)
    except FileNotFoundError:
        raise NoReport(f"{file}: there is no ledger of that show") from None
    source = Source(file.name, sha256(data).hexdigest(), len(data), 0, 0, False, 0)
    try:
        return reports.make(read(data), taped(file.parent / "tape"), source, time.time_ns() // 1_000_000)
    except reports.Empty as error:
        raise NoReport(f"{file}: {error}") from None


def taped(directory: Path) -> Taped | None:
    """What the tape in `directory` says of each chunk, up to its first fault; None if there is no tape.

    Its order is checked, not its bytes: that is what `stentor verify` is for.
    """
    segments = TapeFiles(directory)
    reader = TapeReader(keys.verify, hash_chunks=False)
    for segment in range(segments.count()):
        if not reader.receive_segment(segments.mapped(segment)):
            break
    if reader.meta is None:
        return None
    meta, grid = reader.meta, reader.meta.grid
    return Taped(
        meta.first_n,
        grid.wall_ns(meta.first_n) // 1_000_000,
        round(grid.chunk_s * 1000),
        tuple(reader.index.lengths(RENDITIONS[0].id)),
        tuple((n, last) for n, last, event in reader.events if event.what == "lost"),
        reader.end is not None,
        reader.chain.hex(),
    )


def as_json(report: Report) -> str:
    return encode(report).decode()


def as_page(report: Report) -> str:
    return page(report)


def as_text(report: Report) -> str:
    """The sentences of the report, for a terminal."""
    lines = [f"{report.title or report.show}", *(f"  {line}" for line in report.summary)]
    for kind, name in KINDS:
        words = [f"  {one.words}" for one in report.findings if one.kind == kind]
        lines += [name, *words] if words else []
    return "\n".join([*lines, "What this cannot show", *(f"  {line}" for line in report.caveats)]) + "\n"
