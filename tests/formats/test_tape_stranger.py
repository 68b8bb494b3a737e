"""docs/TAPE.md is enough: a reader written from it alone agrees with the product, and its example is a real tape."""

import ast
import base64
import re
from pathlib import Path

import pytest

from stentor.formats import tape as records
from support import stranger, tape_example, tapes

SECONDS = 6
DOCUMENT = tape_example.DOCUMENT.read_text()


def documented() -> bytes:
    found = re.search(r"```base64\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    return base64.b64decode(found[1])


def segments(tape: tapes.Tape) -> list[bytes]:
    return [path.read_bytes() for path in sorted(tape.directory.iterdir())]


def test_the_stranger_knows_nothing_of_the_product() -> None:
    tree = ast.parse(Path(stranger.__file__).read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} == {
        "__future__", "cryptography", "hashlib", "json", "struct", "typing", "zlib",
    }  # fmt: skip


def test_the_example_is_what_the_product_writes() -> None:
    assert tape_example.split(DOCUMENT)[1] == tape_example.render(), "run tests/support/tape_example.py"
    assert documented() == tape_example.make()


def test_the_stranger_reads_the_example() -> None:
    tape = stranger.check([documented()])
    assert tape.end is not None and (tape.end["first_n"], tape.end["last_n"]) == (3, 8)
    assert [event["what"] for event in tape.events] == ["hold"]
    assert tape.chunks[3][4].startswith(b"e3.0e3.1")
    assert tape.chunks[8][1].endswith(b"".join(b"b~%d" % (k % 2) for k in range(100, 113)))


def test_the_bytes_that_the_document_shows_are_those_of_the_example() -> None:
    data = documented()
    chains = re.findall(r"^chain  ([0-9a-f]{64})$", DOCUMENT, re.MULTILINE)
    found = [record for record in records.scan(data) if isinstance(record, records.Record)]
    assert chains == [record.chain.hex() for record in found]
    for shown in re.findall(r"^(?:head|table)  +([0-9a-f ]{50,})$", DOCUMENT, re.MULTILINE):
        assert bytes.fromhex(shown) in data


@pytest.mark.parametrize("chunk_samples", [24_000, 12_000])
def test_the_stranger_verifies_a_tape_with_hold_in_several_segments(tmp_path: Path, chunk_samples: int) -> None:
    made = tapes.build(tmp_path, SECONDS, chunk_samples=chunk_samples, segments=3, held=(5, 6))
    read = stranger.check(segments(made))
    assert read.end is not None and read.end["last_n"] == made.last_n
    assert {n: chain.hex() for n, chain in read.chains.items()} == made.heads
    grid = made.writer.meta.grid
    for n, by_id in tapes.encoded(SECONDS, chunk_samples).items():
        if n >= tapes.FIRST_N:
            held = {i: tapes.holds()[i].chunk(grid, n) for i in by_id}
            assert read.chunks[n] == (held if n in (5, 6) else by_id)


def test_the_stranger_reads_over_torn_ends_and_copies(tmp_path: Path) -> None:
    sound, tape = tapes.encoded(SECONDS), tapes.begin(tmp_path)
    first = segments(tape)[0]
    spoken = [tape.writer.add_chunk(sound[n]) for n in (3, 4, 5)]
    chain_after_3 = spoken[0][-32:]
    opening, goes_on = tape.writer.open_segment(chain_after_3), tape.writer.add_chunk(sound[6])
    for torn in (b"", b"STN1 torn"):
        both = [first + b"".join(spoken) + torn, opening + spoken[1] + spoken[2] + goes_on]
        assert list(stranger.check(both).chunks) == [3, 4, 5, 6]
    with pytest.raises(ValueError, match="a repeated record is not the one"):
        stranger.check([first + b"".join(spoken), opening + spoken[2] + spoken[1]])


def test_the_stranger_sees_what_was_changed(tmp_path: Path) -> None:
    data = documented()
    for at in range(0, len(data), 41):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            assert stranger.check([changed]).end is None, f"byte {at}"
        except (ValueError, KeyError):
            continue


def test_the_stranger_reads_over_zeros_in_the_last_chain(tmp_path: Path) -> None:
    sound, tape = tapes.encoded(SECONDS), tapes.begin(tmp_path)
    whole = segments(tape)[0] + tape.writer.add_chunk(sound[3])
    record, chain = tape.writer.add_chunk(sound[4]), tape.writer.chain
    for missing in (1, 20, 32):
        assert list(stranger.check([whole + record[:-missing] + bytes(missing + 9)]).chunks) == [3], missing
    goes_on = tape.writer.open_segment(whole[-32:]) + record + tape.writer.add_chunk(sound[5])
    assert chain in goes_on
    assert list(stranger.check([whole + record[:-20] + bytes(20), goes_on]).chunks) == [3, 4, 5]
