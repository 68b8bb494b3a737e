"""What `stentor verify` found, in words."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from stentor.core.proving import Head, Proven
from stentor.core.tape import Finding, TapeReader
from stentor.formats.proof import Proof
from stentor.formats.tapemeta import EventMeta, SegmentMeta, fingerprint

EVENTS_SHOWN_MAX = 20


@dataclass
class Report:
    """`facts` are lines of (name, text) for people, `values` some of them for programs.

    `problems` say segment, byte and reason.
    """

    ok: bool = True
    unfinished: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    values: dict[str, str | int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    voiced_chunks: int = 0  # how many were program; the others were hold

    def refuse(self, reason: str) -> None:
        self.problems.append(reason)
        self.ok = False

    def print(self, *, json: bool) -> None:
        if json:
            print(jsonlib.dumps(asdict(self), indent=1))
            return
        for name, text in self.facts.items():
            print(f"{name:10}{text}")
        for problem in self.problems:
            print(f"PROBLEM   {problem}")
        print("NOT OK" if not self.ok else "OK so far, but unfinished" if self.unfinished else "OK")

    def tell_tape(self, reader: TapeReader) -> None:
        if reader.meta is not None:
            self._tell_show(reader.meta, reader)
        if reader.remains:
            self.facts["remains"] = "; ".join(map(_where, reader.remains)) + " (of failed writes, made good later)"
        if reader.fault is not None:
            self.refuse(_where(reader.fault))
        elif reader.end is not None:
            self.facts["end"] = f"{_time(reader.end.ended_wall_ns)}, signed by the key: good"
        else:
            self.unfinished = True
            tail = reader.tail and Finding(reader.segments - 1, reader.tail.offset, reader.tail.reason)
            none = "none: the show is running, or its recorder died; all up to here holds"
            self.facts["end"] = f"{none}; torn at {_where(tail)}" if tail else none

    def _tell_show(self, meta: SegmentMeta, reader: TapeReader) -> None:
        last, chunk_s, began = reader.next_n - 1, meta.grid.chunk_s, _time(meta.grid.wall_ns(meta.first_n))
        count, held = reader.next_n - meta.first_n, reader.hold_chunks
        self.voiced_chunks = count - held
        self.facts |= {
            "show": f"{meta.show}: {meta.title}",
            "recorded": f"{began}, chunks {meta.first_n}..{last} of {chunk_s:g} s: {count * chunk_s:g} s",
            "hold": f"{held} of {count} chunks ({100 * held / max(1, count):.1f} %)",
            "chain": f"{reader.chain.hex()} after chunk {last}",
        }
        self.values |= {
            "show": meta.show,
            "first_n": meta.first_n,
            "last_n": last,
            "segments": reader.segments,
            "chain": reader.chain.hex(),
        }
        if reader.events:
            self.facts["events"] = ", ".join(_event(*event) for event in reader.events[:EVENTS_SHOWN_MAX])

    def tell_head(self, head: Head, *, found: bool) -> None:
        text = f"{head.n}:{head.chain.hex()}"
        if found:
            self.facts["head"] = f"{text} is on the chain"
        else:
            self.refuse(f"head {text} is not on the chain")

    def tell_key(self, tape_key: str, given: bytes | None) -> None:
        """Whose word all this is: `tape_key` (hex) is the tape's own, `given` one known from elsewhere."""
        own = fingerprint(tape_key)
        self.facts |= {
            "key": tape_key,
            "signer": f"{own} (the tape's own word: --key KEY compares it with one you know)",
        }
        self.values |= {"key": tape_key, "fingerprint": own, "key_known": False}
        if given is None:
            return
        if given.hex() == tape_key.lower():
            self.facts["signer"] = f"{own}, the key that was given"
            self.values["key_known"] = True
            return
        self.facts["signer"] = own
        self.refuse(f"the tape is of another key: {own}, where {fingerprint(given.hex())} was given")

    def tell_proof(self, proof: Proof) -> None:
        self.values["show"] = proof.tape.show
        self.facts |= {"show": f"{proof.tape.show}: {proof.tape.title}", "proof": f"of {proof.rendition}"}

    def tell_file(self, proof: Proof, proven: Proven, frames: int) -> None:
        meta, first, last = proof.tape, proven.end.first_n, proven.end.last_n
        seconds = (last + 1 - first) * meta.grid.chunk_s
        self.values |= {"first_n": first, "last_n": last, "frames": frames}
        self.facts |= {
            "recorded": f"{_time(meta.grid.wall_ns(first))}, chunks {first}..{last}: {seconds:g} s",
            "audio": f"{proof.rendition}, {frames} frames: all as signed",
            "end": f"{_time(proven.end.ended_wall_ns)}, signed by the key: good",
        }


def _time(unix_ns: int) -> str:
    return datetime.fromtimestamp(unix_ns / 1e9, UTC).isoformat(timespec="seconds")


def _event(n: int, last: int, meta: EventMeta) -> str:
    return f"{meta.what} {n}..{last}" if last else f"{meta.what} at {n}"


def _where(finding: Finding) -> str:
    return f"segment {finding.segment}, byte {finding.offset}: {finding.reason}"
