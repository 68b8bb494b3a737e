"""`stentor`: one command for everything."""

from __future__ import annotations

import typer

from stentor.commands import check, demo, media, report, roles, show

app = typer.Typer(
    name="stentor",
    help="Live audio that starts on time, whatever the crowd, whatever the attack.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables: tokens among them
)
app.add_typer(demo.app)
app.add_typer(show.app, name="show", help="Announce shows and steer them.")
app.add_typer(media.app)
app.add_typer(report.app)
app.add_typer(check.app)
app.add_typer(roles.app)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
