"""`stentor show`: announce shows and steer them, through the desk of this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from stentor.commands import Exit, Json, fail, load_settings, print_json, seconds

if TYPE_CHECKING:
    from stentor.clients.admin import Admin
    from stentor.formats.crew import CrewWish, ShowMade, ShowView

app = typer.Typer(no_args_is_help=True)
T = TypeVar("T", bound=msgspec.Struct)

Show = Annotated[str, typer.Argument(metavar="SHOW", help="The show's id, as `stentor show list` has it.")]
Reason = Annotated[str, typer.Option(help="Why, in words that everybody will read.")]


def _ask(call: Callable[[Admin], Awaitable[T]]) -> T:
    """One request to the desk, or out with the reason."""
    import asyncio

    from stentor.clients.admin import Admin, DeskRefused, DeskUnreachable

    async def ask() -> T:
        async with Admin(load_settings().desk_socket) as desk:
            return await call(desk)

    try:
        return asyncio.run(ask())
    except DeskRefused as error:
        fail(f"{error} ({error.code})", Exit.NOT_FINE)
    except DeskUnreachable as error:
        fail(str(error), Exit.CANNOT_START)


def _answer(value: msgspec.Struct, text: str, *, as_json: bool) -> None:
    print_json(msgspec.to_builtins(value)) if as_json else typer.echo(text)


@app.command(epilog="Example: stentor show create 'The interview' --at 2026-12-24T20:00+01:00 --guest Ben --guest Cleo")
def create(
    title: Annotated[str, typer.Argument(help="What listeners will read.")],
    at: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M"])] = None,
    in_s: Annotated[float | None, typer.Option("--in", parser=seconds, metavar="DURATION", help="Such as 10m.")] = None,
    guest: Annotated[list[str], typer.Option(help="A guest's name; may be given again.")] = [],  # noqa: B006
    host: Annotated[str, typer.Option(help="The host's name.")] = "Host",
    on_air: Annotated[list[str], typer.Option(help="Who is on air from the start; may be given again.")] = [],  # noqa: B006
    chunk_ms: Annotated[int, typer.Option(help="500, or 250 for less delay at twice the cost.")] = 500,
    as_json: Json = False,
) -> None:
    """Announce a show, at a time or in a while. Its links are shown once; they are not kept."""
    from stentor.formats.crew import NewShow

    if (at is None) == (in_s is None):
        fail("say when: either --at or --in", Exit.USAGE)
    starts_at_ms = None if at is None else round(at.timestamp() * 1000)
    order = NewShow(title, starts_at_ms, in_s, tuple(guest), host, chunk_ms, tuple(on_air))
    made = _ask(lambda desk: desk.create(order))
    _answer(made, _links(made), as_json=as_json)


def _links(made: ShowMade) -> str:
    rows = [("show", made.show), ("starts", _local(made.starts_at_ms)), ("listeners", made.listener_link)]
    rows += [("crew", made.crew_link), *((f"guest {name}", link) for name, link in made.guest_links.items())]
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in rows)


def _local(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000).astimezone().isoformat(" ", "seconds")


def _line(show: ShowView) -> str:
    seats = ", ".join(f"{seat.name}{' (on air)' if seat.on_air else ''}" for seat in show.seats if not seat.removed)
    return f"{show.id:34}{show.phase:11}{_local(show.starts_at_ms):27}{show.title}: {seats}"


@app.command("list", epilog="Example: stentor show list --json")
def list_(as_json: Json = False) -> None:
    """All shows, newest first."""
    found = _ask(lambda desk: desk.shows())
    text = "\n".join(map(_line, found.shows)) or "no shows yet; `stentor show create` makes one"
    _answer(found, text, as_json=as_json)


@app.command(epilog="Example: stentor show info friday-x3k9")
def info(show: Show, as_json: Json = False) -> None:
    """One show: its state, its people, what was done to it."""
    found = _ask(lambda desk: desk.show(show))
    done = [f"{_local(action.at_ms)}  {action.token}: {action.what}" for action in found.actions]
    _answer(found, "\n".join([_line(found.show), found.listener_link, *done]), as_json=as_json)


def _wish(show: str, wish: CrewWish, reason: str, *, as_json: bool) -> None:
    done = _ask(lambda desk: desk.wish(show, wish, reason))
    _answer(done, f"{show}: {wish}", as_json=as_json)


@app.command(epilog="Example: stentor show hold friday-x3k9 --reason 'The guest is on the way'")
def hold(show: Show, reason: Reason = "", as_json: Json = False) -> None:
    """Do not begin at the promised minute. Listeners hear hold and read the reason."""
    _wish(show, "hold", reason, as_json=as_json)


@app.command(epilog="Example: stentor show go friday-x3k9")
def go(show: Show, reason: Reason = "", as_json: Json = False) -> None:
    """Begin now."""
    _wish(show, "go", reason, as_json=as_json)


@app.command(epilog="Example: stentor show end friday-x3k9")
def end(show: Show, reason: Reason = "", as_json: Json = False) -> None:
    """End it. The replay is up at once."""
    _wish(show, "end", reason, as_json=as_json)


@app.command(epilog="Example: stentor show cancel friday-x3k9 --reason 'The guest is ill'")
def cancel(show: Show, reason: Reason = "", as_json: Json = False) -> None:
    """Call a show off that has not begun."""
    _wish(show, "cancel", reason, as_json=as_json)


@app.command(epilog="Example: stentor show notice friday-x3k9 'We begin five minutes late'")
def notice(
    show: Show, text: Annotated[str, typer.Argument(help="Empty takes it away.")], as_json: Json = False
) -> None:
    """Post a notice to everyone waiting and listening."""
    done = _ask(lambda desk: desk.notice(show, text))
    _answer(done, f"{show}: notice posted" if text else f"{show}: notice taken away", as_json=as_json)


@app.command(epilog="Example: stentor show cap friday-x3k9 5000")
def cap(
    show: Show,
    listeners: Annotated[int, typer.Argument(min=0, help="0: what the machine carries.")],
    as_json: Json = False,
) -> None:
    """Admit no more listeners than this."""
    done = _ask(lambda desk: desk.cap(show, listeners))
    _answer(done, f"{show}: at most {listeners or 'as many listeners as the machine carries'}", as_json=as_json)
