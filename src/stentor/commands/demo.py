"""`stentor demo`: a whole show on this machine, and what can be said of it afterwards."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stentor.commands import Exit, For, Json, fail, load_settings, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from stentor.clients.demo import Demo

app = typer.Typer()

FOR_S = 60.0  # where there is no terminal on which Ctrl-C could be pressed


@app.command(epilog="Example: stentor demo --for 20s --kill")
def demo(
    for_s: For = None,
    kill: Annotated[bool, typer.Option("--kill", help="kill -9 the studio in the middle of the show.")] = False,
    as_json: Json = False,
) -> None:
    """A show at its minute: two voices, a listener, the replay, the proof. Until Ctrl-C, or 60 s without a terminal."""
    from rich.console import Console

    from stentor.clients.demo import Demo

    if for_s is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        for_s = FOR_S
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    with console.status("starting all roles") as status:
        show = Demo(load_settings(), for_s, kill, tell=console.print, on_progress=status.update)
        summary = _run(show)
    print_json(summary) if as_json else _print(console, summary)
    raise typer.Exit(Exit.OK if summary["fine"] else Exit.NOT_FINE)


def _run(show: Demo) -> dict[str, Any]:
    """To the summary, or out with the reason. The first SIGINT or SIGTERM ends the show, a second one everything."""
    import asyncio

    from stentor.clients.demo import EXPECTED
    from stentor.clients.installation import NotUp
    from stentor.clients.speech import NoVoice

    async def run() -> dict[str, Any]:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def stop_once(number: signal.Signals) -> None:
            stop.set()
            loop.remove_signal_handler(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop_once, number)
        return await show.run(stop)

    try:
        return asyncio.run(run())
    except NoVoice as error:
        fail(str(error), Exit.USAGE)
    except NotUp as error:
        fail(str(error), Exit.CANNOT_START)
    except EXPECTED as error:
        fail(str(error) or type(error).__name__, Exit.NOT_FINE)


def _print(console: Console, summary: dict[str, Any]) -> None:
    heard, tape, replay = summary["heard"], summary["tape"], summary["replay"]
    late = heard["late_ms"]
    taped = summary["heard_on_tape"]
    same = taped - len(summary["heard_differently"])
    rows = {
        "on air": f"{summary['on_air_late_ms']:+d} ms from the promised instant",
        "heard": f"{heard['chunks']} chunks, {heard['missing']} missing, {heard['reconnects']} reconnects",
        "late": f"p50 {late['p50']} ms, p99 {late['p99']} ms, worst {late['max']} ms after the chunk was due",
        "hold": tape["facts"].get("hold", "unknown") + ("" if summary["voiced"] else ": no speaker was heard"),
        "tape": "verified" if tape["verified"] else f"NOT verified: {'; '.join(tape['problems'])}",
        "same bytes": f"{same} of {taped} chunks that were heard are those on the tape",
        "replay": f"up {replay['after_ms']} ms after the last chunk, {replay['bytes']} bytes: {replay['url']}",
    }
    for name, text in rows.items():
        console.print(f"{name:11}{text}")
    console.print("[bold green]all is well[/]" if summary["fine"] else "[bold red]not all is well[/]")
