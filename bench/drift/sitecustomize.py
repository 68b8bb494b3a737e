"""Imported by each Python of a stage whose clock is to run off, before anything else; its directory is on PYTHONPATH.

The clocks of `time` go on from the instant named in BENCH_DRIFT ("REALTIME_NS MONOTONIC_NS PPM") faster than they ought
to by so many ppm. All waiting in Python is relative, and 200 ppm of it is nothing. The clocks of C stay as they are: a
deadline that Python's own locks take from them has to be one by the kernel's clock.
"""

import os
import time
from collections.abc import Callable


def _drifting(clock_ns: Callable[[], int], began_ns: int, ppm: float) -> Callable[[], int]:
    return lambda: (now := clock_ns()) + round((now - began_ns) * ppm / 1e6)


def _install(began_real_ns: int, began_mono_ns: int, ppm: float) -> None:
    real_ns = _drifting(time.time_ns, began_real_ns, ppm)
    mono_ns = _drifting(time.monotonic_ns, began_mono_ns, ppm)
    time.time_ns, time.monotonic_ns = real_ns, mono_ns
    time.time, time.monotonic = (lambda: real_ns() / 1e9), (lambda: mono_ns() / 1e9)


_real, _mono, _ppm = os.environ["BENCH_DRIFT"].split()
_install(int(_real), int(_mono), float(_ppm))
