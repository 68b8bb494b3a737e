"""The desk: what the crew wants, from links and the command line to the records, and from there to the board.

    crew, speakers --HTTP--> crew app  \\
                                        orders -> keeper -> records, then board `desk`, then wake
    command line --Unix socket--> admin app /              <- board: stage, levels, usher, edges
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from functools import partial

import structlog

from stentor.io.board import Board
from stentor.io.http import EXIT_PORT_IN_USE, CannotListen, Server, listen_tcp, listen_unix, serve_until_signal
from stentor.io.records import Records, RecordsError
from stentor.io.tls import Certificate, TlsError
from stentor.io.wake import Caller
from stentor.nodes import secure
from stentor.nodes.desk_admin import admin_app
from stentor.nodes.desk_crew import crew_app
from stentor.nodes.desk_feed import Feed
from stentor.nodes.desk_keeper import Keeper
from stentor.nodes.desk_orders import Orders
from stentor.settings import Settings

EXIT_RECORDS = 1
log = structlog.get_logger()


def main(settings: Settings) -> int:
    """Run until SIGTERM; -> exit code. Addresses are taken first: who does not get them must not open the records."""
    try:
        held = secure.certificate(settings)
        with (
            listen_tcp(settings.bind, settings.desk_port, "desk_port") as public,
            listen_unix(settings.desk_socket) as admin,
        ):
            return _run(settings, held, public, admin)
    except (CannotListen, TlsError) as error:
        print(f"stentor desk: {error}", file=sys.stderr)
        return EXIT_PORT_IN_USE
    except RecordsError as error:
        print(f"stentor desk: {error}", file=sys.stderr)
        return EXIT_RECORDS


def _run(settings: Settings, held: Certificate | None, public: socket.socket, admin: socket.socket) -> int:
    records = Records(f"sqlite:///{settings.data_dir / 'stentor.sqlite3'}")
    caller = Caller(settings.wake_dir)
    try:
        keeper = Keeper(records, Board(settings.board_dir), caller)
        asyncio.run(_serve(settings, keeper, held, public, admin))
    finally:
        caller.close()
        records.close()
        settings.desk_socket.unlink(missing_ok=True)
    return 0


async def _serve(
    settings: Settings, keeper: Keeper, held: Certificate | None, public: socket.socket, admin: socket.socket
) -> None:
    feed = Feed()
    orders = Orders(keeper, settings, random.SystemRandom())
    servers = [
        Server(crew_app(keeper, orders, feed, settings), public, held.context if held else None),
        Server(admin_app(keeper, orders), admin),
    ]
    log.info("serving", bind=settings.bind, port=settings.desk_port, shows=len(keeper.shows.entries()))
    fresh = partial(secure.keep_fresh, held)
    await serve_until_signal(servers, lambda: feed.run(keeper.look), keeper.record_ends, fresh)
