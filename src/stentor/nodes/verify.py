"""`stentor verify`: whether a tape, or a file downloaded from the archive, is what was aired and signed."""

from __future__ import annotations

import gc
import json as jsonlib
import mmap
import re
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from stentor.core import proving
from stentor.core.proving import Head, Unproven
from stentor.core.tape import Finding, TapeReader
from stentor.formats import m4a, mp3info, ogg
from stentor.formats import proof as proofs
from stentor.formats.chunks import BadMp3
from stentor.formats.tapemeta import EventMeta
from stentor.io import keys
from stentor.io.tapefile import TapeFiles, segment_name

EVENTS_SHOWN_MAX = 20
_HEAD = re.compile(r"(\d{1,9}):([0-9a-f]{64})")
_UNPACK = {
    ".m4a": m4a.frames_of,
    ".mp3": lambda data: mp3info.audio_frames(bytes(data)),
    ".opus": lambda data: list(ogg.opus_packets(data)),
}


@dataclass
class Report:
    """What was found. `facts` are lines of (name, text) for people; `problems` say segment, byte and reason."""

    ok: bool = True
    unfinished: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> Report:
        self.problems.append(reason)
        self.ok = False
        return self

    def print(self, *, json: bool) -> None:
        if json:
            print(jsonlib.dumps(asdict(self), indent=1))
            return
        for name, text in self.facts.items():
            print(f"{name:10}{text}")
        for problem in self.problems:
            print(f"PROBLEM   {problem}")
        print("unfinished: no end is on this tape" if self.unfinished else "OK" if self.ok else "NOT OK")


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
        report = check_file(path, proof, noted) if path.suffix in _UNPACK else check_tape(path, noted)
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
    """Check everything on the tape at `path`: a directory of segments or a first segment."""
    directory, count = (path, None) if path.is_dir() else (path.parent, 1)
    if count and path.name != segment_name(0):
        raise ValueError(f"{path}: only the first segment can be checked alone; give the directory")
    files, reader, report = TapeFiles(directory), TapeReader(keys.verify), Report()
    count = count or files.count()
    if not count:
        raise ValueError(f"{path}: no tape here ({segment_name(0)} is missing)")
    size = sum(files.size(segment) for segment in range(count))
    for segment in range(count):
        if not reader.receive_segment(files.mapped(segment)):
            break
    report.facts |= {"tape": f"{path} ({count} segment{'s' * (count > 1)}, {size / 1e6:.1f} MB)"}
    _tell_show(reader, report)
    _tell_state(reader, report)
    _tell_missing(directory, count, report if path.is_dir() else None)
    if head is not None:
        _tell_head(reader, head, report)
    return report


def _tell_show(reader: TapeReader, report: Report) -> None:
    meta = reader.meta
    if meta is None:
        return
    chunk_s, last = meta.grid.chunk_s, reader.next_n - 1
    count = last + 1 - meta.first_n
    began = datetime.fromtimestamp(meta.grid.wall_ns(meta.first_n) / 1e9, UTC).isoformat(timespec="seconds")
    report.facts |= {
        "show": f"{meta.show}: {meta.title}",
        "recorded": f"{began}, chunks {meta.first_n}..{last} of {chunk_s:g} s: {count * chunk_s:g} s",
        "hold": f"{reader.hold_chunks} of {count} chunks ({100 * reader.hold_chunks / max(1, count):.1f} %)",
        "chain": f"{reader.chain.hex()} after chunk {last}",
        "key": meta.key,
    }


def _tell_state(reader: TapeReader, report: Report) -> None:
    if reader.events:
        report.facts["events"] = ", ".join(_event(*event) for event in reader.events[:EVENTS_SHOWN_MAX])
    if reader.remains:
        report.facts["torn"] = "; ".join(map(_where, reader.remains)) + " (made good by the next segment)"
    if reader.fault is not None:
        report.refuse(_where(reader.fault))
    elif reader.end is not None:
        ended = datetime.fromtimestamp(reader.end.ended_wall_ns / 1e9, UTC).isoformat(timespec="seconds")
        report.facts["end"] = f"{ended}, signed by the key: good"
    else:
        report.unfinished = True
        torn = reader.tail and _where(Finding(reader.segments - 1, reader.tail.offset, reader.tail.reason))
        report.facts["end"] = f"none; {torn}" if torn else "none"


def _event(n: int, last: int, meta: EventMeta) -> str:
    return f"{meta.what} {n}..{last}" if last else f"{meta.what} at {n}"


def _where(finding: Finding) -> str:
    return f"segment {finding.segment}, byte {finding.offset}: {finding.reason}"


def _tell_missing(directory: Path, count: int, report: Report | None) -> None:
    """Segments that stand beyond a gap are of no use without those in it."""
    if report is None:
        return
    known = {segment_name(segment) for segment in range(count)}
    beyond = sorted(path.name for path in directory.glob("*.tape") if path.name not in known)
    if beyond:
        report.refuse(f"segment {count}, byte 0: {segment_name(count)} is missing, but there is {beyond[0]}")


def _tell_head(reader: TapeReader, head: Head, report: Report) -> None:
    if (head.n, head.chain) in set(reader.chains):
        report.facts["head"] = f"{head.n}:{head.chain.hex()} is on the chain"
    else:
        report.refuse(f"head {head.n}:{head.chain.hex()} is not on the chain")


def check_file(path: Path, proof: Path | None, head: Head | None = None) -> Report:
    """Check a replay file against its proof."""
    if proof is None:
        raise ValueError(f"{path}: give the proof of this rendition too (--proof FILE)")
    report = Report()
    found = proofs.decode(proof.read_bytes())
    try:
        with path.open("rb") as file:
            frames = _UNPACK[path.suffix](memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)))
        proven = proving.check(found, frames, keys.verify, head)
    except (Unproven, m4a.BadM4a, ogg.BadOgg, BadMp3) as error:
        return report.refuse(f"{path.name}: {error}")
    meta, end = found.tape, proven.end
    seconds = (end.last_n + 1 - end.first_n) * meta.grid.chunk_s
    report.facts |= {
        "file": f"{path} ({found.rendition}, {len(frames)} frames)",
        "show": f"{meta.show}: {meta.title}",
        "audio": f"chunks {end.first_n}..{end.last_n}, {seconds:g} s: all as signed",
        "key": meta.key,
        "checked": f"{proven.checkpoints} checkpoints on the way",
    }
    if head is not None:
        report.facts["head"] = f"{head.n}:{head.chain.hex()} is on the chain"
    return report
