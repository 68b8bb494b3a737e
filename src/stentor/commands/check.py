"""`stentor check`: is this machine ready for a show?"""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from stentor.commands import Exit, Json, load_settings, print_json

app = typer.Typer()


@app.command(epilog="Example: STENTOR_BIND=0.0.0.0 stentor check")
def check(
    speaker: Annotated[
        str,
        typer.Option(metavar="LINK", help="A guest's link: could they speak from here? Takes the seat for that while."),
    ] = "",
    json: Json = False,
) -> None:
    """Whether this machine is ready for a show with these settings, and what mends it where it is not.

    Exit code 1 if something is bad; warnings alone are no reason not to go on air.
    """
    from stentor.nodes.readiness import Level, examine

    if speaker:
        _check_speaker(speaker, json)
    found = examine(load_settings())
    if json:
        print_json([finding._asdict() for finding in found])
    else:
        for what, level, text, mend in found:
            typer.echo(f"{level.value:4}  {what:<11}  {text}" + (f"\n{'':19}-> {mend}" if mend else ""))
    raise typer.Exit(Exit.NOT_FINE if any(finding.level is Level.BAD for finding in found) else Exit.OK)


def _check_speaker(link: str, json: bool) -> NoReturn:
    import asyncio

    from stentor.clients.reach import Level, examine

    found = asyncio.run(examine(link))
    if json:
        print_json([finding._asdict() for finding in found])
    else:
        for what, level, text in found:
            typer.echo(f"{level.value:4}  {what:<11}  {text}")
    raise typer.Exit(Exit.NOT_FINE if any(finding.level is Level.BAD for finding in found) else Exit.OK)
