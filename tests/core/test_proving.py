"""A downloaded file and its proof: the signed audio passes, and nothing else does."""

from functools import cache

import msgspec
import pytest

from stentor.core.proving import Head, Unproven, check
from stentor.core.tape import TapeReader, TapeWriter
from stentor.formats import chunks, proof
from stentor.formats.proof import CHECKPOINT_CHUNKS
from stentor.io import keys
from stentor.model.grid import Grid
from stentor.model.rendition import AAC, RENDITIONS
from support import tapes

FIRST_N, LAST_N = 100, 260
GRID = Grid(tapes.T0_NS, 0, 24_000)


def aired(n: int) -> dict[int, bytes | None]:
    """Frames of noise: the proof looks at bytes, not at sound."""
    return {
        r.id: None if n in (150, 151) else chunks.build(r, GRID, n, frames_of_chunk(n, GRID.frame_count(r, n)))
        for r in RENDITIONS
    }


def frames_of_chunk(n: int, count: int) -> list[bytes]:
    return [b"%d.%d" % (n, k) for k in range(count)]


@cache
def recorded() -> tuple[proof.Proof, tuple[bytes, ...], dict[int, bytes]]:
    """-> (proof of `aac`, its frames, the chain after each chunk)."""
    writer = TapeWriter.begin(tapes.meta("town-hall", first_n=FIRST_N), tapes.holds())
    data, frames, chains = writer.open_segment(), [], {}
    for n in range(FIRST_N, LAST_N + 1):
        data += writer.add_chunk(aired(n))
        chunk = aired(n)[AAC.id] or tapes.holds()[AAC.id].chunk(GRID, n)
        frames += chunks.frames_of(AAC, chunk)
        chains[n] = writer.chain
    data += writer.add_end(tapes.T0_NS, tapes.KEY.sign)
    reader = TapeReader(keys.verify)
    assert reader.receive_segment(data) and reader.meta is not None
    body, signature = reader.end_body.decode(), reader.end_signature
    made = proof.Proof(proof.VERSION, "aac", reader.meta, body, signature, tuple(reader.checkpoints))
    return proof.decode(proof.encode(made)), tuple(frames), chains


def refusal(made: proof.Proof, frames: tuple[bytes, ...], head: Head | None = None) -> str:
    with pytest.raises(Unproven) as caught:
        check(made, frames, keys.verify, head)
    return str(caught.value)


def test_what_was_signed_is_proven() -> None:
    made, frames, _ = recorded()
    proven = check(made, frames, keys.verify)
    assert (proven.end.first_n, proven.end.last_n, proven.checkpoints) == (FIRST_N, LAST_N, 2)


@pytest.mark.parametrize("n", [CHECKPOINT_CHUNKS, 2 * CHECKPOINT_CHUNKS])
def test_a_head_noted_at_a_checkpoint_is_proven(n: int) -> None:
    made, frames, chains = recorded()
    check(made, frames, keys.verify, Head(n, chains[n]))
    assert "not the head that was noted" in refusal(made, frames, Head(n, chains[n - 1]))


def test_a_head_between_checkpoints_needs_the_tape() -> None:
    made, frames, chains = recorded()
    assert "is no checkpoint" in refusal(made, frames, Head(130, chains[130]))


def test_changed_audio_is_seen_and_placed_to_the_minute() -> None:
    made, frames, _ = recorded()
    changed = list(frames)
    changed[2000] = b"forged"
    assert "between 10.5 s and 70.5 s (chunks 121..240)" in refusal(made, tuple(changed))
    changed = list(frames)
    changed[-1] = b"forged"
    assert "(chunks 241..260)" in refusal(made, tuple(changed))


def test_a_file_cut_short_or_gone_on_is_seen() -> None:
    made, frames, _ = recorded()
    assert refusal(made, frames[:-1]) == "the file ends in chunk 260; the tape goes on to chunk 260"
    assert "goes on after chunk 260" in refusal(made, (*frames, b"more"))


def test_another_rendition_is_not_this_one() -> None:
    made, frames, _ = recorded()
    other = msgspec.structs.replace(made, rendition="aac-low")
    assert "the audio is not the tape's" in refusal(other, frames)
    assert "which the tape does not have" in refusal(msgspec.structs.replace(made, rendition="flac"), frames)


def test_a_proof_that_was_changed_is_refused() -> None:
    made, frames, _ = recorded()
    replace = msgspec.structs.replace
    ended = replace(made, end=made.end.replace('"last_n":260', '"last_n":259'))
    assert "signature" in refusal(ended, frames)
    moved = replace(made, checkpoints=(replace(made.checkpoints[0], n=121),))
    assert "checkpoint 121 is the record of chunk 120" in refusal(moved, frames)
    junk = replace(made, checkpoints=(replace(made.checkpoints[0], linked=b"junk"),))
    assert "not readable" in refusal(junk, frames)
    foreign = replace(made, tape=replace(made.tape, show="other"))
    assert "another tape" in refusal(foreign, frames)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"version":9}'])
def test_what_is_no_proof_gets_a_reason(data: bytes) -> None:
    with pytest.raises(proof.BadProof, match=r"\w+"):
        proof.decode(data)


def test_a_proof_is_small() -> None:
    made, _, _ = recorded()
    checkpoints = 3 * 3600 * 2 // CHECKPOINT_CHUNKS
    bytes_each = len(msgspec.json.encode(made.checkpoints[0]))
    assert len(proof.encode(made)) + checkpoints * bytes_each < 200_000
