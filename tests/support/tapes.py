"""Real tapes for tests: encoded by the product's encoders, written by its writer, signed with a key of its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stentor.core import hold
from stentor.core.chunker import Chunker
from stentor.core.tape import TapeWriter
from stentor.formats import chunks, tapemeta
from stentor.io.codec import Encoder, make_holds
from stentor.model.grid import SAMPLE_RATE, Grid
from stentor.model.rendition import RENDITIONS

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = KEY.public_key().public_bytes_raw()
T0_NS = 1_760_000_000_000_000_000
FIRST_N = 3


@cache
def holds() -> dict[int, chunks.Hold]:
    return make_holds(hold.loop())


def speech(seconds: float) -> npt.NDArray[np.float32]:
    """Noise in the band of speech, different everywhere: any two stretches can be told apart, and aligned exactly."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(round(seconds * SAMPLE_RATE)).astype(np.float32)
    return np.convolve(noise, np.hanning(24).astype(np.float32) / 40, "same").astype(np.float32)


@cache
def encoded(seconds: float, chunk_samples: int = 24_000) -> dict[int, dict[int, bytes]]:
    """Chunks of `speech`, which begins at show time 0: by n, by rendition id; those that all renditions have."""
    grid = Grid(T0_NS, 0, chunk_samples)
    by_n: dict[int, dict[int, bytes]] = {}
    for rendition in RENDITIONS:
        encoder, chunker = Encoder(rendition), Chunker(rendition, grid, 0)
        for frame in encoder.encode(speech(seconds)):
            if (chunk := chunker.receive(frame)) is not None:
                by_n.setdefault(chunk.n, {})[rendition.id] = chunk.data
    return {n: by_id for n, by_id in sorted(by_n.items()) if len(by_id) == len(RENDITIONS)}


def meta(show: str, chunk_samples: int = 24_000, first_n: int = FIRST_N) -> tapemeta.SegmentMeta:
    return tapemeta.SegmentMeta(
        tapemeta.VERSION, show, "Town hall", 0, T0_NS, chunk_samples, SAMPLE_RATE, first_n, PUBLIC_KEY.hex(),
        tapemeta.rendition_metas(),
    )  # fmt: skip


@dataclass
class Tape:
    """A tape being written. `heads`: the chain after each chunk, as the `now` object would have told it."""

    directory: Path
    writer: TapeWriter
    heads: dict[int, str]
    last_n: int

    def append(self, record: bytes) -> None:
        with (self.directory / f"{self.writer.segment - 1:04d}.tape").open("ab") as file:
            file.write(record)

    def open_segment(self) -> None:
        self.append(self.writer.open_segment())

    def add_until(self, stop_n: int, seconds: float, held: Collection[int] = ()) -> None:
        """Append chunks up to `stop_n` (not included) of `encoded(seconds)`."""
        source = encoded(seconds, self.writer.meta.chunk_samples)
        for n in range(self.writer.next_n, stop_n):
            by_id = dict.fromkeys(source[n], None) if n in held else source[n]
            self.append(self.writer.add_chunk(by_id))
            self.heads[n] = self.writer.chain.hex()

    def end(self) -> None:
        self.append(self.writer.add_end(T0_NS + 10**12, KEY.sign))


def begin(directory: Path, show: str = "town-hall", chunk_samples: int = 24_000, first_n: int = FIRST_N) -> Tape:
    """A tape with one open segment and no chunks in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    tape = Tape(directory, TapeWriter.begin(meta(show, chunk_samples, first_n), holds()), {}, 0)
    tape.open_segment()
    return tape


def build(
    directory: Path,
    seconds: float = 8,
    *,
    show: str = "town-hall",
    chunk_samples: int = 24_000,
    held: Collection[int] = (),
    segments: int = 1,
    ended: bool = True,
) -> Tape:
    """A tape of all whole chunks of `seconds` of `speech` from `FIRST_N` on; chunks of `held` are hold."""
    tape = begin(directory, show, chunk_samples)
    tape.last_n = max(encoded(seconds, chunk_samples))
    bounds = np.linspace(FIRST_N, tape.last_n + 1, segments + 1).astype(int)[1:].tolist()
    for stop in bounds:
        tape.add_until(stop, seconds, held)
        if stop != bounds[-1]:
            tape.open_segment()
    if ended:
        tape.end()
    return tape
