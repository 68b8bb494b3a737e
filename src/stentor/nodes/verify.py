"""`stentor verify`: whether a tape, or a file downloaded from the archive, is what was aired and signed."""

from __future__ import annotations

import gc
import mmap
import re
import sys
from collections.abc import Callable
from pathlib import Path

from stentor.core import proving
from stentor.core.proving import Head, Unproven
from stentor.core.tape import TapeReader
from stentor.formats import m4a, mp3info, ogg
from stentor.formats import proof as proofs
from stentor.formats.chunks import BadMp3
from stentor.io import keys
from stentor.io.tapefile import TapeFiles, segment_name
from stentor.nodes.report import Report

_HEAD = re.compile(r"(\d{1,9}):([0-9a-f]{64})")
_FRAMES: dict[str, Callable[[memoryview], list[bytes]]] = {
    ".m4a": m4a.frames_of,
    ".mp3": lambda data: mp3info.audio_frames(bytes(data)),
    ".opus": lambda data: list(ogg.opus_packets(data)),
}


def main(
    path: Path,
    *,
    json: bool = False,
    head: str | None = None,
    proof: Path | None = None,
    allow_unfinished: bool = False,
) -> int:
    """Check a tape directory, its first segment, or a replay file with its proof; print what was found.

    `head` is `N:HEX`, a chain head noted during the show. -> 0: all is well, 1: it is not, 2: nothing could be checked.
    """
    gc.disable()  # nothing made here is garbage before the end, and looking for it takes a fifth of the time
    try:
        noted = parse_head(head) if head else None
        report = check_file(path, proof, noted) if path.suffix in _FRAMES else check_tape(path, noted)
    except (OSError, ValueError) as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    finally:
        gc.enable()
    report.print(json=json)
    return 0 if report.ok and (allow_unfinished or not report.unfinished) else 1


def parse_head(text: str) -> Head:
    """`N:HEX`; raises `ValueError`."""
    match = _HEAD.fullmatch(text.lower())
    if match is None:
        raise ValueError(f"a head is N:HEX, a chunk and 64 hexadecimal digits, not {text!r}")
    return Head(int(match[1]), bytes.fromhex(match[2]))


def check_tape(path: Path, head: Head | None = None) -> Report:
    """Check everything on the tape at `path`: a directory of segments or a first segment alone.

    Raises `OSError`; `ValueError` if there is no tape.
    """
    directory = path if path.is_dir() else path.parent
    if path != directory and path.name != segment_name(0):
        raise ValueError(f"{path}: only the first segment can be checked alone; give the directory")
    files, reader, report = TapeFiles(directory), TapeReader(keys.verify), Report()
    count = files.count() if path == directory else 1
    if not count:
        raise ValueError(f"{path}: no tape here ({segment_name(0)} is missing)")
    size = sum(files.size(segment) for segment in range(count))
    report.facts["tape"] = f"{path} ({count} segment{'s' * (count > 1)}, {size / 1e6:.1f} MB)"
    for segment in range(count):
        if not reader.receive_segment(files.mapped(segment)):
            break
    report.tell_tape(reader)
    if path == directory and (beyond := _beyond_gap(directory, count)):
        report.refuse(f"segment {count}, byte 0: {segment_name(count)} is missing, but there is {beyond}")
    if head is not None:
        report.tell_head(head, found=tuple(head) in reader.chains)
    return report


def _beyond_gap(directory: Path, count: int) -> str:
    """The name of a segment that is of no use without those missing before it, or ""."""
    known = {segment_name(segment) for segment in range(count)}
    return min((path.name for path in directory.glob("*.tape") if path.name not in known), default="")


def check_file(path: Path, proof: Path | None, head: Head | None = None) -> Report:
    """Check a replay file against its proof. Raises `OSError`; `ValueError` if there is no proof to be read."""
    if proof is None:
        raise ValueError(f"{path}: give the proof of this rendition too (--proof FILE)")
    report = Report(facts={"file": str(path)})
    found = proofs.decode(proof.read_bytes())
    try:
        with path.open("rb") as file:
            frames = _FRAMES[path.suffix](memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)))
        proven = proving.check(found, frames, keys.verify, head)
    except (Unproven, m4a.BadM4a, ogg.BadOgg, BadMp3) as error:
        report.refuse(f"{path.name}: {error}")
        return report
    report.tell_file(found, proven, len(frames))
    if head is not None:
        report.tell_head(head, found=True)
    return report
