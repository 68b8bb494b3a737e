"""`listen`, `speak`, `demo`, `verify`: the commands that handle audio."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stentor.commands import Exit, Json, fail, print_json, seconds

if TYPE_CHECKING:
    from stentor.clients.listen import Listener

app = typer.Typer()

For = Annotated[float | None, typer.Option("--for", parser=seconds, metavar="DURATION", help="How long, such as 20s.")]


@app.command(epilog="Example: stentor listen http://127.0.0.1:8000/s/friday --for 20s --decode")
def listen(
    url: Annotated[str, typer.Argument(help="A show's page, or a mount.")],
    for_s: For = None,
    rendition: Annotated[str, typer.Option(help="opus, opus-low, aac, aac-low, mp3 or mp3-low.")] = "",
    decode: Annotated[bool, typer.Option("--decode", help="Decode, and show the level of each second.")] = False,
    timecode: Annotated[
        bool, typer.Option("--timecode", help="Decode a time-coded voice: how late it sounds.")
    ] = False,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Write what is heard to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Listen as the page does, without a browser: gaps, lateness, levels. Exit code 1 if anything was missing."""
    from stentor.clients.ear import Ear
    from stentor.clients.links import BadLink, Link
    from stentor.clients.listen import Listener
    from stentor.model.rendition import BY_NAME

    try:
        link = Link.parse(url)
    except BadLink as error:
        fail(str(error), Exit.USAGE)
    name = rendition or link.rendition or "opus"
    if name not in BY_NAME:
        fail(f"no rendition {name!r}; there are {', '.join(BY_NAME)}", Exit.USAGE)
    ear = Ear(BY_NAME[name], timecoded=timecode) if decode or timecode else None
    listener = Listener(link, BY_NAME[name], ear=ear)
    with out.open("wb") if out else nullcontext() as listener.out:
        _run(listener, for_s, quiet=as_json)
    report = listener.report()
    print_json(report) if as_json else _print_report(report)
    raise typer.Exit(Exit.OK if listener.fine else Exit.NOT_FINE)


def _run(listener: Listener, for_s: float | None, *, quiet: bool) -> None:
    """Until the show ends, `for_s` is over, or Ctrl-C; a line on a terminal tells how it goes."""
    from rich.console import Console

    async def limited() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await listener.run()

    console = Console(stderr=True, quiet=quiet)
    with console.status("connecting") as status, suppress(KeyboardInterrupt):
        listener.on_chunk = lambda whole: status.update(_line(listener, whole.n))
        asyncio.run(limited())


def _line(listener: Listener, n: int) -> str:
    heard = listener.heard
    assert heard is not None
    late = heard.late_ms[-1] if heard.late_ms else None
    parts = [f"chunk {n}", f"{heard.count} heard", f"{heard.missing} missing"]
    parts += [f"late {late:.0f} ms"] if late is not None else []
    if listener.ear is not None and listener.ear.level_dbfs is not None:
        parts.append(f"{listener.ear.level_dbfs:.0f} dBFS")
    return " · ".join(parts)


def _print_report(report: dict[str, object]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for name, value in report.items():
        table.add_row(name, str(value))
    Console().print(table)
