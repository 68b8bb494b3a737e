"""`stentor check`: is this machine ready for a show?"""

from __future__ import annotations

import typer

from stentor.commands import Exit, Json, load_settings, print_json

app = typer.Typer()


@app.command(epilog="Example: STENTOR_BIND=0.0.0.0 stentor check")
def check(json: Json = False) -> None:
    """Whether this machine is ready for a show with these settings, and what mends it where it is not.

    Exit code 1 if something is bad; warnings alone are no reason not to go on air.
    """
    from stentor.nodes.readiness import Level, examine

    found = examine(load_settings())
    if json:
        print_json([finding._asdict() for finding in found])
    else:
        for what, level, text, mend in found:
            typer.echo(f"{level.value:4}  {what:<11}  {text}" + (f"\n{'':19}-> {mend}" if mend else ""))
    raise typer.Exit(Exit.NOT_FINE if any(finding.level is Level.BAD for finding in found) else Exit.OK)
