"""One show on the stage of this machine: its ring, its life by the clock, its encoders and its tape."""

from __future__ import annotations

import time
from pathlib import Path

import structlog
from msgspec.structs import replace

from stentor.core import hold
from stentor.core.life import FINAL, Cause, Change, Life, Times
from stentor.core.stem import Stem
from stentor.core.tape import TapeReader, TapeWriter
from stentor.formats.chunks import Hold
from stentor.formats.rtp import opus_samples
from stentor.io import ring as rings
from stentor.io.codec.stored import stored_holds
from stentor.io.keys import Signer
from stentor.io.stems import StemFiles
from stentor.io.wake import Caller
from stentor.model import board
from stentor.model.grid import FIRST_N, Grid
from stentor.nodes.airing import Airing, Block
from stentor.nodes.recorder import Recorder, new_meta, recover
from stentor.settings import Settings

HOLD_FILE = "hold.cache"  # in data_dir; made anew if it is not there
SEAL_PATIENCE_S = 10.0
LATE_NS_MAX = 30_000_000_000  # a studio that comes later to a start records from when it came
CLOCK_CHUNKS_MAX = 2  # by which a clock that is kept right may have moved against the grid
log = structlog.get_logger()


def tape_directory(settings: Settings, show_id: str) -> Path:
    return settings.data_dir / "shows" / show_id / "tape"


def ring_path(settings: Settings, show_id: str) -> Path:
    return settings.run_dir / "rings" / f"{show_id}.ring"


def the_hold(settings: Settings) -> dict[int, Hold]:
    """The hold of every rendition, by id; on the first call of an installation it is made, which takes seconds."""
    return stored_holds(settings.data_dir / HOLD_FILE, hold.loop())


