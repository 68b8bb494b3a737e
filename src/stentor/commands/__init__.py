"""The commands of `stentor`: arguments to calls, results to text or JSON, and exit codes."""

from __future__ import annotations

import json
import re
from enum import IntEnum
from typing import Annotated, Any, NoReturn

import typer

from stentor import settings
from stentor.settings import Settings


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    NOT_FINE = 1  # the thing that was asked about is not fine
    USAGE = 2
    CANNOT_START = 3  # a port is taken, or the system is not running


Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNIT_S = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """`90`, `500ms`, `5s`, `2m`, `1h` in seconds; raises `typer.BadParameter` for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a duration such as 500ms, 20s, 5m or 1h")
    return float(match[1]) * _UNIT_S[match[2]]


For = Annotated[float | None, typer.Option("--for", parser=seconds, metavar="DURATION", help="How long, such as 20s.")]


def fail(reason: str, code: Exit) -> NoReturn:
    """One line on stderr, and out."""
    typer.echo(f"stentor: {reason}", err=True)
    raise typer.Exit(code)


def load_settings() -> Settings:
    """The settings of this environment, or out with the reason."""
    try:
        return settings.load()
    except settings.SettingError as error:
        fail(str(error), Exit.USAGE)


def print_json(value: dict[str, Any] | list[Any]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
