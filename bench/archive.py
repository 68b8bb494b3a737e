"""Figures of the archive on a tape of a long show: `python bench/archive.py [--hours 3] [--directory DIR]` -> JSON.

verify_s         checking all of it, as `stentor verify` does
index_s          first look of an archive at the whole tape
m4a_first_byte_s from asking for replay.m4a, the tape being indexed, to its first bytes
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stentor.core import hold, proving
from stentor.core.tape import TapeWriter
from stentor.formats import chunks, m4a, tapemeta
from stentor.io import keys
from stentor.io.codec import make_holds
from stentor.model.grid import FIRST_N, SAMPLE_RATE, Grid
from stentor.nodes import verify
from stentor.nodes.recorded import Recorded

CHUNK_SAMPLES = 24_000
FLUSH_CHUNKS = 1_000


def write_tape(directory: Path, seconds: float) -> int:
    """A tape of noise that repeats every few seconds, in all renditions; -> its bytes."""
    key = Ed25519PrivateKey.generate()
    t0_ns = time.time_ns()
    public = key.public_key().public_bytes_raw().hex()
    meta = tapemeta.SegmentMeta(
        tapemeta.VERSION, "bench", "Bench", 0, t0_ns, CHUNK_SAMPLES, SAMPLE_RATE, FIRST_N, public,
        tapemeta.rendition_metas(),
    )  # fmt: skip
    noise = np.random.default_rng(1).standard_normal(hold.LOOP_SAMPLES).astype(np.float32) / 10
    sound = make_holds(noise)
    writer = TapeWriter.begin(meta, make_holds(hold.loop()))
    path = directory / "0000.tape"
    with path.open("wb") as file:
        file.write(writer.open_segment())
        for n in range(FIRST_N, FIRST_N + round(seconds * SAMPLE_RATE / CHUNK_SAMPLES)):
            file.write(writer.add_chunk(_chunk(sound, meta.grid, n)))
        file.write(writer.add_end(t0_ns, key.sign))
    return path.stat().st_size


def _chunk(sound: dict[int, chunks.Hold], grid: Grid, n: int) -> dict[int, bytes | None]:
    return {rendition_id: loop.chunk(grid, n) for rendition_id, loop in sound.items()}


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return round(time.perf_counter() - began, 3), result


def measure(directory: Path) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        verify_s, code = timed(lambda: verify.main(directory))
    assert code == 0, said.getvalue()
    recorded = Recorded(directory)
    index_s, _ = timed(recorded.refresh)
    figures = {"verify_s": verify_s, "index_s": index_s}
    for kind in ("m4a", "opus", "mp3"):
        first_s, replay = timed(lambda kind=kind: recorded.replay(kind))
        byte_s, _ = timed(lambda replay=replay: next(recorded.replay_blocks(replay, 0, replay.size - 1)))
        whole_s, blocks = timed(lambda replay=replay: list(recorded.replay_blocks(replay, 0, replay.size - 1)))
        figures |= {f"{kind}_first_byte_s": round(first_s + byte_s, 3), f"{kind}_read_all_s": whole_s}
        if kind == "m4a":
            data = b"".join(blocks)
    proof_s, proof = timed(lambda: recorded.proof("aac"))
    check_s, _ = timed(lambda: proving.check(proof, m4a.frames_of(data), keys.verify))
    return figures | {"proof_s": proof_s, "proof_check_s": check_s}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--directory", type=Path, help="where the tape is made (about 130 MB an hour)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as scratch:
        write_s, size = timed(lambda: write_tape(Path(scratch), arguments.hours * 3600))
        figures = measure(Path(scratch))
    print(json.dumps({"hours": arguments.hours, "tape_bytes": size, "write_s": write_s, **figures}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
