"""The worked example of docs/TAPE.md: a tape of six chunks, made by the product. `python tests/support/tape_example.py`
writes it into the document."""

from __future__ import annotations

import base64
import json
import sys
import textwrap
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stentor.core.tape import TapeWriter
from stentor.formats import chunks, tape, tapemeta
from stentor.model.rendition import RENDITIONS

DOCUMENT = Path(__file__).parents[2] / "docs" / "TAPE.md"
BEGIN, FINISH = "<!-- example: begin -->\n", "<!-- example: end -->\n"
SEED = bytes(range(32))
_FIRST_N = 3


def _frame(rendition_id: int, text: str) -> bytes:
    return f"{'abcdef'[rendition_id]}{text}".encode()


def _writer() -> tuple[TapeWriter, Ed25519PrivateKey]:
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    public = key.public_key().public_bytes_raw().hex()
    meta = tapemeta.SegmentMeta(
        1, "example", "An example", 0, 1_760_000_000 * 10**9, 12_000, 48_000, _FIRST_N, public,
        tapemeta.rendition_metas(),
    )  # fmt: skip
    holds = {r.id: chunks.Hold(r, (_frame(r.id, "~0"), _frame(r.id, "~1"))) for r in RENDITIONS}
    return TapeWriter.begin(meta, holds), key


def make() -> bytes:
    """One segment: chunk 3, an event, chunks 4..7 as hold, chunk 8 with hold in one rendition, the end."""
    writer, key = _writer()
    data = writer.open_segment() + _spoken(writer, 3)
    data += writer.add_event("hold", 1_760_000_001_000, "the stage was silent", last=7) + writer.add_hold(7)
    return data + _spoken(writer, 8, held=1) + writer.add_end(1_760_000_002 * 10**9, key.sign)


def _spoken(writer: TapeWriter, n: int, held: int = -1) -> bytes:
    grid, made = writer.meta.grid, {}
    for r in RENDITIONS:
        frames = [_frame(r.id, f"{n}.{k}") for k in range(grid.frame_count(r, n))]
        made[r.id] = None if r.id == held else chunks.build(r, grid, n, frames)
    return writer.add_chunk(made)


def _hex(data: bytes) -> str:
    return "\n".join(data[at : at + 32].hex(" ", -4) for at in range(0, len(data), 32))


def _describe(data: bytes, record: tape.Record) -> str:
    head, table = record.linked[:28], record.linked[28:]
    kind = record.kind.name
    lines = [
        f"### {kind} at byte {record.offset}, {record.end - record.offset} bytes\n",
        "```text",
        f"head   {head.hex(' ', -4)}",
    ]
    if record.kind is tape.Kind.SEGMENT:
        lines += [f"table  {len(table)} bytes, parts {', '.join(map(str, record.parts))}"]
    else:
        lines += [f"table  {table[at : at + 40].hex(' ', -4)}" for at in range(0, len(table), 40)]
    lines += [f"crc32  {data[record.end - 36 : record.end - 32].hex()}", f"chain  {record.chain.hex()}", "```\n"]
    if record.kind is not tape.Kind.CHUNKS:
        lines += ["Part 0:\n", "```json", tape.part_bytes(data, record.parts[0]).decode(), "```\n"]
    elif record.parts[0].length:
        lines += [
            f"Part 0, chunk {record.n} of `opus`:\n",
            "```text",
            _hex(tape.part_bytes(data, record.parts[0])),
            "```\n",
        ]
    return "\n".join(lines)


def render() -> str:
    """The text between the markers."""
    data = make()
    records = [record for record in tape.scan(data) if isinstance(record, tape.Record)]
    whole = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 120))
    described = "\n".join(_describe(data, record) for record in records)
    return f"{described}\n### The whole file, {len(data)} bytes, in base64\n\n```base64\n{whole}\n```\n"


def split(document: str) -> tuple[str, str, str]:
    """-> (before, example, after)."""
    before, rest = document.split(BEGIN)
    example, after = rest.split(FINISH)
    return before + BEGIN, example, FINISH + after


def main() -> int:
    before, _, after = split(DOCUMENT.read_text())
    DOCUMENT.write_text(before + render() + after)
    print(json.dumps({"written": str(DOCUMENT), "bytes": len(make())}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
