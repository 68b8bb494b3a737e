"""HLS playlists as text (RFC 8216 and draft-pantos-hls-rfc8216bis). What stands in them is decided elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

CONTENT_TYPE = "application/vnd.apple.mpegurl"
_VERSION = 9  # EXT-X-SKIP
_VERSION_PLAIN = 7


class Part(NamedTuple):
    """A partial segment. All of ours begin with a frame that decodes by itself."""

    uri: str
    duration_s: float


class Segment(NamedTuple):
    """A media segment that is whole. `parts` is empty where they are not listed any more."""

    uri: str
    duration_s: float
    began_ms: int  # Unix time of its first sample
    parts: tuple[Part, ...] = ()


class Report(NamedTuple):
    """How far another rendition of the same show is."""

    uri: str
    msn: int
    part: int


class LowLatency(NamedTuple):
    """What a server with blocking reload promises. `tail`: parts behind the last whole segment, `next_uri`: the part
    after them, empty if there will be none."""

    part_target_s: float
    skip_until_s: float
    tail: tuple[Part, ...]
    tail_began_ms: int
    next_uri: str
    reports: tuple[Report, ...] = ()


class Media(NamedTuple):
    """One rendition's playlist. `skipped` segments before `segments` are left out of a delta update."""

    target_s: int
    first_msn: int
    header_uri: str
    segments: Sequence[Segment]
    ended: bool = False
    skipped: int = 0
    kind: str = ""  # "EVENT", "VOD" or none
    low_latency: LowLatency | None = None


class Variant(NamedTuple):
    """One rendition in the multivariant playlist. Bandwidths in bit/s."""

    uri: str
    codecs: str
    bandwidth_bps: int
    average_bps: int


def multivariant(variants: Sequence[Variant]) -> str:
    """The playlist of playlists; the first variant is what a player begins with."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION_PLAIN}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for uri, codecs, bandwidth_bps, average_bps in variants:
        stream = f'BANDWIDTH={bandwidth_bps},AVERAGE-BANDWIDTH={average_bps},CODECS="{codecs}"'
        lines += [f"#EXT-X-STREAM-INF:{stream}", uri]
    return _text(lines)


def media(playlist: Media) -> str:
    """The text of one rendition's playlist."""
    low = playlist.low_latency
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION if low else _VERSION_PLAIN}"]
    lines.append(f"#EXT-X-TARGETDURATION:{playlist.target_s}")
    if low:
        lines += _promises(low, playlist.target_s)
    if playlist.kind:
        lines.append(f"#EXT-X-PLAYLIST-TYPE:{playlist.kind}")
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{playlist.first_msn}")
    if not playlist.skipped:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    lines.append(f'#EXT-X-MAP:URI="{playlist.header_uri}"')
    if playlist.skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={playlist.skipped}")
    for segment in playlist.segments:
        lines += _segment(segment)
    if low and not playlist.ended:
        lines += _ahead(low)
    if playlist.ended:
        lines.append("#EXT-X-ENDLIST")
    return _text(lines)


def _promises(low: LowLatency, target_s: int) -> list[str]:
    """Hold-backs are three targets: what the draft recommends of parts, and demands of segments (4.4.3.8)."""
    control = f"CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={_seconds(low.skip_until_s)}"
    backs = f"HOLD-BACK={_seconds(3 * target_s)},PART-HOLD-BACK={_seconds(3 * low.part_target_s)}"
    return [
        f"#EXT-X-SERVER-CONTROL:{control},{backs}",
        f"#EXT-X-PART-INF:PART-TARGET={_seconds(low.part_target_s)}",
    ]


def _segment(segment: Segment) -> list[str]:
    began = f"#EXT-X-PROGRAM-DATE-TIME:{_date(segment.began_ms)}"
    return [began, *map(_part, segment.parts), f"#EXTINF:{_seconds(segment.duration_s)},", segment.uri]


def _ahead(low: LowLatency) -> list[str]:
    lines = [f"#EXT-X-PROGRAM-DATE-TIME:{_date(low.tail_began_ms)}", *map(_part, low.tail)] if low.tail else []
    if low.next_uri:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{low.next_uri}"')
    reports = (f'URI="{uri}",LAST-MSN={msn},LAST-PART={part}' for uri, msn, part in low.reports)
    return lines + [f"#EXT-X-RENDITION-REPORT:{report}" for report in reports]


def _part(part: Part) -> str:
    return f'#EXT-X-PART:DURATION={_seconds(part.duration_s)},INDEPENDENT=YES,URI="{part.uri}"'


def _seconds(value: float) -> str:
    return f"{value:.5f}"


def _date(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(lines: list[str]) -> str:
    return "\n".join([*lines, ""])
