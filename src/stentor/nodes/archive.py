"""The archive: the past of a show while it runs, and its replay once it has ended, out of the tape itself."""

from __future__ import annotations

import asyncio
import sys

from stentor.io.board import Board
from stentor.io.http import EXIT_PORT_IN_USE, CannotListen, Server, listen_tcp, serve_until_signal
from stentor.nodes.archive_web import build_app
from stentor.nodes.follow import Follower
from stentor.nodes.shelf import Shelf
from stentor.settings import Settings


def main(settings: Settings) -> int:
    try:
        listener = listen_tcp(settings.bind, settings.archive_port, "archive_port")
    except CannotListen as error:
        print(f"stentor archive: {error}", file=sys.stderr)
        return EXIT_PORT_IN_USE
    shelf = Shelf(settings.data_dir)
    follower = Follower(Board(settings.board_dir), shelf)
    asyncio.run(serve_until_signal([Server(build_app(shelf), listener)], follower.run))
    return 0
