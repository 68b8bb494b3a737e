"""Audio as mono float32 at 48 kHz: from files, and from streams while they come."""

from stentor.io.pcm.files import AudioFileError, read_blocks
from stentor.io.pcm.live import DEMUXERS, LiveDecoder

__all__ = ["DEMUXERS", "AudioFileError", "LiveDecoder", "read_blocks"]
