"""libopus by ctypes: decode with concealment and in-band error correction, encode. Mono float32 at 48 kHz.

PyAV can encode and decode Opus but has no concealment and no error correction, which a live voice cannot do without.
The library is the one in PyAV's wheel, else the system's. References are to opus_decoder.h and opus_encoder.h.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 960
PACKET_SAMPLES_MAX = 5760
PACKET_BYTES_MAX = 1275  # RFC 6716 section 3.2.1, one frame a packet

_APPLICATION_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_PACKET_LOSS_PERC = 4002, 4010, 4012, 4014


class OpusError(ValueError):
    """libopus did not take what it was given; the text is its own."""


def _library_path() -> str:
    package = importlib.util.find_spec("av")
    if package is not None and package.origin is not None:
        bundled = sorted((Path(package.origin).parent.parent / "av.libs").glob("libopus-*.so*"))
        if bundled:
            return str(bundled[0])
    return ctypes.util.find_library("opus") or "libopus.so.0"


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_library_path())
    except OSError as error:
        raise ImportError(f"libopus is needed, from PyAV's wheel or the system (Debian: libopus0): {error}") from None
    pointer, number, length = ctypes.c_void_p, ctypes.c_int, ctypes.c_int32
    library.opus_strerror.restype = ctypes.c_char_p
    library.opus_decoder_create.restype = pointer
    library.opus_decoder_create.argtypes = [length, number, pointer]
    library.opus_decoder_destroy.argtypes = [pointer]
    library.opus_decode_float.argtypes = [pointer, ctypes.c_char_p, length, pointer, number, number]
    library.opus_encoder_create.restype = pointer
    library.opus_encoder_create.argtypes = [length, number, number, pointer]
    library.opus_encoder_destroy.argtypes = [pointer]
    library.opus_encoder_ctl.argtypes = [pointer, number]  # and one int for each request made here
    library.opus_encode_float.argtypes = [pointer, pointer, number, pointer, length]
    return library


_lib = _load()


def _checked(result: int) -> int:
    if result < 0:
        raise OpusError(_lib.opus_strerror(result).decode())
    return result


class Decoder:
    """One stream's decoder. Each call returns a fresh array of the samples that sound next."""

    def __init__(self) -> None:
        error = ctypes.c_int()
        self._state = _lib.opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(error))
        _checked(error.value)
        self._buffer = np.zeros(PACKET_SAMPLES_MAX, np.float32)
        self._buffer_at = self._buffer.ctypes.data

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            _lib.opus_decoder_destroy(self._state)

    def decode(self, packet: bytes) -> Samples:
        """The packet's samples. Raises `OpusError` if it is not Opus."""
        if not packet:
            raise OpusError("an empty packet")  # to libopus it would mean a lost one
        return self._decode(packet, PACKET_SAMPLES_MAX, fec=False)

    def recover(self, successor: bytes, samples: int) -> Samples:
        """A lost packet of so many samples, from the error correction in its successor; concealed if it has none."""
        return self._decode(successor, samples, fec=True)

    def conceal(self, samples: int) -> Samples:
        """So many samples made up from what went before; a multiple of 2.5 ms."""
        return self._decode(None, samples, fec=False)

    def _decode(self, packet: bytes | None, samples: int, *, fec: bool) -> Samples:
        size = 0 if packet is None else len(packet)
        count = _lib.opus_decode_float(self._state, packet, size, self._buffer_at, samples, int(fec))
        return self._buffer[: _checked(count)].copy()


class Encoder:
    """One stream's encoder, for voice: constant frames of 20 ms with in-band error correction.

    `loss_percent` is the loss to be prepared for: the more, the more bits the correction gets; at 0 there is none.
    """

    def __init__(self, bitrate_bps: int, *, loss_percent: int = 10, complexity: int = 5) -> None:
        error = ctypes.c_int()
        self._state = _lib.opus_encoder_create(SAMPLE_RATE, 1, _APPLICATION_VOIP, ctypes.byref(error))
        _checked(error.value)
        self._packet = ctypes.create_string_buffer(PACKET_BYTES_MAX)
        self._frame = np.zeros(FRAME_SAMPLES, np.float32)
        self._frame_at = self._frame.ctypes.data
        self._set(_SET_BITRATE, bitrate_bps)
        self._set(_SET_COMPLEXITY, complexity)
        self._set(_SET_INBAND_FEC, 1)
        self._loss_percent = -1
        self.prepare_for_loss(loss_percent)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            _lib.opus_encoder_destroy(self._state)

    def _set(self, request: int, value: int) -> None:
        _checked(_lib.opus_encoder_ctl(self._state, request, ctypes.c_int(value)))

    def prepare_for_loss(self, percent: int) -> None:
        """Change the loss to be prepared for, from the next packet on."""
        if percent != self._loss_percent:
            self._loss_percent = percent
            self._set(_SET_PACKET_LOSS_PERC, percent)

    def encode(self, samples: Samples) -> bytes:
        """960 samples -> one packet. Raises `OpusError` for any other length."""
        if len(samples) != FRAME_SAMPLES:
            raise OpusError(f"{len(samples)} samples where a frame has {FRAME_SAMPLES}")
        self._frame[:] = samples
        size = _lib.opus_encode_float(self._state, self._frame_at, FRAME_SAMPLES, self._packet, PACKET_BYTES_MAX)
        return self._packet.raw[: _checked(size)]