def lay_grid(starts_at_ms: int, chunk_ms: int, wall_ns: int, mono_ns: int) -> Grid:
    """A grid that began one to two chunks ago and has the show's start on a chunk's boundary."""
    chunk_ns, starts_ns = chunk_ms * 1_000_000, starts_at_ms * 1_000_000
    before = -((wall_ns - starts_ns) // chunk_ns) + 1
    t0 = starts_ns - before * chunk_ns
    return Grid(t0, mono_ns - (wall_ns - t0), chunk_ms * 48)


def first_live(grid: Grid, starts_at_ms: int, wall_ns: int, mono_ns: int) -> int:
    """The first chunk of a show that starts now, by the clock, or did so a moment ago: the one laid for its start.

    If the clock was set since the grid was laid, it is the chunk by the clock as it is now.
    """
    n = (starts_at_ms * 1_000_000 - grid.t0_wall_ns) * 48_000 // (1_000_000_000 * grid.chunk_samples)
    late_ns = min(max(0, wall_ns - starts_at_ms * 1_000_000), LATE_NS_MAX)
    by_clock = grid.n_at(mono_ns - late_ns)
    return n if abs(n - by_clock) <= CLOCK_CHUNKS_MAX else by_clock


def attach_ring(settings: Settings, show: board.Show, taped: TapeReader | None) -> rings.Ring:
    """The show's ring: as a studio before this one left it, or laid anew (on the tape's grid, if there is a tape)."""
    path = ring_path(settings, show.id)
    if path.exists():
        try:
            return rings.Ring(path)
        except rings.RingError as error:
            log.error("ring laid anew", reason=str(error))
    wall_ns, mono_ns = time.time_ns(), time.monotonic_ns()
    if taped is None or taped.meta is None:
        grid = lay_grid(show.starts_at_ms, show.chunk_ms, wall_ns, mono_ns)
        return rings.create(path, show.id, grid, the_hold(settings))
    t0, chunk_samples = taped.meta.t0_wall_ns, taped.meta.chunk_samples
    ring = rings.create(path, show.id, Grid(t0, mono_ns - (wall_ns - t0), chunk_samples), taped.holds)
    ring.live_n = taped.meta.first_n
    return ring


class ShowRun:
    """Everything that one show needs. `control` is called ten times a second, `air` at every tick of the mixer."""

    def __init__(self, settings: Settings, show: board.Show, before: board.Stage | None, caller: Caller) -> None:
        self._settings, self._signer = settings, Signer(settings.keys_dir)
        self.show = show
        self._directory = tape_directory(settings, show.id)
        taped = recover(self._directory)
        self.ring = attach_ring(settings, show, taped)
        graces = (settings.hold_grace_ms * 1_000_000, settings.edge_grace_ms * 1_000_000)
        self._deadlines = hold.Deadlines(self.ring.grid, *graces)
        phase = before.phase if before is not None and before.show == show.id else board.Phase.ANNOUNCED
        if self.ring.live_n and phase not in FINAL:
            phase = board.Phase.LIVE
        draws_at_ms = min(show.draws_at_ms, show.starts_at_ms)
        self._life = Life(Times(show.opens_at_ms, show.starts_at_ms, draws_at_ms), phase)
        self._recorder: Recorder | None = None
        self._stems: dict[str, Stem] = {}
        self._stem_files = StemFiles(self._directory.parent / "stems")
        self.sealed = taped is not None and taped.end is not None
        if self.ring.live_n and not self.sealed:
            self._record(taped)
        self._airing = Airing(self.ring, self._deadlines, caller, hold.loop(), self._after_block)

    @property
    def grid(self) -> Grid:
        return self.ring.grid

    @property
    def phase(self) -> board.Phase:
        """As the public sees it: a show has ended when its tape is sealed."""
        if self._life.phase is board.Phase.ENDED and not self.sealed:
            return board.Phase.LIVE
        return self._life.phase

    @property
    def over(self) -> bool:
        return self._life.phase is board.Phase.CANCELLED or self.sealed

    def air(self, block: Block) -> None:
        self._airing.put(block)

    def _after_block(self) -> None:
        if self._recorder is not None:
            self._recorder.step()

    def keep_stem(self, seat: str, packet: bytes, position: int) -> None:
        """A speaker's own packet, going into the program at `position` in show time; kept once the show is live."""
        if not self.ring.live_n or not self._settings.stems:
            return
        since_start = position - self.ring.live_n * self.grid.chunk_samples
        stem = self._stems.setdefault(seat, Stem(seat, len(self._stems) + 1))
        for name, data in stem.receive(packet, opus_samples(packet), since_start):
            self._stem_files.append(name, data)

    def control(self, show: board.Show) -> None:
        """Reconcile with what the crew wants and what the clock says."""
        self.show = show
        for change in self._life.tick(time.time_ns() // 1_000_000, show.wish, show.reason):
            log.info("phase", show=show.id, before=change.before, after=change.after, cause=change.cause)
            if change.after is board.Phase.LIVE:
                self._go_live(change)
            elif change.after is board.Phase.ENDED:
                self.ring.end_n = self.grid.n_at(time.monotonic_ns()) + 1
        self._fill_overdue()

    def _go_live(self, change: Change) -> None:
        """Recording begins at T0, on its chunk, even if the studio comes to it a little late."""
        n = first_live(self.grid, self.show.starts_at_ms, time.time_ns(), time.monotonic_ns())
        if change.cause is not Cause.STARTS:
            n = self.grid.n_at(time.monotonic_ns()) + 1
        self.ring.live_n = max(n, self.ring.oldest(), FIRST_N)
        self._record(None)

    def _record(self, taped: TapeReader | None) -> None:
        meta = new_meta(self.ring, self.show.title, self.ring.live_n, self._signer.public_key)
        writer = TapeWriter.resume(taped) if taped else TapeWriter.begin(meta, self.ring.holds)
        self._recorder = Recorder(self.ring, writer, self._directory, self._settings.tape_memory_bytes_max)
        if taped:
            self._recorder.note("resumed", "the studio was started again")

    def _fill_overdue(self) -> None:
        """What edges aired by themselves, with usher and studio away, goes on record as the hold that it was."""
        edges = hold.Deadlines(self.grid, self._settings.edge_grace_ms * 1_000_000, 0)
        watch = hold.HoldWatch(edges, self.ring.slots)
        for rendition_id, n in watch.tick(self.ring.heads().by_id, self.ring.end_n, time.monotonic_ns()):
            data = self.ring.holds[rendition_id].chunk(self.grid, n)
            self.ring.publish(rendition_id, n, data, hold=True)

    def seal(self) -> bool:
        """End the tape, once all is on it; blocks on the disk. -> whether the show is over and done."""
        if self._life.phase is not board.Phase.ENDED or self._recorder is None:
            return self.sealed
        if not self._recorder.complete:
            self._recorder.step()
        if self._recorder.complete and self._recorder.finish(self._signer, SEAL_PATIENCE_S):
            self.sealed = True
        return self.sealed

    def close(self) -> None:
        """Stop here; a studio that comes later goes on."""
        self._airing.close()
        for stem in self._stems.values():
            for name, data in stem.finish():
                self._stem_files.append(name, data)
        self._stem_files.close(SEAL_PATIENCE_S)
        if self._recorder is not None and not self.sealed:
            self._recorder.close(SEAL_PATIENCE_S)

    def _wall_ms(self, n: int) -> int:
        return self.grid.wall_ns(n) // 1_000_000 if n else 0

    def state(self, stage: board.Stage) -> board.Stage:
        """`stage` with what this show adds."""
        ring = self.ring
        return replace(
            stage,
            show=self.show.id,
            title=self.show.title,
            phase=self.phase,
            ring=str(ring.path),
            tape_directory=str(self._directory),
            t0_wall_ns=self.grid.t0_wall_ns,
            chunk_ms=self.grid.chunk_samples // 48,
            n=ring.heads().whole,
            live_n=ring.live_n,
            end_n=ring.end_n,
            started_at_ms=self._wall_ms(ring.live_n),
            ended_at_ms=self._wall_ms(ring.end_n),
            late_chunks=self._airing.late_chunks,
            tape=self._recorder.state() if self._recorder is not None else board.Tape(),
            problem=self._airing.problem,
        )
