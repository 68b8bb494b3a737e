"""A show on air with real speakers and stock players, and the comparison of what was heard with what was taped."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from stentor.clients.admin import Admin
from stentor.core.tape import TapeReader
from stentor.formats import challenge, chunks
from stentor.formats.crew import NewShow, ShowMade
from stentor.io import disk, keys
from stentor.io.board import Board
from stentor.io.ring import Ring
from stentor.model import board
from stentor.model.rendition import BY_NAME, OPUS
from support.running import WITHIN_S, Running, until

T = TypeVar("T")


class OnAir:
    """A show of `running` with its host on air from the start. Ends every process that it started."""

    def __init__(
        self,
        running: Running,
        stack: ExitStack,
        tmp: Path,
        *,
        starts_in_s: float = 5.0,
        environ: dict[str, str] | None = None,
        **fields: Any,
    ) -> None:
        """`fields` are more of `NewShow`'s."""
        self._environ = running.environ if environ is None else environ
        self.running, self._stack, self._tmp = running, stack, tmp
        self._players: list[subprocess.Popen[bytes]] = []
        people = {"guests": ("Guest",), "on_air": ("Host", "Guest")}
        order = NewShow("An evening's talk", starts_in_s=starts_in_s, **people, **fields)
        self.made: ShowMade = self.ask(lambda admin: admin.create(order))
        self._board = Board(running.settings.board_dir)
        until(lambda: self.stage().show == self.made.show and self.stage().n > 1, "the show is on stage")
        until(lambda: self.edge().chunks, "the edge follows the ring")

    def ask(self, call: Callable[[Admin], Awaitable[T]]) -> T:
        async def run() -> T:
            async with Admin(self.running.settings.desk_socket) as admin:
                return await call(admin)

        return asyncio.run(run())

    def stage(self) -> board.Stage:
        return self._board.get("stage", board.Stage) or board.Stage(0)

    def edge(self) -> board.Edge:
        return self._board.get("edge-0", board.Edge) or board.Edge(0)

    def board_keys(self, prefix: str) -> list[str]:
        return self._board.keys(prefix)

    def spawn(self, *argv: str, output: Path | None = None) -> subprocess.Popen[bytes]:
        out = subprocess.DEVNULL if output is None else self._stack.enter_context(output.open("wb"))
        process = subprocess.Popen(argv, env=self._environ, stdin=subprocess.DEVNULL, stdout=out)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def play(self, *argv: str, output: Path | None = None) -> subprocess.Popen[bytes]:
        """A player that ends by itself when the show does."""
        self._players.append(self.spawn(*argv, output=output))
        return self._players[-1]

    def hear(self, rendition: str, output: Path) -> subprocess.Popen[bytes]:
        """The bytes of a mount as curl gets them."""
        return self.play("curl", "-sN", self.mount(rendition), output=output)

    def speak(self, link: str, *source: str) -> subprocess.Popen[bytes]:
        """`stentor speak`, in a process of its own; returns when the stage has the voice."""
        before = len(self.stage().speakers)
        process = self.spawn(*self.running.command("speak", link, *(source or ("timecode",))))
        until(lambda: len(self.stage().speakers) > before, "the speaker is on the stage")
        return process

    def mount(self, rendition: str) -> str:
        """The address of a mount, with a ticket from the door."""
        given: dict[str, Any] = {}

        def has_ticket() -> bool:
            """Who comes right behind others may have to wait for the usher to see that there are seats, and whom a busy
            door puts off comes again."""
            query = f"place={given.get('place', '')}&{given.pop('solved', '')}"
            url = self.running.url("door", f"/s/{self.made.show}/join?{query}")
            argv = ["curl", "-s", "-X", "POST", url]
            answer = subprocess.run(argv, env=self.running.environ, capture_output=True, check=False)
            given.update(json.loads(answer.stdout) if answer.stdout.startswith(b"{") else {})
            if "challenge" in given:  # of who are many behind one address, as all are here
                given["solved"] = challenge.solve(given)
                del given["challenge"]
            return "ticket" in given

        until(has_ticket, "the door gives a ticket")
        return self.running.url("edge", f"/live/{given['ticket']}/{rendition}")

    def heard_at_least(self, path: Path, size: int) -> None:
        until(lambda: path.exists() and path.stat().st_size >= size, f"{path.name} has {size} bytes")

    def airs(self, chunks: int) -> None:
        """Wait until so many more chunks were aired."""
        first = self.stage().n
        until(lambda: self.stage().n >= first + chunks, f"{chunks} chunks more are aired")

    def records(self, chunks: int) -> None:
        """Wait until the show has been live for so many chunks."""

        def recorded() -> bool:
            stage = self.stage()
            return bool(stage.live_n) and stage.n >= stage.live_n + chunks

        until(recorded, f"{chunks} chunks are recorded")

    def airs_a_voice(self, within_s: float = WITHIN_S) -> None:
        """Wait until a chunk with a voice in it is aired, later than all that there are now."""
        with closing(Ring(Path(self.stage().ring))) as ring:
            first = ring.head(OPUS.id) + 1

            def voiced() -> bool:
                newer = (ring.get(OPUS.id, n) for n in range(first, ring.head(OPUS.id) + 1))
                return any(chunk is not None and not chunk.hold for chunk in newer)

            until(voiced, "a voice is aired", within_s)

    def end(self) -> None:
        """End the show, once it is live, and wait until its tape is sealed and every player has heard the end."""
        until(lambda: self.stage().live_n, "the show is live")
        self.ask(lambda admin: admin.wish(self.made.show, "end"))
        try:
            until(lambda: self.stage().phase is board.Phase.ENDED, "the tape is sealed")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.stage()}\n{self.running.log.read_text()[-4000:]}") from None
        for player in self._players:
            player.wait(WITHIN_S)

    @property
    def tape(self) -> Path:
        return self.running.settings.data_dir / "shows" / self.made.show / "tape"

    def taped(self) -> Taped:
        return Taped(self.tape)

    def assert_heard_is_taped(self, raw: dict[str, Path]) -> None:
        """To the last chunk, every byte heard since the recording began is on the tape, and nothing else is."""
        taped = self.taped()
        for name, path in raw.items():
            aired = taped.aired(name)
            heard = path.read_bytes().removeprefix(chunks.header(BY_NAME[name]))
            both = min(len(aired), len(heard))
            assert both > 20_000
            assert heard[-both:] == aired[-both:], name


