"""`stentor show`: announce shows and steer them, through the desk of this machine."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from stentor.commands import Exit, Json, fail, load_settings, print_json, seconds, shown

if TYPE_CHECKING:
    from stentor.clients.admin import Admin
    from stentor.formats.crew import CrewWish

app = typer.Typer(no_args_is_help=True)
T = TypeVar("T", bound=msgspec.Struct)

Show = Annotated[str, typer.Argument(metavar="SHOW", help="The show's id, as `stentor show list` has it.")]
RUNGS = {"auto": -1, "full": 0, "pairs": 1, "fours": 2, "low-new": 3, "low": 4}
CLASSES = "crew, reconnect, invited, drawn, late"
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


@app.command(
    epilog="Examples: stentor show create 'The interview' --at 2026-12-24T20:00+01:00 --guest Ben --guest Cleo;  "
    "stentor show create 'The final' --in 2h --opens 45m --draw 15m --lasts 2h --beacon 'drand round 4242'"
)
def create(
    title: Annotated[str, typer.Argument(help="What listeners will read.")],
    at: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M"])] = None,
    in_s: Annotated[float | None, typer.Option("--in", parser=seconds, metavar="DURATION", help="Such as 10m.")] = None,
    guest: Annotated[list[str], typer.Option(help="A guest's name; may be given again.")] = [],  # noqa: B006
    host: Annotated[str, typer.Option(help="The host's name.")] = "Host",
    on_air: Annotated[list[str], typer.Option(help="Who is on air from the start; may be given again.")] = [],  # noqa: B006
    chunk_ms: Annotated[int, typer.Option(help="500, or 250 for less delay at twice the cost.")] = 500,
    opens: Annotated[
        float | None, typer.Option(parser=seconds, metavar="DURATION", help="Doors open so long before the start.")
    ] = None,
    draw: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="DURATION", help="Who is there so long before the start is drawn by lot."),
    ] = None,
    lasts: Annotated[
        float | None, typer.Option(parser=seconds, metavar="DURATION", help="How long it is planned to last.")
    ] = None,
    beacon: Annotated[
        str, typer.Option(metavar="NAME", help="The public random value that the draw will take up.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Announce a show, at a time or in a while. Its links are shown once; they are not kept."""
    from stentor.formats.crew import NewShow

    if (at is None) == (in_s is None):
        fail("say when: either --at or --in", Exit.USAGE)
    starts_at_ms = None if at is None else round(at.timestamp() * 1000)
    order = NewShow(
        title,
        starts_at_ms,
        in_s,
        tuple(guest),
        host,
        chunk_ms,
        tuple(on_air),
        open_before_s=opens,
        draw_before_s=draw,
        lasts_s=lasts,
        beacon_name=beacon,
    )
    made = _ask(lambda desk: desk.create(order))
    _answer(made, shown.links(made), as_json=as_json)


@app.command("list", epilog="Example: stentor show list --json")
def list_(as_json: Json = False) -> None:
    """All shows, newest first."""
    found = _ask(lambda desk: desk.shows())
    text = "\n".join(map(shown.line_of, found.shows)) or "no shows yet; `stentor show create` makes one"
    _answer(found, text, as_json=as_json)


@app.command(epilog="Example: stentor show info friday-x3k9")
def info(show: Show, as_json: Json = False) -> None:
    """One show: its state, its people, the door and the line, what was done to it."""
    found = _ask(lambda desk: desk.show(show))
    _answer(found, shown.info_of(found), as_json=as_json)


@app.command(epilog="Example: stentor show shield friday-x3k9 --json")
def shield(show: Show, as_json: Json = False) -> None:
    """Crowd or attack: the verdict, what it rests on, and every rule with whom it is against, why and until when."""
    found = _ask(lambda desk: desk.shield(show))
    _answer(found, shown.shield_of(found), as_json=as_json)


