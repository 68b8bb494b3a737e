"""The archive: the past of a show while it runs, and its replay once it has ended, out of the tape itself."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

from stentor.io.board import Board
from stentor.io.http import EXIT_PORT_IN_USE, CannotListen, Server, listen_tcp, serve_until_signal
from stentor.io.tls import TlsError
from stentor.nodes import secure
from stentor.nodes.archive_web import build_app
from stentor.nodes.follow import Follower
from stentor.nodes.shelf import Shelf
from stentor.settings import Settings


def main(settings: Settings) -> int:
    try:
        held = secure.certificate(settings)
        listener = listen_tcp(settings.bind, settings.archive_port, "archive_port")
    except (CannotListen, TlsError) as error:
        print(f"stentor archive: {error}", file=sys.stderr)
        return EXIT_PORT_IN_USE
    shelf = Shelf(settings.data_dir)
    follower = Follower(Board(settings.board_dir), shelf)
    server = Server(build_app(shelf), listener, held.context if held else None)
    asyncio.run(serve_until_signal([server], follower.run, partial(secure.keep_fresh, held)))
    return 0
