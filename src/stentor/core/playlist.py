"""What an HLS playlist of a rendition says at a given moment, and for which request it has to wait.

`Live` slides along with the ring, `Past` grows with the tape.

Parts are chunks, or as many of them as make half a second; segments are four seconds of parts. Both are counted from
chunk 1: segment `msn` has the chunks `msn * S + 1 .. (msn + 1) * S`. Names are the same wherever they are made, and a
name once given never means anything else. (draft-pantos-hls-rfc8216bis, section 6.2.5.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from stentor.formats import m3u8
from stentor.formats.query import BadNumber, is_number, number
from stentor.model.grid import FIRST_N, SAMPLE_RATE, Grid
from stentor.model.rendition import AAC, AAC_LOW, OPUS, Rendition

RENDITIONS = (AAC, AAC_LOW, OPUS)  # what can be had as HLS; a player begins with the first
CODECS = {"aac": "mp4a.40.2", "opus": "opus"}
OVERHEAD_BPS = 8_000  # of fragments
PEAK = 1.3
PART_S_MIN = 0.5
SEGMENT_S = 4
SEGMENTS_MAX = 10  # whole ones in a live playlist; the ring keeps half as much again, for who is slow to fetch
PARTS_OF_SEGMENTS = 3  # of the newest whole segments the parts are listed too
SKIP_TARGETS = 6  # a delta update leaves out what is older than so many target durations
FIRST_SEGMENTS = 2  # whole ones in the first playlist that is given out: docs/PLAYERS.md, "HLS as the doors open"
AHEAD_SEGMENTS_MAX = 2  # a request for something further ahead is a mistake


class BadRequest(ValueError):
    """Delivery directives that make no sense; the text says why."""


class Directives(NamedTuple):
    """`_HLS_msn`, `_HLS_part`, `_HLS_skip`."""

    msn: int | None = None
    part: int | None = None
    skip: bool = False


def directives(query: Mapping[str, str]) -> Directives:
    """From a request's query; other fields are nobody's. Raises `BadRequest`."""
    try:
        msn, part = number(query, "_HLS_msn"), number(query, "_HLS_part")
    except BadNumber as error:
        raise BadRequest(str(error)) from None
    if part is not None and msn is None:
        raise BadRequest("_HLS_part needs _HLS_msn")
    return Directives(msn, part, query.get("_HLS_skip") in ("YES", "v2"))


@dataclass(frozen=True, slots=True)
class Layout:
    """How the chunks of one rendition make parts and segments."""

    grid: Grid
    rendition: Rendition

    @property
    def part_chunks(self) -> int:
        return max(1, -int(-PART_S_MIN // self.grid.chunk_s))

    @property
    def segment_parts(self) -> int:
        return max(1, round(SEGMENT_S / (self.part_chunks * self.grid.chunk_s)))

    @property
    def segment_chunks(self) -> int:
        return self.part_chunks * self.segment_parts

    @property
    def part_target_s(self) -> float:
        """No part is longer: the chunks' length, rounded up to frames."""
        frame = self.rendition.frame_samples
        return -(-self.part_chunks * self.grid.chunk_samples // frame) * frame / SAMPLE_RATE

    @property
    def target_s(self) -> int:
        """No segment, rounded to seconds, is longer."""
        samples = self.segment_chunks * self.grid.chunk_samples + self.rendition.frame_samples
        return (2 * samples + SAMPLE_RATE) // (2 * SAMPLE_RATE)

    def part_of(self, n: int) -> tuple[int, int]:
        """(msn, part) of the newest part that is whole when chunk `n` is there; (-1, ...) before the first."""
        parts = n // self.part_chunks - 1
        return parts // self.segment_parts, parts % self.segment_parts

    def chunks(self, msn: int, part: int | None = None) -> range:
        """The numbers of the chunks of a segment, or of one of its parts."""
        first = msn * self.segment_chunks + FIRST_N
        if part is None:
            return range(first, first + self.segment_chunks)
        first += part * self.part_chunks
        return range(first, first + self.part_chunks)

    def duration_s(self, chunks: range) -> float:
        """By the frames that sound in them."""
        frames = self.grid.first_frame(self.rendition, chunks.stop) - self.grid.first_frame(
            self.rendition, chunks.start
        )
        return frames * self.rendition.frame_samples / SAMPLE_RATE

    def began_ms(self, n: int) -> int:
        """Unix time at which chunk `n` of this rendition begins to sound."""
        since_ns = self.grid.presented_at(self.rendition, n) * 1_000_000_000 // SAMPLE_RATE
        return (self.grid.t0_wall_ns + since_ns) // 1_000_000


def needed(layout: Layout, wanted: Directives, newest: int, end_n: int) -> int:
    """The chunk that has to be there before this request is answered; 0: answer now.

    `newest` is the last chunk out, `end_n` one past the last of the show (0: not known). The first playlist is given
    out with whole segments: some players never go on from one with fewer. Raises `BadRequest` for what lies too far
    ahead.
    """
    if wanted.msn is None:
        first = layout.chunks(FIRST_SEGMENTS - 1)[-1]
        return 0 if end_n or newest >= first else first
    msn, part = wanted.msn, layout.segment_parts - 1 if wanted.part is None else wanted.part
    if part >= layout.segment_parts:  # beyond its segment: the first part of the next one
        msn, part = msn + 1, 0
    last = layout.chunks(msn, part)[-1]
    if end_n and last >= end_n:
        last = end_n - 1
    elif last > newest + AHEAD_SEGMENTS_MAX * layout.segment_chunks:
        raise BadRequest(f"segment {wanted.msn} is too far ahead; the newest has number {layout.part_of(newest)[0]}")
    return last if last > newest else 0


class Names(NamedTuple):
    """URIs relative to the playlist."""

    header: str = "init.mp4"
    end: str = ".m4s"

    def segment(self, msn: int) -> str:
        return f"s{msn}{self.end}"

    def part(self, msn: int, part: int) -> str:
        return f"s{msn}p{part}{self.end}"


NAMES = Names()


def parse_name(name: str) -> tuple[int, int | None] | None:
    """(msn, part or None) of `s<msn>.m4s` and `s<msn>p<part>.m4s`; None for anything else."""
    stem = name.removesuffix(NAMES.end)
    msn, mark, part = stem[1:].partition("p")
    if stem == name or not stem.startswith("s") or not _is_number(msn) or (mark and not _is_number(part)):
        return None
    return int(msn), int(part) if mark else None


def _is_number(text: str) -> bool:
    """As we write it, so that everything has one name."""
    return is_number(text) and (text == "0" or text[0] != "0")


class Kind(Enum):
    """What is in a rendition's directory."""

    PLAYLIST = "playlist"
    HEADER = "header"
    MEDIA = "media"


class Wanted(NamedTuple):
    """What a request asks for, and the chunk that has to be there before it is answered (0: none)."""

    kind: Kind
    wait_n: int = 0
    chunks: range = range(0)
    skip: bool = False
    plain: bool = False  # a playlist without parts


PLAYLIST_NAME = "live.m3u8"


def resolve(name: str, query: Mapping[str, str], live: Live, *, plain: bool = False) -> Wanted | None:
    """What `name` in the directory of a rendition stands for; None: nothing, not yet or not any more. With `plain`,
    a playlist has no parts unless it is asked for by directives.

    Raises `BadRequest` for directives that make no sense.
    """
    if name == PLAYLIST_NAME:
        asked = directives(query)
        wait_n = needed(live.layout, asked, live.newest, live.end_n)
        return Wanted(Kind.PLAYLIST, wait_n, skip=asked.skip, plain=plain and asked == Directives())
    if name == NAMES.header:
        return Wanted(Kind.HEADER)
    parsed = parse_name(name)
    return None if parsed is None else _media(*parsed, live)


def _media(msn: int, part: int | None, live: Live) -> Wanted | None:
    """A part may be asked for as soon as the hint names it, and is waited for; a segment once it is listed."""
    if part is not None and part >= live.layout.segment_parts:
        return None
    chunks = live.layout.chunks(msn, part)
    if live.end_n:
        chunks = range(chunks.start, min(chunks.stop, live.end_n))
    if not chunks or chunks.start < live.oldest:
        return None
    missing = chunks[-1] - live.newest
    if missing > (0 if part is None else live.layout.part_chunks):
        return None
    return Wanted(Kind.MEDIA, chunks[-1] if missing > 0 else 0, chunks)


@dataclass(frozen=True, slots=True)
class Live:
    """The sliding playlist of one rendition: chunks `oldest`..`newest` can be had, the show ends before `end_n` (0: not
    known yet). `reports` are of the other renditions."""

    layout: Layout
    oldest: int
    newest: int
    end_n: int = 0

    @property
    def ended(self) -> bool:
        return bool(self.end_n) and self.newest >= self.end_n - 1

    @property
    def whole_msn(self) -> int:
        """One past the last segment that is listed as whole; at the end that is the last, however short."""
        if self.ended:
            return -(-(self.end_n - FIRST_N) // self.layout.segment_chunks)
        return self.newest // self.layout.segment_chunks

    @property
    def first_msn(self) -> int:
        """The first one listed: all of it can still be had."""
        oldest = -(-(self.oldest - FIRST_N) // self.layout.segment_chunks)
        return max(0, oldest, self.whole_msn - SEGMENTS_MAX)

    @property
    def last_part(self) -> tuple[int, int]:
        """(msn, part) of the newest part, for the reports in other playlists."""
        return self.layout.part_of(self.newest)

    def render(self, *, skip: bool = False, reports: tuple[m3u8.Report, ...] = ()) -> m3u8.Media:
        """The playlist now; `skip` asks for a delta update, which is given if there is anything to leave out."""
        layout, whole = self.layout, self.whole_msn
        skipped = self._skippable() if skip else 0
        listed = range(self.first_msn + skipped, whole)
        with_parts = max(self.first_msn, whole - PARTS_OF_SEGMENTS)
        segments = [self._segment(msn, msn >= with_parts) for msn in listed]
        target_s = layout.target_s
        low = self._low_latency(whole, SKIP_TARGETS * target_s, reports)
        return m3u8.Media(target_s, self.first_msn, NAMES.header, segments, self.ended, skipped, low_latency=low)

    def render_plain(self) -> m3u8.Media:
        """The playlist without parts: whole segments, reloaded now and then."""
        segments = [self._segment(msn, False) for msn in range(self.first_msn, self.whole_msn)]
        return m3u8.Media(self.layout.target_s, self.first_msn, NAMES.header, segments, self.ended)

    def _skippable(self) -> int:
        """How many segments end before the time that may be skipped (section 4.4.3.8: counted from the end)."""
        chunk_s = self.layout.grid.chunk_s
        boundary_n = self.newest - round(SKIP_TARGETS * self.layout.target_s / chunk_s)
        return max(0, boundary_n // self.layout.segment_chunks - self.first_msn)

    def _chunks(self, msn: int, part: int | None = None) -> range:
        """Of a segment or part, as far as the show goes."""
        chunks = self.layout.chunks(msn, part)
        return range(chunks.start, min(chunks.stop, self.end_n)) if self.ended else chunks

    def _segment(self, msn: int, with_parts: bool) -> m3u8.Segment:
        chunks = self._chunks(msn)
        parts = self._parts(msn) if with_parts else ()
        duration_s, began_ms = self.layout.duration_s(chunks), self.layout.began_ms(chunks.start)
        return m3u8.Segment(NAMES.segment(msn), duration_s, began_ms, parts)

    def _parts(self, msn: int) -> tuple[m3u8.Part, ...]:
        """Those that are there."""
        found = []
        for part in range(self.layout.segment_parts):
            chunks = self._chunks(msn, part)
            if chunks and chunks[-1] <= self.newest:
                found.append(m3u8.Part(NAMES.part(msn, part), self.layout.duration_s(chunks)))
        return tuple(found)

    def _low_latency(self, whole: int, skip_until_s: float, reports: tuple[m3u8.Report, ...]) -> m3u8.LowLatency:
        layout = self.layout
        tail = () if self.ended else self._parts(whole)
        next_uri = "" if self.ended else NAMES.part(whole, len(tail))
        began_ms = layout.began_ms(layout.chunks(whole).start)
        return m3u8.LowLatency(layout.part_target_s, skip_until_s, tail, began_ms, next_uri, reports)


PAST_NAME = "dvr.m3u8"


class Past(NamedTuple):
    """The playlist of one rendition from the first recorded chunk on: chunks `first_n`..`last_n` are on tape.

    It never loses a segment, so that a player may go back to the beginning, and ends when the show has.
    """

    layout: Layout
    first_n: int
    last_n: int
    ended: bool

    @property
    def segments(self) -> range:
        """Numbers of the segments that are whole; the first and, at the end, the last may be shorter than the rest."""
        size = self.layout.segment_chunks
        stop = self.last_n // size
        if self.ended:
            stop = -(-(self.last_n + 1 - FIRST_N) // size)
        return range((self.first_n - FIRST_N) // size, stop)

    @property
    def listed(self) -> Past:
        """The same playlist, by the last chunk that it lists: equal for as long as the text is."""
        return self._replace(last_n=min(self.last_n, self.segments.stop * self.layout.segment_chunks))

    def render(self) -> m3u8.Media:
        segments = [self._segment(msn) for msn in self.segments]
        return m3u8.Media(self.layout.target_s, self.segments.start, NAMES.header, segments, self.ended, kind="EVENT")

    def _segment(self, msn: int) -> m3u8.Segment:
        whole = self.layout.chunks(msn)
        chunks = range(max(whole.start, self.first_n), min(whole.stop, self.last_n + 1))
        duration_s, began_ms = self.layout.duration_s(chunks), self.layout.began_ms(chunks.start)
        return m3u8.Segment(f"{chunks[0]}-{chunks[-1]}{NAMES.end}", duration_s, began_ms)


def variants(base: str, name: str, renditions: Sequence[Rendition] = RENDITIONS) -> list[m3u8.Variant]:
    """Those of `renditions` that can be had as HLS, each with the playlist `name` in its directory below `base`."""
    return [
        m3u8.Variant(
            f"{base}{rendition.name}/{name}",
            CODECS[rendition.codec],
            round(rendition.bitrate_bps * PEAK) + OVERHEAD_BPS,
            rendition.bitrate_bps + OVERHEAD_BPS,
        )
        for rendition in RENDITIONS
        if rendition in renditions
    ]
