"""`stentor verify`: one clear line for everything that can be wrong with a tape, and the right exit code."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from stentor.core.replay import KINDS
from stentor.formats import proof as proofs
from stentor.formats import tape as records
from stentor.nodes import verify
from stentor.nodes.recorded import Recorded
from support import tapes
from support.forgery import forged

SECONDS = 6
FINGERPRINT = sha256(tapes.PUBLIC_KEY).hexdigest()[:32]
FINGERPRINT = " ".join(FINGERPRINT[at : at + 4] for at in range(0, 32, 4))


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
        "show": "town-hall", "first_n": 3, "last_n": 10, "segments": 3, "chain": tape.writer.chain.hex(),
        "key": tapes.PUBLIC_KEY.hex(), "fingerprint": FINGERPRINT, "key_known": False,
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
    assert said(capsys, tmp_path / "0000.tape")[0] == 1
    (tmp_path / "a.mp3").write_bytes(b"x")
    code, text = said(capsys, tmp_path / "a.mp3")
    assert code == 2 and "--proof FILE" in text
    (tmp_path / "p.json").write_bytes(b"{}")
    code, text = said(capsys, tmp_path / "a.mp3", proof=tmp_path / "p.json")
    assert code == 2 and "not a proof file" in text
    code, text = said(capsys, tmp_path / "none")
    assert code == 2 and text == f"verify: {tmp_path / 'none'}: No such file or directory\n"
    code, text = said(capsys, tmp_path / "p.json")
    assert code == 2 and "neither the directory of a tape nor a file of a replay" in text
    code, text = said(capsys, tmp_path, proof=tmp_path / "p.json")
    assert code == 2 and "a tape needs none" in text


def test_no_tape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, tmp_path)
    assert (code, text) == (2, f"verify: {tmp_path}: no tape here (0000.tape is missing)\n")
    (tmp_path / "0000.tape").mkdir()
    code, text = said(capsys, tmp_path)
    assert (code, text) == (2, f"verify: {tmp_path / '0000.tape'}: not a file\n")
    (tmp_path / "0000.tape").rmdir()
    os.mkfifo(tmp_path / "0000.tape")
    assert said(capsys, tmp_path) == (2, f"verify: {tmp_path / '0000.tape'}: not a file\n")


def test_an_empty_segment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "0000.tape").touch()
    code, text = said(capsys, tmp_path)
    assert code == 1 and "PROBLEM   segment 0, byte 0: does not begin with a segment" in text


@contextmanager
def nobody() -> Iterator[None]:
    """Root may read everything: for a while this process is somebody else."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_read(tape: tapes.Tape, capsys: pytest.CaptureFixture[str]) -> None:
    (tape.directory / "0001.tape").chmod(0)
    with nobody():
        code, text = said(capsys, tape.directory)
    assert code == 2 and text.startswith("verify: ") and text.endswith(": Permission denied\n")


def replay(tape: tapes.Tape, suffix: str) -> tuple[Path, Path]:
    """-> (a file of the replay, its proof), as the archive gives them."""
    recorded, file = Recorded(tape.directory), tape.directory / f"replay.{suffix}"
    recorded.refresh()
    layout = recorded.replay(suffix)
    file.write_bytes(b"".join(recorded.replay_blocks(layout, 0, layout.size - 1)))
    proof = tape.directory / f"{suffix}.json"
    proof.write_bytes(proofs.encode(recorded.proof(KINDS[suffix].rendition)))
    return file, proof


def test_the_key_is_one_that_is_known(tape: tapes.Tape, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "key").write_text(tapes.PUBLIC_KEY.hex() + "\n")
    file, proof = replay(tape, "opus")
    for known in (tapes.PUBLIC_KEY.hex().upper(), base64.b64encode(tapes.PUBLIC_KEY).decode(), str(tmp_path / "key")):
        code, text = said(capsys, tape.directory, key=known)
        assert code == 0 and f"signer    {FINGERPRINT}, the key that was given\n" in text
        assert said(capsys, file, proof=proof, key=known)[0] == 0
    code, text = said(capsys, tape.directory)
    assert code == 0 and f"signer    {FINGERPRINT} (the tape's own word" in text
    assert json.loads(said(capsys, tape.directory, key=known, json=True)[1])["values"]["key_known"] is True


