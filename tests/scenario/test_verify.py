"""`stentor verify`: one clear line for everything that can be wrong with a tape, and the right exit code."""

import json
from pathlib import Path

import pytest

from stentor.formats import tape as records
from stentor.nodes import verify
from support import tapes

SECONDS = 6


@pytest.fixture
def tape(tmp_path: Path) -> tapes.Tape:
    return tapes.build(tmp_path / "tape", SECONDS, segments=3, held=(5, 6))


def said(capsys: pytest.CaptureFixture[str], path: Path, **options: object) -> tuple[int, str]:
    code = verify.main(path, **options)  # type: ignore[arg-type]
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_whole_tape(tape: tapes.Tape, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, tape.directory)
    assert code == 0 and text.endswith("OK\n")
    for part in ("(3 segments, ", "town-hall: Town hall", "2 of 8 chunks (25.0 %)", "signed by the key: good"):
        assert part in text
    code, text = said(capsys, tape.directory, json=True)
    report = json.loads(text)
    assert code == 0 and report["ok"] and not report["unfinished"] and report["problems"] == []
    assert report["voiced_chunks"] == 6 and report["values"] == {
        "show": "town-hall", "first_n": 3, "last_n": 10, "segments": 3, "key": tapes.PUBLIC_KEY.hex(),
        "chain": tape.writer.chain.hex(),
    }  # fmt: skip


def test_a_noted_head(tape: tapes.Tape, capsys: pytest.CaptureFixture[str]) -> None:
    for n, chain in tape.heads.items():
        code, text = said(capsys, tape.directory, head=f"{n}:{chain}")
        assert code == 0 and f"{n}:{chain} is on the chain" in text
    code, text = said(capsys, tape.directory, head=f"5:{tape.heads[6]}")
    assert code == 1 and "is not on the chain" in text and text.endswith("NOT OK\n")
    code, text = said(capsys, tape.directory, head="5:12ab")
    assert code == 2 and "a head is N:HEX" in text


def test_an_unfinished_tape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = tapes.build(tmp_path / "tape", SECONDS, ended=False)
    code, text = said(capsys, tape.directory)
    assert code == 1 and "unfinished" in text
    assert said(capsys, tape.directory, allow_unfinished=True)[0] == 0
    tape.append(b"STN1 torn")
    code, text = said(capsys, tape.directory, allow_unfinished=True)
    assert code == 0 and "torn at segment 0, byte" in text and "record head cut short" in text


def test_a_tape_cut_short_is_unfinished(tape: tapes.Tape, capsys: pytest.CaptureFixture[str]) -> None:
    path = tape.directory / "0002.tape"
    path.write_bytes(path.read_bytes()[:-1])
    code, text = said(capsys, tape.directory)
    assert code == 1 and "torn at segment 2, byte" in text and "unfinished" in text


def test_a_segment_cut_short_in_the_middle(tape: tapes.Tape, capsys: pytest.CaptureFixture[str]) -> None:
    path = tape.directory / "0001.tape"
    found = [record for record in records.scan(path.read_bytes()) if isinstance(record, records.Record)]
    path.write_bytes(path.read_bytes()[: found[-2].end])
    code, text = said(capsys, tape.directory)
    assert code == 1 and "PROBLEM   segment 2, byte 0: segment is of another tape, or one before it is missing" in text


def test_segments_missing_or_moved(tape: tapes.Tape, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = (tape.directory / f"000{i}.tape" for i in range(3))
    second.rename(tape.directory / "aside")
    code, text = said(capsys, tape.directory)
    assert code == 1 and "0001.tape is missing, but there is 0002.tape" in text
    third.rename(second)
    code, text = said(capsys, tape.directory)
    assert code == 1 and "segment 1, byte 0: segment 2 where segment 1 belongs" in text
    first.unlink()
    code, text = said(capsys, tape.directory)
    assert code == 2 and "0000.tape is missing" in text


def test_records_moved(tape: tapes.Tape, capsys: pytest.CaptureFixture[str]) -> None:
    path = tape.directory / "0000.tape"
    data = path.read_bytes()
    cut = [data[r.offset : r.end] for r in records.scan(data) if isinstance(r, records.Record)]
    path.write_bytes(b"".join([cut[0], cut[2], cut[1], *cut[3:]]))
    code, text = said(capsys, tape.directory)
    assert code == 1 and f"segment 0, byte {len(cut[0])}: the chain does not go on here" in text


def test_a_foreign_segment(tape: tapes.Tape, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tapes.build(tmp_path / "other", SECONDS, segments=3, show="other")
    (tape.directory / "0001.tape").write_bytes((other.directory / "0001.tape").read_bytes())
    code, text = said(capsys, tape.directory)
    assert code == 1 and "segment 1, byte 0: segment is of another tape" in text


def test_one_segment_alone(tape: tapes.Tape, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = tapes.build(tmp_path / "whole", SECONDS)
    assert said(capsys, whole.directory / "0000.tape")[0] == 0
    assert said(capsys, tape.directory / "0000.tape", allow_unfinished=True)[0] == 0
    code, text = said(capsys, tape.directory / "0001.tape")
    assert code == 2 and "give the directory" in text


def test_what_is_no_tape_or_has_no_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "0000.tape").write_bytes(b"RIFF" + bytes(100))
    code, text = said(capsys, tmp_path)
    assert code == 1 and "segment 0, byte 0: not a tape record" in text
    (tmp_path / "a.mp3").write_bytes(b"x")
    code, text = said(capsys, tmp_path / "a.mp3")
    assert code == 2 and "--proof FILE" in text
    (tmp_path / "p.json").write_bytes(b"{}")
    code, text = said(capsys, tmp_path / "a.mp3", proof=tmp_path / "p.json")
    assert code == 2 and "not a proof file" in text
    assert said(capsys, tmp_path / "none")[0] == 2
