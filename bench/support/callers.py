"""The driver's side of callers.c."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stentor.formats import chunks
from stentor.model.rendition import OPUS
from stentor.settings import Settings
from support.crowd import PLAIN, TLS, Commanded
from support.processes import CROWD_CORE, Cores, compiled, running

HEARD_BYTES = len(chunks.header(OPUS)) + 2_000  # of the body: no chunk of half a second is smaller
PLACE, JOIN, LIVE = "place", "join", "live"


class Errand(NamedTuple):
    """What a caller asks for, `in_s` from now, with a place or ticket or "". Who does not stay tries once, and leaves
    once it hears."""

    in_s: float
    step: str
    token: str = ""
    stays: bool = True

    def line(self) -> str:
        return f"{self.in_s * 1000:.3f} {self.step} {self.stays:d} {self.token or '-'}"


class Callers(Commanded):
    """Listeners of one process, who come, wait and come back by themselves."""

    def __init__(self, process: subprocess.Popen[bytes], scratch: Path) -> None:
        super().__init__(process)
        self._scratch = scratch

    def call(self, errands: Iterable[Errand]) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self._scratch, delete=False) as made:
            made.writelines(errand.line() + "\n" for errand in errands)
        self._ask(f"call {made.name}")

    def mark(self, rank: int, within_s: float) -> int:
        """Whose rank is not above it sees within so long that it is their turn; -> how many."""
        return int(self._ask(f"mark {rank} {within_s * 1000:.0f}")["turns"])

    def clear(self) -> None:
        """Forget waits and failures so far."""
        self._ask("clear")

    def look(self) -> dict[str, Any]:
        """Where everybody is, how long they waited, and what failed."""
        return self._ask("look")


@contextlib.contextmanager
def callers(settings: Settings, show: str, scratch: Path, cores: Cores = CROWD_CORE) -> Iterator[Callers]:
    """A process of callers for an installation on 127.0.0.1, with nobody in it yet."""
    wire = TLS if settings.tls_chain else PLAIN
    program = compiled("callers.c", "-lssl", "-lcrypto")
    argv = [program, settings.door_port, settings.edge_port, show, wire, HEARD_BYTES]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with running(argv, cores, sys.stderr.fileno(), **pipes) as process:
        yield Callers(process, scratch)


def reached(shares: dict[str, float], passed_s: float, now: int, of: int) -> None:
    """Note in `shares` (percent -> s) which shares of all there are by now for the first time."""
    for percent in ("50", "90", "95", "99", "100"):
        if percent not in shares and now * 100 >= of * int(percent):
            shares[percent] = round(passed_s, 2)


def brief(seen: dict[str, Any]) -> dict[str, Any]:
    """What there is to tell of a look."""
    return {name: value for name, value in seen.items() if value}
