"""From ticks of program to the ring and on to the tape, with the real encoders."""

import queue
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stentor.core.hold import Deadlines, loop
from stentor.core.tape import TapeReader, TapeWriter
from stentor.formats import chunks
from stentor.io import disk, keys
from stentor.io import ring as rings
from stentor.io.codec import Encoder
from stentor.io.codec.decoder import Decoder
from stentor.io.wake import Caller
from stentor.model.grid import Grid
from stentor.model.rendition import OPUS, RENDITIONS, Rendition
from stentor.nodes import airing as airing_module
from stentor.nodes.airing import Airing, Block
from stentor.nodes.recorder import Recorder, TapeUnusable, new_meta, recover
from support.tapes import holds

HOUR_NS = 3_600_000_000_000
TONE = loop()
LATER = Deadlines(Grid(0, 0, 24_000), HOUR_NS, 2 * HOUR_NS)


def ring_at(path: Path, began_s_ago: float = 0.0) -> rings.Ring:
    loops = holds()  # before the clock is read: it takes a while the first time
    grid = Grid(time.time_ns(), time.monotonic_ns() - int(began_s_ago * 1e9), 24_000)
    return rings.create(path / "show.ring", "show", grid, loops)


def air(
    tmp: Path,
    ring: rings.Ring,
    ticks: range,
    voice: Callable[[int], np.ndarray | None],
    *,
    graces_ms=(10**7, 2 * 10**7),
    after=lambda: None,
) -> Airing:
    """Air `ticks`, faster than real time; `voice(tick)` is the program of a tick or None for nobody."""
    deadlines = Deadlines(ring.grid, graces_ms[0] * 1_000_000, graces_ms[1] * 1_000_000)
    airing = Airing(ring, deadlines, Caller(tmp / "wake"), TONE, after)
    for i in ticks:
        samples = voice(i)
        block = Block(i * 960, np.zeros(960, np.float32) if samples is None else samples, samples is not None)
        while not airing.put(block):
            time.sleep(0.01)
    airing.close()
    return airing


def tone(i: int) -> np.ndarray:
    return (0.2 * np.sin((np.arange(960) + i * 960) * 0.06)).astype(np.float32)


def test_without_a_voice_hold_is_aired_and_with_one_the_program(tmp_path: Path) -> None:
    ring = ring_at(tmp_path)
    air(tmp_path, ring, range(25, 25 * 9), lambda i: tone(i) if 25 * 4 <= i < 25 * 6 else None)
    for rendition in RENDITIONS:
        found = [ring.get(rendition.id, n) for n in range(2, 8)]
        assert [chunk is not None and chunk.hold for chunk in found] == [True, True, False, False, True, True]
        for chunk in found:
            assert chunk is not None
            assert (chunk.data == holds()[rendition.id].chunk(ring.grid, chunk.n)) == chunk.hold


@pytest.mark.parametrize("rendition", RENDITIONS, ids=lambda r: r.name)
def test_hold_and_program_join_without_a_click(tmp_path: Path, rendition: Rendition) -> None:
    ring = ring_at(tmp_path)
    silence = np.zeros(960, np.float32)
    air(tmp_path, ring, range(25, 25 * 12), lambda i: silence if 25 * 4 <= i < 25 * 8 else None)
    aired = [ring.get(rendition.id, n) for n in range(2, 11)]
    decoder = Decoder(rendition)
    heard = np.concatenate([decoder.decode(chunk.data) for chunk in aired if chunk is not None])
    steady = np.abs(np.diff(TONE)).max()
    assert np.abs(np.diff(heard[4_800:])).max() < 3 * steady


def test_what_is_late_is_hold_whoever_wrote_it(tmp_path: Path) -> None:
    ring = ring_at(tmp_path, began_s_ago=4.0)
    for rendition in RENDITIONS:
        ring.publish(rendition.id, 2, holds()[rendition.id].chunk(ring.grid, 2), hold=True)
    airing = air(tmp_path, ring, range(25, 25 * 20), tone, graces_ms=(150, 400))
    found = {n: chunk.hold for n in range(2, 19) if (chunk := ring.get(OPUS.id, n)) is not None}
    assert found[2] and not found[max(found)]
    assert min(n for n, hold in found.items() if not hold) >= 7, "what edges have filled by themselves stays hold"
    assert airing.shed_blocks >= 100, "late blocks cost nothing"


class Simulated:
    """Clock and queue of an airing: a block is there when its tick is over by the clock, which goes on as encoders work
    and while nothing is there."""

    Full = queue.Full

    def __init__(self, ring: rings.Ring, ticks: range, now_ns: int) -> None:
        self._t0_ns, self._ticks, self._now_ns = ring.grid.t0_mono_ns, ticks, now_ns

    def Queue(self, size: int) -> "Simulated":
        return self

    def monotonic_ns(self) -> int:
        return self._now_ns

    def work(self, ns: int) -> None:
        self._now_ns += ns

    def _next_ns(self) -> int:
        return self._t0_ns + (self._ticks[0] + 1) * 20_000_000

    def empty(self) -> bool:
        return not self._ticks or self._next_ns() > self._now_ns

    def qsize(self) -> int:
        return int(not self.empty())

    def put(self, end: None) -> None:
        """It ends by itself."""

    def get(self) -> Block | None:
        if not self._ticks:
            return None
        self._now_ns = max(self._now_ns, self._next_ns())
        i, self._ticks = self._ticks[0], self._ticks[1:]
        return Block(i * 960, tone(i), True)


