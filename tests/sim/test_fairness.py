"""The draw prefers nobody: Kolmogorov-Smirnov tests of rank against arrival and against network, over a hundred draws.

One draw in twenty has p < 0.05 however fair it is. So what is tested is that the p-values of a hundred draws are those
of a fair one: uniform, and none so small that it would not be seen once in twenty such hundreds. Keys are fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, sqrt

import numpy as np
import numpy.typing as npt
import pytest

from stentor.core import draw

DRAWS, PLACES = 100, 4_000
P_MIN = 0.05
Samples = npt.NDArray[np.float64]


def ks_p(distance: float, size: float) -> float:
    """P(D > distance) for samples of `size`, by Kolmogorov's limit with Stephens' correction."""
    x = (sqrt(size) + 0.12 + 0.11 / sqrt(size)) * distance
    return (
        min(1.0, max(0.0, 2 * sum((-1) ** (j - 1) * exp(-2 * (j * x) ** 2) for j in range(1, 101)))) if x > 0.2 else 1.0
    )


def two_samples_p(one: Samples, other: Samples) -> float:
    values = np.concatenate([one, other])
    steps = [np.searchsorted(np.sort(sample), values, "right") / len(sample) for sample in (one, other)]
    return ks_p(float(np.abs(steps[0] - steps[1]).max()), len(one) * len(other) / (len(one) + len(other)))


def uniform_p(samples: Samples) -> float:
    values, count = np.sort(samples), len(samples)
    above, below = np.arange(1, count + 1) / count - values, values - np.arange(count) / count
    return ks_p(float(max(above.max(), below.max())), count)


def early(seqs: draw.Numbers) -> npt.NDArray[np.bool_]:
    """Who came in the first tenth of the time."""
    return seqs < PLACES // 10


def one_door(seqs: draw.Numbers) -> npt.NDArray[np.bool_]:
    """Every second place: of two doors that take turns."""
    return seqs % 2 == 0


def one_word(seqs: draw.Numbers) -> npt.NDArray[np.bool_]:
    """Those whose rank is the first word of a hash: whatever network takes every eighth place."""
    return seqs % draw.WORDS == 0


def one_network(seqs: draw.Numbers) -> npt.NDArray[np.bool_]:
    """A network of which people come in bursts, with many places in a row."""
    return seqs % 640 < 64


@pytest.mark.parametrize("group", [early, one_door, one_word, one_network])
def test_rank_does_not_depend_on(group: Callable[[draw.Numbers], npt.NDArray[np.bool_]]) -> None:
    seqs, issued = np.arange(PLACES, dtype=np.uint32), np.zeros(PLACES, np.uint32)
    mine = group(seqs)
    found = []
    for number in range(DRAWS):
        key = draw.draw_key(number.to_bytes(32, "big"), f"round {number}")
        ranks = draw.ranks(key, seqs, issued, 1).astype(np.float64)
        found.append(two_samples_p(ranks[mine], ranks[~mine]))
    assert uniform_p(np.array(found)) > P_MIN and min(found) > P_MIN / DRAWS


def test_ranks_are_uniform() -> None:
    seqs, issued = np.arange(PLACES, dtype=np.uint32), np.zeros(PLACES, np.uint32)
    keys = [draw.draw_key(number.to_bytes(32, "big")) for number in range(DRAWS)]
    found = [uniform_p(draw.ranks(key, seqs, issued, 1) / 2.0**32) for key in keys]
    assert uniform_p(np.array(found)) > P_MIN and min(found) > P_MIN / DRAWS


def test_the_test_sees_what_is_unfair() -> None:
    rng = np.random.default_rng(1)
    values, mine = rng.random(PLACES), np.arange(PLACES) < PLACES // 10
    assert two_samples_p(values[mine], values[~mine]) > P_MIN
    assert two_samples_p(values[mine] * 0.9, values[~mine]) < P_MIN / DRAWS
    assert uniform_p(values**1.2) < P_MIN / DRAWS < P_MIN < uniform_p(values)
