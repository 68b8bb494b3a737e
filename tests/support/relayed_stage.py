"""A stage in a process of its own, for a network of its own: python relayed_stage.py BIND PORT TURN_URLS TURN_SECRET.

Bob speaks in that network. Prints `ready`; once Ann speaks, where her media comes from and how strong both tones are in
the program; when she is gone, the same without her; when she is back, the same again.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.stages import Studio, Tone, strength, studio

HZ, BOBS_HZ = 700.0, 1100.0
LOOK_S = 0.05
PATIENCE_S = 90.0


async def main(bind: str, port: str, turn_urls: str, turn_secret: str) -> None:
    async with studio(bind=bind, studio_port=int(port), turn_urls=turn_urls, turn_secret=turn_secret) as made:
        made.seat("ann", on_air=True)
        await made.join("bob", Tone(BOBS_HZ), on_air=True)
        print("ready", flush=True)
        for speaks in (True, False, True):
            while ("ann" in made.present()) != speaks:  # noqa: ASYNC110 - what is waited for knows nothing of tests
                await asyncio.sleep(LOOK_S)
            await made.settle(1.0)
            print(json.dumps(await tell(made)), flush=True)


async def tell(made: Studio) -> dict[str, object]:
    program = await made.listen()
    held = [held for held in made.stage._by_session.values() if held.seat.id == "ann"]
    remotes = [one.link.peer._ice._nominated[1].remote_addr[0] for one in held if one.speaking]
    return {"remotes": remotes, "strength": strength(program, HZ), "bobs": strength(program, BOBS_HZ)}


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), PATIENCE_S))