class Taped:
    """A tape, checked from end to end."""

    def __init__(self, directory: Path) -> None:
        self.reader = TapeReader(keys.verify)
        self._segments = [path.read_bytes() for path in disk.segments(directory)]
        assert all(self.reader.receive_segment(data) for data in self._segments), self.reader.findings

    def aired(self, name: str) -> bytes:
        """All chunks of a rendition, as they were aired."""
        assert self.reader.meta is not None
        rendition, grid = BY_NAME[name], self.reader.meta.grid
        hold = self.reader.holds[rendition.id]
        return b"".join(
            self._segments[entry.segment][entry.offset : entry.offset + entry.length] or hold.chunk(grid, n)
            for n, entry in enumerate(self.reader.index.entries(rendition.id), self.reader.meta.first_n)
        )

    def was_hold(self, name: str) -> list[bool]:
        """Whether each chunk of the show was hold, in order."""
        return [not entry.length for entry in self.reader.index.entries(BY_NAME[name].id)]


def loudness(path: Path) -> npt.NDArray[np.float64]:
    """RMS of each second of a 16-bit mono WAV at 48 kHz, full scale 1."""
    samples = np.frombuffer(path.read_bytes()[44:], "<i2").astype(np.float64) / 32768
    seconds = len(samples) // 48_000
    return np.sqrt(np.mean(samples[: seconds * 48_000].reshape(seconds, 48_000) ** 2, axis=1))


def pause(seconds: float) -> None:
    """Let the show go on for a while."""
    time.sleep(seconds)
