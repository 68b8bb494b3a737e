"""From 20 ms of program to chunks in the ring: encoders on a thread of their own, so that the mixer never waits."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import structlog

from stentor.core.chunker import Chunk, Chunker
from stentor.core.hold import Deadlines, HoldWatch, slice_at
from stentor.io.codec import Encoder
from stentor.io.ring import Ring
from stentor.io.wake import RING, Caller
from stentor.model.grid import SAMPLE_RATE
from stentor.model.rendition import RENDITIONS, Rendition

Samples = npt.NDArray[np.float32]
BLOCKS_MAX = 150  # three seconds of program may wait for the encoders
FRESH_NS = 100_000_000  # encoders that begin anew begin with a block no older than this, if there is one
LOCK_TRIES, LOCK_WAIT_S = 20, 0.001
log = structlog.get_logger()


class Block(NamedTuple):
    """A tick of program. `position` in samples of show time; `voiced`: somebody is on air."""

    position: int
    samples: Samples
    voiced: bool


class Lane:
    """One rendition: encoder and chunker, started at a sample where one of its frames begins."""

    def __init__(self, rendition: Rendition, ring: Ring, position: int) -> None:
        first_frame = -(-position // rendition.frame_samples)
        self.rendition = rendition
        self._skip = first_frame * rendition.frame_samples - position
        self._encoder = Encoder(rendition)
        self._chunker = Chunker(rendition, ring.grid, first_frame)

    @property
    def next_n(self) -> int:
        """The chunk in hand; those before it come from this lane no more."""
        return self._chunker.n

    def feed(self, samples: Samples) -> list[Chunk]:
        skipped = min(self._skip, len(samples))
        self._skip -= skipped
        if skipped == len(samples):
            return []
        made = (self._chunker.receive(frame) for frame in self._encoder.encode(samples[skipped:]))
        return [chunk for chunk in made if chunk is not None]


class Airing:
    """Owns the encoders of a show. `after` is called on the airing thread after each block."""

    def __init__(
        self, ring: Ring, deadlines: Deadlines, caller: Caller, tone: Samples, after: Callable[[], None]
    ) -> None:
        self.late_chunks = 0
        self.shed_blocks = 0
        self.problem = ""
        self._ring, self._deadlines, self._caller, self._tone, self._after = ring, deadlines, caller, tone, after
        self._blocks: queue.Queue[Block | None] = queue.Queue(BLOCKS_MAX)
        self._lanes: list[Lane] = []
        self._attending = self._gave_up = False
        self._due_is_hold = HoldWatch(Deadlines(ring.grid, 0, 0), ring.slots)
        self._next_position = -1
        self._voiced: dict[int, bool] = {}
        self._was_voiced = False
        self._thread = threading.Thread(target=self._run, name="airing", daemon=True)
        self._thread.start()

    def put(self, block: Block) -> bool:
        """Queue a block; False if the encoders are so far behind that it was dropped (they begin anew after it)."""
        try:
            self._blocks.put_nowait(block)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        self._blocks.put(None)
        self._thread.join(5)
        self._ring.leave()

    def _run(self) -> None:
        while (block := self._blocks.get()) is not None:
            try:
                self._air(block)
                self._after()
                self.problem = ""
            except Exception as error:  # whatever an encoder throws, the show goes on: hold, then anew
                self.problem = f"encoders: {error}"
                self._give_up()
                log.exception("airing failed", position=block.position)

    def _air(self, block: Block) -> None:
        if self._is_late(block, time.monotonic_ns()):
            self._shed()
            return
        if block.position != self._next_position:
            self._lanes = [Lane(rendition, self._ring, block.position) for rendition in RENDITIONS]
            self._gave_up = False
        self._next_position = block.position + len(block.samples)
        self._note_voice(block)
        samples = self._with_hold(block)
        published = self._fill()
        self._attending = self._attending or self._ring.attend()  # until now, as for the dead, nobody waits for us
        for lane in self._lanes:
            for chunk in lane.feed(samples):
                published |= self._publish(lane.rendition, chunk)
        if published:
            self._caller.call(RING)

    def _fill(self) -> bool:
        """Hold, as soon as it is due, for what began before the lanes did: the usher would wait for us."""
        heads, published = self._ring.heads().by_id, False
        if all(lane.next_n <= heads[lane.rendition.id] + 1 for lane in self._lanes):
            return False
        begun = {lane.rendition.id: lane.next_n for lane in self._lanes}
        for rendition_id, n in self._due_is_hold.tick(heads, self._ring.end_n, time.monotonic_ns()):
            if n < begun[rendition_id]:
                data = self._ring.holds[rendition_id].chunk(self._ring.grid, n)
                published |= publish(self._ring, rendition_id, n, data, hold=True)
        return published

    def _is_late(self, block: Block, now_ns: int) -> bool:
        """Whether hold has its place. Encoders that gave up once do not begin with old blocks either: from there, ones
        that barely keep up with the program would be late with that chunk too, and give up again, and again."""
        grid = self._ring.grid
        if self._deadlines.studio_must_hold(block.position // grid.chunk_samples, now_ns):
            return True
        made_ns = grid.t0_mono_ns + block.position * 1_000_000_000 // SAMPLE_RATE
        return self._gave_up and now_ns - made_ns > FRESH_NS and not self._blocks.empty()

    def _shed(self) -> None:
        """Hold has taken this block's place: work on it would only make the next ones late too."""
        if self._next_position >= 0:
            log.warning("airing is late; encoders begin anew", waiting=self._blocks.qsize())
        self._give_up()
        self._gave_up = True
        self.shed_blocks += 1

    def _give_up(self) -> None:
        self._next_position = -1
        if self._attending:
            self._ring.leave()
            self._attending = False

    def _note_voice(self, block: Block) -> None:
        size = self._ring.grid.chunk_samples
        for n in {block.position // size, (self._next_position - 1) // size}:
            self._voiced[n] = self._voiced.get(n, False) or block.voiced
        while len(self._voiced) > 16:
            del self._voiced[min(self._voiced)]

    def _with_hold(self, block: Block) -> Samples:
        """Between voices the encoders hear the hold tone, so that hold chunks join on without a click."""
        was, self._was_voiced = self._was_voiced, block.voiced
        if was and block.voiced:
            return block.samples
        tone = slice_at(self._tone, block.position, len(block.samples))
        if was == block.voiced:
            return tone
        fade = np.linspace(0, 1, len(tone), dtype=np.float32)
        return block.samples * fade + tone * (1 - fade) if block.voiced else block.samples * (1 - fade) + tone * fade

    def _publish(self, rendition: Rendition, chunk: Chunk) -> bool:
        if self._ring.end_n and chunk.n >= self._ring.end_n:
            return False
        late = self._deadlines.studio_must_hold(chunk.n, time.monotonic_ns())
        hold = late or not self._voiced.get(chunk.n, False)
        data = self._ring.holds[rendition.id].chunk(self._ring.grid, chunk.n) if hold else chunk.data
        written = publish(self._ring, rendition.id, chunk.n, data, hold=hold)
        self.late_chunks += late or not written
        return written


def publish(ring: Ring, rendition_id: int, n: int, data: bytes, *, hold: bool) -> bool:
    """`ring.publish`, waiting a little for another writer, who is done in microseconds unless it was stopped."""
    for _ in range(LOCK_TRIES):
        try:
            return ring.publish(rendition_id, n, data, hold=hold)
        except BlockingIOError:
            time.sleep(LOCK_WAIT_S)
    return False