def test_the_key_is_another(tape: tapes.Tape, capsys: pytest.CaptureFixture[str]) -> None:
    other = "ab" * 32
    file, proof = replay(tape, "mp3")
    for code, text in (said(capsys, tape.directory, key=other), said(capsys, file, proof=proof, key=other)):
        assert code == 1 and f"PROBLEM   the tape is of another key: {FINGERPRINT}, where " in text
    unfinished = tapes.build(tape.directory / "unfinished", SECONDS, ended=False)
    assert said(capsys, unfinished.directory, key=tapes.PUBLIC_KEY.hex(), allow_unfinished=True)[0] == 0
    assert said(capsys, unfinished.directory, key=other, allow_unfinished=True)[0] == 1


def test_what_is_no_key(tape: tapes.Tape, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, text = said(capsys, tape.directory, key="ab12")
    assert (code, text) == (2, "verify: ab12: No such file or directory\n")
    (tmp_path / "sign.key").write_bytes(bytes(32))
    code, text = said(capsys, tape.directory, key=str(tmp_path / "sign.key"))
    assert code == 2 and "sign.key: holds no public key" in text


def test_a_proof_of_something_else(tape: tapes.Tape, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, proof = replay(tape, "m4a")
    other = tapes.build(tmp_path / "other", SECONDS, show="other", held=(4, 5))
    code, text = said(capsys, file, proof=replay(other, "m4a")[1])
    assert (
        code == 1
        and "show      other: Town hall" in text
        and "PROBLEM   replay.m4a: the audio is not the tape's" in text
    )
    code, text = said(capsys, replay(tape, "opus")[0], proof=proof)
    assert code == 1 and "the proof is of 'aac', which is not what a .opus file holds" in text
    found = proofs.decode(proof.read_bytes())
    proof.write_bytes(proofs.encode(msgspec.structs.replace(found, rendition="flac")))
    assert "the proof is of 'flac'" in said(capsys, file, proof=proof)[1]


@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_no_replay(suffix: str, tape: tapes.Tape, capsys: pytest.CaptureFixture[str]) -> None:
    file, proof = replay(tape, suffix)
    for junk in (b"", b"RIFF" + bytes(100), file.read_bytes()[:-9]):
        file.write_bytes(junk)
        code, text = said(capsys, file, proof=proof)
        assert code == 1 and f"PROBLEM   replay.{suffix}: " in text and text.endswith("NOT OK\n")


def test_a_tape_that_is_being_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = tapes.begin(tmp_path / "tape")
    for stop in (3, 5, 7):
        tape.add_until(stop, SECONDS)
        code, text = said(capsys, tape.directory)
        assert code == 1 and "end       none: the show is running, or its recorder died; all up to here holds\n" in text
        assert f"chunks 3..{stop - 1} of" in text and text.endswith("OK so far, but unfinished\n")


@pytest.mark.parametrize("cores", [2, 3, 8])
def test_several_processes_find_what_one_finds(
    tape: tapes.Tape, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    """However the work is shared, a change of any rendition's bytes is named by segment, byte and chunk."""
    monkeypatch.setattr(verify, "SHARED_BYTES_MIN", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores))
    assert said(capsys, tape.directory)[0] == 0
    path = tape.directory / "0002.tape"
    data = path.read_bytes()
    record = [r for r in records.scan(data) if isinstance(r, records.Record)][1]
    for part in record.parts.values():
        path.write_bytes(forged(data, record, part.offset))
        code, text = said(capsys, tape.directory)
        assert code == 1 and f"PROBLEM   segment 2, byte {record.offset}: chunk {record.n}: bytes of" in text


def test_damage_before_a_later_segment_is_named_where_it_is(
    tape: tapes.Tape, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tape.directory / "0000.tape"
    data = path.read_bytes()
    record = [r for r in records.scan(data) if isinstance(r, records.Record)][1]
    path.write_bytes(data[: record.end - 40] + b"?" + data[record.end - 39 :])
    code, text = said(capsys, tape.directory)
    assert code == 1
    assert f"PROBLEM   segment 0, byte {record.offset}: checksum does not match, and whole records follow" in text


def test_the_first_of_two_damages_is_named(tape: tapes.Tape, capsys: pytest.CaptureFixture[str]) -> None:
    first, last = tape.directory / "0000.tape", tape.directory / "0002.tape"
    record = [r for r in records.scan(first.read_bytes()) if isinstance(r, records.Record)][1]
    first.write_bytes(forged(first.read_bytes(), record, record.offsets[2]))
    data = bytearray(last.read_bytes())
    data[-1000] ^= 1  # in the end: a checksum that does not match
    last.write_bytes(data)
    code, text = said(capsys, tape.directory)
    assert code == 1 and f"PROBLEM   segment 0, byte {record.offset}: chunk 3: bytes of aac were changed" in text
