"""`serve` and the roles one by one. A role's module is imported when it is run: one that is broken breaks no other, and
no other command waits for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from stentor.commands import load_settings

if TYPE_CHECKING:
    import structlog

app = typer.Typer()

Worker = Annotated[int, typer.Option(min=0, help="Number of this worker; every worker of a role has its own.")]


class _Forgiving:
    """A stream whose reader may go away: a role that outlives its terminal must not die of a log line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _import_structlog() -> None:
    """Without its tracebacks for terminals, which need rich: to import that takes as long as most roles do to start."""
    sys.modules["rich"] = None  # type: ignore[assignment]  # the import system's way to say: not here
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]


def _log_as(role: str) -> None:
    """JSON lines on stderr, each with the role that wrote it. Before the role is imported, which brings structlog."""
    _import_structlog()
    import structlog

    sys.stdout, sys.stderr = _Forgiving(sys.stdout), _Forgiving(sys.stderr)

    def add_role(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"role": role, **event}

    structlog.configure(
        processors=[
            add_role,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


@app.command(epilog="Example: STENTOR_BIND=0.0.0.0 stentor serve")
def serve() -> None:
    """Start all roles of this machine and watch them. Ctrl-C ends them all."""
    _log_as("serve")
    from stentor.nodes import serve

    raise typer.Exit(serve.main(load_settings()))


@app.command(epilog="Example: stentor studio", rich_help_panel="One role")
def studio() -> None:
    """Speakers, mix, encoders, ring and tape."""
    _log_as("studio")
    from stentor.nodes import studio

    raise typer.Exit(studio.main(load_settings()))


@app.command(epilog="Example: stentor desk", rich_help_panel="One role")
def desk() -> None:
    """Crew and speaker pages, and the API behind `stentor show`."""
    _log_as("desk")
    from stentor.nodes import desk

    raise typer.Exit(desk.main(load_settings()))


@app.command(epilog="Example: stentor usher", rich_help_panel="One role")
def usher() -> None:
    """The `now` object, and hold where the stage is late."""
    _log_as("usher")
    from stentor.nodes import usher

    raise typer.Exit(usher.main(load_settings()))


@app.command(epilog="Example: stentor archive", rich_help_panel="One role")
def archive() -> None:
    """Rewind and replay."""
    _log_as("archive")
    from stentor.nodes import archive

    raise typer.Exit(archive.main(load_settings()))


@app.command(epilog="Example: stentor door --worker 1", rich_help_panel="One role")
def door(worker: Worker = 0) -> None:
    """Listener pages, the `now` object, tickets."""
    _log_as(f"door-{worker}")
    from stentor.nodes import door

    raise typer.Exit(door.main(load_settings(), worker))


@app.command(epilog="Example: stentor edge --worker 1", rich_help_panel="One role")
def edge(worker: Worker = 0) -> None:
    """Streams to listeners."""
    _log_as(f"edge-{worker}")
    from stentor.nodes import edge

    raise typer.Exit(edge.main(load_settings(), worker))
