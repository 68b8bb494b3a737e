"""FFmpeg's WHIP muxer as a speaker: `python players_whip.py URL TOKEN CERT KEY HZ` speaks a tone until it is ended.

Debian 12's ffmpeg (5.1) has no WHIP; the libavformat in PyAV's wheel (of FFmpeg 8) has. With the certificate that it
makes for itself (by GnuTLS) the DTLS handshake fails; with one given to it, of an elliptic curve, it succeeds.
"""

from __future__ import annotations

import sys
import time

import av
import numpy as np

RATE, FRAME = 48_000, 960
LEVEL = 0.2


def main(url: str, token: str, cert: str, key: str, hz: float) -> None:
    """Opus, two channels: the muxer takes nothing else. Raises `av.FFmpegError` if the peer refuses."""
    av.logging.set_level(av.logging.INFO)
    options = {"authorization": token, "cert_file": cert, "key_file": key}
    with av.open(url, "w", format="whip", options=options) as container:
        stream = container.add_stream("libopus", rate=RATE)
        stream.codec_context.layout = "stereo"
        start = time.monotonic()
        for at in range(0, 10**12, FRAME):
            tone = LEVEL * np.sin(2 * np.pi * hz * np.arange(at, at + FRAME) / RATE)
            frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2).astype("<f4")[None], format="flt", layout="stereo")
            frame.sample_rate, frame.pts = RATE, at
            container.mux(stream.encode(frame))
            time.sleep(max(0.0, start + (at + FRAME) / RATE - time.monotonic()))


if __name__ == "__main__":
    main(*sys.argv[1:5], float(sys.argv[5]))
