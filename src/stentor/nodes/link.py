"""What the stage asks of a speaker's connection, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from stentor.core.mix import Samples

Keep = Callable[[bytes, int], None]
"""Takes an Opus packet that goes into the program, and how many samples after the start of the tick it begins."""


class Health(NamedTuple):
    """Of what arrives, since the connection began; `received`, `lost`, `concealed` in packets or frames."""

    received: int = 0
    lost: int = 0
    concealed: int = 0
    jitter_ms: int = 0


class Link(Protocol):
    """One connection. Times are monotonic seconds."""

    connect_s: float
    """Without any audio for so long from the beginning, it is given up."""
    silence_s: float
    """Without any more audio for so long, too."""

    @property
    def heard_at(self) -> float | None:
        """When audio came last."""

    @property
    def gone(self) -> str:
        """Why it is of no more use; empty while it is."""

    def frame(self, now: float, keep: Keep | None) -> Samples | None:
        """The speaker's next 960 samples; None: silence. `keep` is given while they are in the program."""

    def feed(self, samples: Samples, *, report: bool) -> None:
        """Send the speaker what they are to hear, and with `report` how well they are received."""

    def health(self) -> Health:
        """For the board."""

    async def close(self) -> None:
        """End it. Never raises."""
