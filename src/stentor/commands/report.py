"""`stentor report`: what happened at the door of a show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stentor.commands import Exit, fail, load_settings

app = typer.Typer()


@app.command(epilog="Examples: stentor report friday-x3k9;  stentor report friday-x3k9 --html -o friday.html")
def report(
    show: Annotated[str, typer.Argument(metavar="SHOW", help="The show's id, as `stentor show list` has it.")],
    as_json: Annotated[bool, typer.Option("--json", help="All of it, for programs.")] = False,
    as_html: Annotated[bool, typer.Option("--html", help="A page with plots, in one file.")] = False,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", dir_okay=False, help="Write it to this file.")
    ] = None,
) -> None:
    """What happened at the door of a show: crowd or attack, what was done about it, and whether the audio was whole.

    Made from the show's ledger and its recording; the show may still be running.
    """
    if as_json and as_html:
        fail("either --json or --html", Exit.USAGE)
    from stentor.nodes import after_action as after

    form = after.as_json if as_json else after.as_page if as_html else after.as_text
    try:
        text = form(after.make(load_settings().data_dir, show))
        out.write_text(text, encoding="utf-8") if out else typer.echo(text, nl=False)
    except after.NoReport as error:
        fail(str(error), Exit.NOT_FINE)
    except OSError as error:
        fail(f"{error.filename or show}: {error.strerror or error}", Exit.CANNOT_START)
