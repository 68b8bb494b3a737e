"""`stentor verify`: whether a tape, or a file downloaded from the archive, is what was aired and signed."""

from __future__ import annotations

import base64
import binascii
import gc
import mmap
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from stentor.core import proving
from stentor.core.proving import Head
from stentor.core.tape import TapeReader
from stentor.formats import proof as proofs
from stentor.io import forked, keys
from stentor.io.tapefile import TapeFiles, segment_name
from stentor.nodes.report import Report

SHARED_BYTES_MIN = 16 * 1024 * 1024  # below, a second process is not worth its start
ORDER, BYTES = 1, 4  # what it takes to check the order of a tape, and its bytes
KEY_FILE_BYTES_MAX = 1024
_HEAD = re.compile(r"(\d{1,9}):([0-9a-f]{64})")
_CODECS = {".m4a": "aac", ".mp3": "mp3", ".opus": "opus"}  # of the files of a replay


def main(
    path: Path,
    *,
    json: bool = False,
    head: str | None = None,
    proof: Path | None = None,
    key: str | None = None,
    allow_unfinished: bool = False,
) -> int:
    """Check a tape directory, its first segment, or a replay file with its proof; print what was found.

    `head` is `N:HEX`, a chain head noted during the show; `key` as in `parse_key`.
    -> 0: all is well, 1: it is not, 2: nothing could be checked.
    """
    gc.disable()  # nothing made here is garbage before the end, and looking for it takes a fifth of the time
    try:
        report = check(path, proof, parse_head(head) if head else None, parse_key(key) if key else None)
    except OSError as error:
        print(f"verify: {error.filename or path}: {error.strerror or error}", file=sys.stderr)
        return 2
    except ValueError as error:
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


def parse_key(given: str) -> bytes:
    """An Ed25519 public key in hex, or in base64 as `now` has it, or the name of a file that holds one so.

    Raises `OSError`, `ValueError`.
    """
    if (key := _key(given)) is None:
        with Path(given).open("rb") as file:
            key = _key(file.read(KEY_FILE_BYTES_MAX).decode("ascii", "replace").strip())
    if key is None:
        raise ValueError(f"{given}: holds no public key, which is 64 hexadecimal digits, or base64 as in `now`")
    return key


def _key(text: str) -> bytes | None:
    for decode in (bytes.fromhex, partial(base64.b64decode, validate=True)):
        try:
            key = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == keys.KEY_BYTES:
            return key
    return None


def check(path: Path, proof: Path | None, head: Head | None, key: bytes | None) -> Report:
    """Raises `OSError`; `ValueError` if there is nothing that could be checked."""
    path.stat()
    if path.suffix in _CODECS and not path.is_dir():
        return check_file(path, proof, head, key)
    if proof is not None:
        raise ValueError(f"{path}: a proof is for a file of the replay ({', '.join(_CODECS)}); a tape needs none")
    return check_tape(path, head, key)


def check_tape(path: Path, head: Head | None = None, key: bytes | None = None) -> Report:
    """Check everything on the tape at `path`: a directory of segments or a first segment alone.

    Raises `OSError`; `ValueError` if there is no tape.
    """
    directory = path if path.is_dir() else path.parent
    if path != directory and path.name != segment_name(0):
        raise ValueError(_no_tape(path))
    files, report = TapeFiles(directory), Report()
    count = files.count() if path == directory else 1
    if not count:
        raise ValueError(f"{path}: no tape here ({segment_name(0)} is missing)")
    size = sum(files.size(segment) for segment in range(count))
    report.facts["tape"] = f"{path} ({count} segment{'s' * (count > 1)}, {size / 1e6:.1f} MB)"
    reader = _read([files.mapped(segment) for segment in range(count)])
    report.tell_tape(reader)
    if path == directory and (beyond := _beyond_gap(directory, count)):
        report.refuse(f"segment {count}, byte 0: {segment_name(count)} is missing, but there is {beyond}")
    if head is not None:
        report.tell_head(head, found=tuple(head) in reader.chains)
    if reader.meta is not None:
        report.tell_key(reader.meta.key, key)
    return report


def _no_tape(path: Path) -> str:
    if path.suffix == ".tape":
        return f"{path}: only the first segment can be checked alone; give the directory"
    return f"{path}: neither the directory of a tape nor a file of a replay ({', '.join(_CODECS)})"