@app.command(
    epilog="Examples: stentor show release friday-x3k9 203.0.113.7/32;  stentor show release friday-x3k9 --clear"
)
def release(
    show: Show,
    target: Annotated[str, typer.Argument(help="As `stentor show shield` has it: 203.0.113.7/32.")] = "",
    clear: Annotated[
        bool, typer.Option("--clear", help="Let rules be made again against all who were released.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Lift the rule against somebody, and make none against them again for the rest of the show."""
    if not (target or clear):
        fail("say whom, or --clear", Exit.USAGE)
    done = _ask(lambda desk: desk.release(show, target, clear=clear))
    _answer(done, f"{show}: released {target}" if target else f"{show}: nobody is released any more", as_json=as_json)


Switch = Annotated[str, typer.Argument(metavar="on|off", help="Whether it is to be so.")]


def _is_on(text: str) -> bool:
    if text not in ("on", "off"):
        fail(f"{text!r} is neither on nor off", Exit.USAGE)
    return text == "on"


@app.command(name="dry-run", epilog="Example: stentor show dry-run friday-x3k9 on")
def dry_run(show: Show, switch: Switch = "on", as_json: Json = False) -> None:
    """Make rules against an attack and write them down, but enforce none."""
    on = _is_on(switch)
    done = _ask(lambda desk: desk.dry_run(show, on))
    _answer(done, f"{show}: rules are {'written down only' if on else 'enforced'}", as_json=as_json)


@app.command(epilog="Example: stentor show siege friday-x3k9 off")
def siege(show: Show, switch: Switch = "on", as_json: Json = False) -> None:
    """Let in only who has a ticket or a place; listeners go on."""
    on = _is_on(switch)
    done = _ask(lambda desk: desk.siege(show, on))
    _answer(done, f"{show}: {'tickets and places only' if on else 'everybody may come'}", as_json=as_json)


@app.command(epilog="Example: stentor show blocklist --format nft > shut-out.nft")
def blocklist(
    form: Annotated[str, typer.Option("--format", help="cidr, nft or haproxy.")] = "cidr",
) -> None:
    """Everybody who is shut out at the moment, as a list for a provider, a firewall or a proxy elsewhere."""
    from stentor.formats import blocklist as lists
    from stentor.nodes.guard import shut_out

    if form not in lists.FORMATS:
        fail(f"there is no format {form!r}; {', '.join(lists.FORMATS)}", Exit.USAGE)
    typer.echo(lists.FORMATS[form](shut_out(load_settings())), nl=False)


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
    """Admit no more listeners than this. Nobody who listens is cut off; others come in as those leave."""
    done = _ask(lambda desk: desk.cap(show, listeners))
    _answer(done, f"{show}: at most {listeners or 'as many listeners as the machine carries'}", as_json=as_json)


@app.command(epilog="Example: stentor show close friday-x3k9")
def close(show: Show, as_json: Json = False) -> None:
    """Let nobody new in. Who listens goes on, who is in line keeps their place."""
    done = _ask(lambda desk: desk.door(show, closed=True))
    _answer(done, f"{show}: the door is closed", as_json=as_json)


@app.command(epilog="Example: stentor show reopen friday-x3k9")
def reopen(show: Show, as_json: Json = False) -> None:
    """Let people in again, in the order in which they stood."""
    done = _ask(lambda desk: desk.door(show, closed=False))
    _answer(done, f"{show}: the door is open", as_json=as_json)


@app.command(epilog="Examples: stentor show rung friday-x3k9 pairs;  stentor show rung friday-x3k9 auto")
def rung(
    show: Show,
    step: Annotated[str, typer.Argument(help=f"{', '.join(RUNGS)}, or 0 to 4.")],
    as_json: Json = False,
) -> None:
    """Give up at least so much quality for more listeners; auto leaves it to what the machine measures.

    pairs and fours: sound comes so many pieces at a time, a little later. low-new, low: the low bitrate too, for new
    listeners or for everybody.
    """
    chosen = RUNGS.get(step, int(step) if step in ("0", "1", "2", "3", "4") else None)
    if chosen is None:
        fail(f"there is no step {step!r}; {', '.join(RUNGS)}, or 0 to 4", Exit.USAGE)
    done = _ask(lambda desk: desk.rung(show, chosen))
    _answer(done, f"{show}: ladder {step}", as_json=as_json)


@app.command(epilog="Example: stentor show beacon friday-x3k9 5ae7c8b1d0")
def beacon(
    show: Show,
    value: Annotated[str, typer.Argument(help="What the beacon that was named turned out to be.")],
    as_json: Json = False,
) -> None:
    """Give the draw its public random value: once, after it is known and before the draw is made."""
    done = _ask(lambda desk: desk.beacon(show, value))
    _answer(done, f"{show}: the draw takes up {value}", as_json=as_json)


@app.command(
    epilog="Examples: stentor show revoke friday-x3k9 --seq 100-200 --seq 7;  "
    "stentor show revoke friday-x3k9 --class late;  stentor show revoke friday-x3k9 --clear"
)
def revoke(
    show: Show,
    key: Annotated[list[int], typer.Option(help="Id of the key that signed them; may be given again.")] = [],  # noqa: B006
    cls: Annotated[list[str], typer.Option("--class", help=f"All of a class: {CLASSES}.")] = [],  # noqa: B006
    seq: Annotated[list[str], typer.Option(metavar="N[-N]", help="Their numbers; may be given again.")] = [],  # noqa: B006
    clear: Annotated[bool, typer.Option("--clear", help="Make good again what was void before.")] = False,
    as_json: Json = False,
) -> None:
    """Make tickets and places void. Whoever listens by one of them is cut off within a second."""
    from stentor.formats.crew import RevokeOrder

    if not (key or cls or seq or clear):
        fail("say which: --key, --class, --seq or --clear", Exit.USAGE)
    fields = {"keys": key, "classes": cls, "seqs": [_range(text) for text in seq], "clear": clear}
    try:
        order = msgspec.convert(fields, RevokeOrder)
    except msgspec.ValidationError:
        fail(f"there is no such class; {CLASSES}", Exit.USAGE)
    done = _ask(lambda desk: desk.revoke(show, order))
    _answer(done, f"{show}: {'cleared' if clear else 'revoked'}", as_json=as_json)


def _range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", text)
    if match is None:
        fail(f"{text!r} is not a number such as 17, nor a range such as 100-200", Exit.USAGE)
    return int(match[1]), int(match[2] or match[1])