def test_encoders_that_barely_keep_up_come_back_after_a_stall(tmp_path: Path, monkeypatch) -> None:
    """To begin takes them 100 ms, and each block 18 of its 20: what piled up in a stall is not worked off in time."""
    ring = ring_at(tmp_path)
    simulated = Simulated(ring, range(100, 400), ring.grid.t0_mono_ns + 4_000_000_000)  # 2 s have piled up
    encode, begin = Encoder.encode, Encoder.__init__

    def begin_slowly(self: Encoder, rendition: Rendition) -> None:
        simulated.work(17_000_000)
        begin(self, rendition)

    def slowly(self: Encoder, samples: np.ndarray) -> list[bytes]:
        simulated.work(3_000_000)
        return encode(self, samples)

    monkeypatch.setattr(Encoder, "__init__", begin_slowly)
    monkeypatch.setattr(Encoder, "encode", slowly)
    monkeypatch.setattr(airing_module, "queue", simulated)
    monkeypatch.setattr(airing_module, "time", simulated)
    airing = Airing(ring, Deadlines(ring.grid, 150_000_000, 400_000_000), Caller(tmp_path / "wake"), TONE, lambda: None)
    airing.close()
    found = [chunk.hold for n in range(9, 15) if (chunk := ring.get(OPUS.id, n)) is not None]
    assert found == [False] * 6
    assert 60 <= airing.shed_blocks < 120, "they gave up once"


def test_after_missing_ticks_the_encoders_fall_back_onto_the_grid(tmp_path: Path) -> None:
    ring = ring_at(tmp_path)
    ticks = [*range(25, 130), *range(141, 300)]
    air(tmp_path, ring, ticks, tone)  # type: ignore[arg-type]
    present = [n for n in range(1, 11) if ring.get(OPUS.id, n) is not None]
    assert present == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11][: len(present)]
    for rendition in RENDITIONS:
        data = ring.get(rendition.id, 7)
        assert data is not None
        assert len(chunks.frames_of(rendition, data.data)) == ring.grid.frame_count(rendition, 7)


def test_what_began_before_the_encoders_is_hold_as_soon_as_it_is_due(tmp_path: Path) -> None:
    """A studio that comes back in the middle of chunk 3: nobody has to wait until the usher's grace is over."""
    ring = ring_at(tmp_path, began_s_ago=2.2)
    for rendition in RENDITIONS:
        ring.publish(rendition.id, 1, holds()[rendition.id].chunk(ring.grid, 1), hold=True)
    air(tmp_path, ring, range(90, 110), tone)
    for rendition in RENDITIONS:
        assert [found is not None and found.hold for found in (ring.get(rendition.id, n) for n in (2, 3))] == [True] * 2
        assert ring.head(rendition.id) == 3, "chunk 4 will be program"
    assert not ring.attended


def test_while_blocks_come_the_ring_is_attended(tmp_path: Path) -> None:
    ring, seen = ring_at(tmp_path), rings.Ring(tmp_path / "show.ring")
    found: list[bool] = []
    air(tmp_path, ring, range(25, 30), tone, after=lambda: found.append(seen.attended))
    assert found == [True] * 5
    assert not seen.attended


def test_while_blocks_are_too_late_nobody_is_to_wait_for_them(tmp_path: Path, monkeypatch) -> None:
    ring = ring_at(tmp_path)
    simulated = Simulated(ring, range(25, 300), ring.grid.t0_mono_ns + 4_000_000_000)
    monkeypatch.setattr(airing_module, "queue", simulated)
    monkeypatch.setattr(airing_module, "time", simulated)
    seen, found = rings.Ring(tmp_path / "show.ring"), list[bool]()
    deadlines = Deadlines(ring.grid, 150_000_000, 400_000_000)
    Airing(ring, deadlines, Caller(tmp_path / "wake"), TONE, lambda: found.append(seen.attended)).close()
    assert not found[0] and found[-1]
    assert found == sorted(found), "once it has begun it goes on"


def test_the_tape_holds_what_was_aired_through_a_restart(tmp_path: Path) -> None:
    ring, signer, tape = ring_at(tmp_path), keys.Signer(tmp_path / "keys"), tmp_path / "tape"
    ring.live_n = 3

    def recorder() -> Recorder:
        taped = recover(tape)
        meta = new_meta(ring, "Show", ring.live_n, signer.public_key)
        writer = TapeWriter.resume(taped) if taped else TapeWriter.begin(meta, holds())
        return Recorder(ring, writer, tape, 1 << 24)

    first = recorder()
    air(tmp_path, ring, range(25, 25 * 8), tone, after=first.step)
    first.close(5)
    for n in range(8, 11):  # the studio is dead: the usher's hold
        for rendition in RENDITIONS:
            ring.publish(rendition.id, n, holds()[rendition.id].chunk(ring.grid, n), hold=True)
    second = recorder()
    air(tmp_path, ring, range(25 * 11, 25 * 14), tone, after=second.step)
    ring.end_n = 13
    second.step()
    assert second.complete and second.finish(signer, 5)
    reader = TapeReader(keys.verify)
    segments = [path.read_bytes() for path in disk.segments(tape)]
    assert all(reader.receive_segment(data) for data in segments), reader.findings
    assert reader.end is not None and (reader.end.first_n, reader.end.last_n) == (3, 12)
    for rendition in RENDITIONS:
        for n, entry in enumerate(reader.index.entries(rendition.id), 3):
            hold = holds()[rendition.id].chunk(ring.grid, n)
            aired = ring.get(rendition.id, n)  # what is not there, edges air as hold
            taped = segments[entry.segment][entry.offset : entry.offset + entry.length]
            assert (taped or hold) == (hold if aired is None else aired.data)


def test_a_foreign_tape_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "0000.tape").write_bytes(b"RIFF" + bytes(400))
    with pytest.raises(TapeUnusable, match=r"0000\.tape, byte 0"):
        recover(tmp_path)
