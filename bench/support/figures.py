"""From samples to figures: a median with its interval, and the machine they were taken on."""

from __future__ import annotations

import os
import platform
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESAMPLES = 10_000


def median(samples: Sequence[float], digits: int = 3) -> dict[str, Any]:
    """Median with a 95 % interval by the percentile bootstrap (seeded)."""
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(samples, k=len(samples))) for _ in range(RESAMPLES))
    low, high = medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES) - 1]
    values = {"median": statistics.median(samples), "low": low, "high": high}
    return {name: round(value, digits) for name, value in values.items()} | {"samples": len(samples)}


def machine() -> dict[str, Any]:
    """What a figure depends on, and how busy the machine was before it."""
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": model.split(":")[1].strip(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_1min_before": round(os.getloadavg()[0], 2),
    }
