"""The JSON parts of a tape: what a segment says of its show, what an event notes, what the end signs."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal

import msgspec

from stentor.model.grid import FIRST_N, SAMPLE_RATE, Grid
from stentor.model.rendition import RENDITIONS, Rendition

VERSION = 1
FINGERPRINT_BYTES = 16
N_MAX = 2**31
CHUNK_SAMPLES_MIN, CHUNK_SAMPLES_MAX = SAMPLE_RATE // 50, 10 * SAMPLE_RATE
FRAME_SAMPLES_MIN, FRAME_SAMPLES_MAX = 120, 5760
PRIMING_SAMPLES_MAX = SAMPLE_RATE
RENDITIONS_MAX = 16

# A tape comes from anybody: what a reader counts by has bounds.
_N = Annotated[int, msgspec.Meta(ge=FIRST_N, le=N_MAX)]
_ChunkSamples = Annotated[int, msgspec.Meta(ge=CHUNK_SAMPLES_MIN, le=CHUNK_SAMPLES_MAX)]
_FrameSamples = Annotated[int, msgspec.Meta(ge=FRAME_SAMPLES_MIN, le=FRAME_SAMPLES_MAX)]
_PrimingSamples = Annotated[int, msgspec.Meta(ge=0, le=PRIMING_SAMPLES_MAX)]
_RenditionId = Annotated[int, msgspec.Meta(ge=0, lt=RENDITIONS_MAX)]


class RenditionMeta(msgspec.Struct, frozen=True):
    """The fields of `model.rendition.Rendition`, so that a reader needs no table of its own."""

    id: _RenditionId
    name: str
    codec: str
    bitrate_bps: int
    frame_samples: _FrameSamples
    priming_samples: _PrimingSamples


class SegmentMeta(msgspec.Struct, frozen=True):
    """Part 0 of a SEGMENT. `key` is the Ed25519 public key (hex) that will sign the end; times are of the grid."""

    version: int
    show: str
    title: str
    segment: int
    t0_wall_ns: int
    chunk_samples: _ChunkSamples
    sample_rate: Literal[48_000]
    first_n: _N
    key: str
    renditions: Annotated[tuple[RenditionMeta, ...], msgspec.Meta(min_length=1, max_length=RENDITIONS_MAX)]

    @property
    def grid(self) -> Grid:
        """The grid; the monotonic clock of the machine that recorded means nothing to a reader."""
        return Grid(self.t0_wall_ns, 0, self.chunk_samples)


class EventMeta(msgspec.Struct, frozen=True, omit_defaults=True):
    """Part 0 of an EVENT: `what` is a word (`hold`, `disk`, `resumed`, `title`), `n`..`last` are in the record."""

    what: str
    at_ms: int
    text: str = ""


class EndMeta(msgspec.Struct, frozen=True):
    """Part 0 of END. `chain` (hex) is the chain before this record; `renditions` the digest of each, by name."""

    version: int
    show: str
    first_n: int
    last_n: int
    ended_wall_ns: int
    chain: str
    renditions: dict[str, str]
    key: str


def rendition_metas() -> tuple[RenditionMeta, ...]:
    return tuple(
        RenditionMeta(r.id, r.name, r.codec, r.bitrate_bps, r.frame_samples, r.priming_samples) for r in RENDITIONS
    )


def rendition_of(meta: RenditionMeta) -> Rendition:
    """Back to a `Rendition`."""
    content_type = "audio/mpeg" if meta.codec == "mp3" else "audio/mp4"
    return Rendition(
        meta.id, meta.name, meta.codec, meta.bitrate_bps, meta.frame_samples, meta.priming_samples, content_type
    )


def fingerprint(key: str) -> str:
    """What people compare of a public key (hex): the first half of its SHA-256, as groups of four digits. What is no
    hex has none: "?"."""
    try:
        digits = sha256(bytes.fromhex(key)).digest()[:FINGERPRINT_BYTES].hex(" ", 2)
    except ValueError:
        return "?"
    return digits