def _read(segments: Sequence[memoryview]) -> TapeReader:
    """Read and check all segments. A long tape that is not spotless is read again in one go, to say what is where."""
    cores = len(os.sched_getaffinity(0))
    if cores > 1 and sum(map(len, segments)) >= SHARED_BYTES_MIN:
        reader = _read_together(segments, cores - 1)
        if reader is not None:
            return reader
    return _fed(segments)


def _fed(segments: Sequence[memoryview], *, chunks_later: bool = False) -> TapeReader:
    reader = TapeReader(keys.verify, chunks_later=chunks_later)
    all(map(reader.receive_segment, segments))
    return reader


def _read_together(segments: Sequence[memoryview], others: int) -> TapeReader | None:
    """The same on several cores; None if the tape is not spotless.

    A fork reads the beginning as anybody would, while the order of everything is looked at here. All share the rest,
    whose records can each be checked by itself by then.
    """
    share = (ORDER + BYTES / others) / (ORDER + BYTES + BYTES / others)
    beginning, (segment, offset) = _cut(segments, round(share * sum(map(len, segments))))
    answers = [forked.ask(partial(_is_sound, beginning))]
    reader = _fed(segments, chunks_later=True)
    spotless = reader.sound and reader.tail is None and not reader.remains
    if spotless:
        first = max(0, reader.places_before(segment, offset) - 1)  # the last of them may be cut
        stops = [first + (reader.chunk_records - first) * part // others for part in range(others + 1)]
        mine, *theirs = (partial(reader.unchanged, segments, *span) for span in pairwise(stops))
        answers += map(forked.ask, theirs)
        spotless = mine()
    sound = [answer() for answer in answers]  # each has to be waited for
    return reader if spotless and all(sound) else None


def _is_sound(beginning: Sequence[memoryview]) -> bool:
    reader = _fed(beginning)
    return reader.sound and not reader.remains


def _cut(segments: Sequence[memoryview], size: int) -> tuple[list[memoryview], tuple[int, int]]:
    """-> (the first `size` bytes of all segments, the segment and the byte in it where they end)."""
    beginning: list[memoryview] = []
    for segment, data in enumerate(segments):
        beginning.append(data[:size])
        if len(data) >= size:
            return beginning, (segment, size)
        size -= len(data)
    return beginning, (len(segments), 0)


def _beyond_gap(directory: Path, count: int) -> str:
    """The name of a segment that is of no use without those missing before it, or ""."""
    known = {segment_name(segment) for segment in range(count)}
    return min((path.name for path in directory.glob("*.tape") if path.name not in known), default="")


def check_file(path: Path, proof: Path | None, head: Head | None = None, key: bytes | None = None) -> Report:
    """Check a replay file against its proof. Raises `OSError`; `ValueError` if there is no proof to be read."""
    if proof is None:
        raise ValueError(f"{path}: give the proof of this rendition too (--proof FILE)")
    report, found = Report(facts={"file": str(path)}), proofs.decode(proof.read_bytes())
    report.tell_proof(found)
    report.tell_key(found.tape.key, key)
    try:
        frames = _frames(path, found)
        proven = proving.check(found, frames, keys.verify, head)
    except ValueError as error:
        report.refuse(f"{path.name}: {error}")
        return report
    report.tell_file(found, proven, len(frames))
    if head is not None:
        report.tell_head(head, found=True)
    return report


def _frames(path: Path, proof: proofs.Proof) -> list[bytes]:
    """The encoder frames of a replay file. Raises `OSError`; `ValueError` if it is none of what the proof is of.

    The formats are imported here: a tape is checked in the time that it takes to import what `.m4a` needs.
    """
    codec = next((item.codec for item in proof.tape.renditions if item.name == proof.rendition), "")
    if codec != _CODECS[path.suffix]:
        raise ValueError(f"the proof is of {proof.rendition!r}, which is not what a {path.suffix} file holds")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) if size else b"")
    if codec == "aac":
        from stentor.formats import m4a

        return m4a.frames_of(data)
    if codec == "mp3":
        from stentor.formats import mp3info

        return mp3info.audio_frames(bytes(data))
    from stentor.formats import ogg

    return list(ogg.opus_packets(data))
