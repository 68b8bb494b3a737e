"""A stage in a process of its own, for a network of its own: python relayed_stage.py BIND PORT TURN_URLS TURN_SECRET.

Prints `ready`; then, once Ann speaks, where her media comes from and how strong her tone is in the program.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.stages import strength, studio

HZ = 700.0
LOOK_S = 0.05


async def main(bind: str, port: str, turn_urls: str, turn_secret: str) -> None:
    async with studio(bind=bind, studio_port=int(port), turn_urls=turn_urls, turn_secret=turn_secret) as made:
        made.seat("ann", on_air=True)
        print("ready", flush=True)
        while "ann" not in made.present():  # noqa: ASYNC110 - the test that started this has the patience
            await asyncio.sleep(LOOK_S)
        await made.settle(1.0)
        (connected,) = made.stage._by_session.values()
        remote = connected.link.peer._ice._nominated[1].remote_addr[0]
        print(json.dumps({"remote": remote, "strength": strength(await made.listen(), HZ)}), flush=True)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(*sys.argv[1:]))
