"""What the door's challenge costs the door, and whoever solves it in Python: `python bench/challenge.py` -> JSON."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

from stentor.core.challenge import HASHES, POOL, TABLE_BYTES, Challenger
from stentor.formats import challenge

KEY, SOURCE, NOW_S = bytes(32), "192.0.2.7", 1_790_000_000
TIMES, SOLVED = 1_000, 20


def us_each(act: Callable[[int], Any], times: int = TIMES) -> tuple[float, list[Any]]:
    """-> processor time of one, and what they gave."""
    began = time.process_time()
    found = [act(i) for i in range(times)]
    return round((time.process_time() - began) / times * 1e6, 1), found


def main() -> None:
    rng = random.SystemRandom()
    door = Challenger(KEY, bytearray(TABLE_BYTES), rng, HASHES)
    make_us, _ = us_each(lambda i: challenge.make(KEY, rng.randbytes(12), rng.randrange(2 * HASHES), 2 * HASHES))
    while len(door._pool) < POOL:
        door.refill()
    give_us, asked = us_each(lambda i: door.receive("", "", SOURCE, NOW_S, 0.0))
    answer_us, answers = us_each(lambda i: asked[i].response())
    solve_us, _ = us_each(lambda i: challenge.solve(json.loads(answers[i].body)), SOLVED)
    easy = [challenge.make(KEY, rng.randbytes(12), 5, 2 * HASHES) for _ in range(TIMES)]
    sent = [
        (challenge.text(one, 5), challenge.stamp(KEY, challenge.Kind.SOLVE, NOW_S, SOURCE, one.signature))
        for one in easy
    ]
    take_us, taken = us_each(lambda i: door.receive(*sent[i], SOURCE, NOW_S, float(i)))
    assert taken == [None] * TIMES
    again_us, _ = us_each(lambda i: door.receive(sent[i][0], sent[i][1][:-2], SOURCE, NOW_S, float(i)))
    figures = {"make": make_us, "give": give_us, "answer": answer_us, "take": take_us, "refuse_forged": again_us}
    print(json.dumps({"us": figures, "solve_in_python_s": round(solve_us / 1e6, 3), "hashes": HASHES}))


if __name__ == "__main__":
    main()
