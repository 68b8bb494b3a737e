"""`listen`, `speak`, `verify`: the commands that handle audio."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stentor.commands import Exit, For, Json, fail, print_json

if TYPE_CHECKING:
    from stentor.clients.listen import Listener

app = typer.Typer()


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
    if listener.problem and listener.heard is None and not as_json:
        fail(listener.problem, Exit.NOT_FINE)
    report = listener.report()
    print_json(report) if as_json else _print_report(report)
    raise typer.Exit(Exit.OK if listener.fine else Exit.NOT_FINE)


@app.command(epilog="Example: stentor speak 'http://127.0.0.1:8002/crew/speak#TOKEN' talk.flac --loop")
def speak(
    link: Annotated[str, typer.Argument(help="A speaker's link, or a WHIP address with --token.")],
    source: Annotated[str, typer.Argument(help="A sound file, - for 16-bit mono at 48 kHz on stdin, or timecode.")],
    for_s: For = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin the file again at its end.")] = False,
    token: Annotated[str, typer.Option(help="Where the link has none after its #.")] = "",
) -> None:
    """Speak into a show without a browser. Prints a summary in JSON at the end."""
    from stentor.clients import speak

    raise typer.Exit(speak.run(link, token, source, seconds=for_s, loop=loop))


@app.command(epilog="Example: stentor verify var/shows/friday-x3k9/tape --head 840:5f3c… --key newsroom.key")
def verify(
    path: Annotated[Path | None, typer.Argument(help="A tape's directory, or a file of the replay.")] = None,
    head: Annotated[str | None, typer.Option(metavar="N:HEX", help="A chain head noted during the show.")] = None,
    proof: Annotated[Path | None, typer.Option(help="The proof of a file, as the archive gives it.")] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="HEX|FILE", help="The public key that must have signed; else the tape's own is believed."),
    ] = None,
    allow_unfinished: Annotated[
        bool, typer.Option("--allow-unfinished", help="A tape without an end is fine.")
    ] = False,
    draw: Annotated[
        str,
        typer.Option(metavar="URL|DIR", help="Check a draw: a show's page, or a directory with its now and places."),
    ] = "",
    commit: Annotated[
        str, typer.Option(metavar="HEX", help="What was published before the draw, as you noted it.")
    ] = "",
    place: Annotated[str, typer.Option(metavar="TOKEN", help="A place that must be in the draw.")] = "",
    as_json: Json = False,
) -> None:
    """Whether a recording, or a draw, is what was published. Exit code 1 if not, 2 if there is nothing to check."""
    if draw and path is None:
        from stentor.nodes import verify_draw

        raise typer.Exit(verify_draw.main(draw, json=as_json, key=key, commit=commit, place=place))
    if draw or path is None:
        fail("give a recording, or --draw with a show's page", Exit.USAGE)
    if commit or place:
        fail("--commit and --place go with --draw", Exit.USAGE)
    from stentor.nodes import verify

    code = verify.main(path, json=as_json, head=head, proof=proof, key=key, allow_unfinished=allow_unfinished)
    raise typer.Exit(code)


def _run(listener: Listener, for_s: float | None, *, quiet: bool) -> None:
    """Until the show ends, `for_s` is over, or Ctrl-C; a line on a terminal tells how it goes."""
    import asyncio

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
