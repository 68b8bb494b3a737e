"""The renditions: the program in one codec and bitrate. All are mono at 48 kHz."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rendition:
    """One codec and bitrate. `id` is the number that ring and tape know it by and never changes its meaning."""

    id: int
    name: str
    codec: str  # "opus", "aac" or "mp3"
    bitrate_bps: int
    frame_samples: int
    priming_samples: int  # encoder delay: frame k sounds at k * frame_samples - priming_samples
    content_type: str

    @property
    def framed(self) -> bool:
        """Whether chunks are fMP4 fragments that need a header; MP3 goes out as raw frames."""
        return self.codec != "mp3"


_MP4 = "audio/mp4"
OPUS = Rendition(0, "opus", "opus", 48_000, 960, 312, _MP4)
OPUS_LOW = Rendition(1, "opus-low", "opus", 24_000, 960, 312, _MP4)
AAC = Rendition(2, "aac", "aac", 64_000, 1024, 1024, _MP4)
AAC_LOW = Rendition(3, "aac-low", "aac", 32_000, 1024, 1024, _MP4)
MP3 = Rendition(4, "mp3", "mp3", 64_000, 1152, 1105, "audio/mpeg")
MP3_LOW = Rendition(5, "mp3-low", "mp3", 32_000, 1152, 1105, "audio/mpeg")

RENDITIONS = (OPUS, OPUS_LOW, AAC, AAC_LOW, MP3, MP3_LOW)
BY_NAME = {rendition.name: rendition for rendition in RENDITIONS}
LOW = {OPUS: OPUS_LOW, AAC: AAC_LOW, MP3: MP3_LOW}
