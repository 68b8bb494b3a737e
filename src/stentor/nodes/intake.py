"""What the nodes on the epoll loop share: a port, signals, the life of a worker, values from the board."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog

from stentor.core.shed import StandingQueue
from stentor.io.board import Board
from stentor.io.net.loop import Loop
from stentor.io.net.server import Answer, Limits, Server
from stentor.io.net.sockets import listen
from stentor.io.tls import TlsError
from stentor.model import board
from stentor.model.http import Request, Response
from stentor.nodes import secure
from stentor.nodes.shedding import Shedding
from stentor.nodes.values import get
from stentor.settings import Settings

EXIT_PORT_IN_USE = 3
IDLE_LOOK_S = 0.5
SHUT_OUT_S = 0.1
log = structlog.get_logger()


class Worker(Protocol):
    """What `run` carries: `answer` to requests until the end, then `close`."""

    def answer(self, request: Request) -> Answer: ...

    def put_off(self, request: Request) -> Response | None:
        """The answer to a request that cannot be dealt with now; None if it has to be."""
        ...

    def spare(self) -> int:
        """Connections above `requests_max` that may wait for an answer now."""
        ...

    def retire(self) -> None:
        """Nobody new comes; somebody else serves under this worker's name."""

    def busy(self) -> bool:
        """Whether it serves anybody whose connection is not in the intake."""
        ...

    def admits(self, source: str) -> bool:
        """Whether a connection from that address is taken."""
        ...

    def misses(self, source: str) -> None:
        """From there came a request that is none, or does not come to its end."""
        ...

    def is_out(self) -> Callable[[str], bool] | None:
        """Of which addresses no connection is kept, where that has changed since the last call."""
        ...

    def close(self) -> None: ...


def run(
    name: str,
    settings: Settings,
    port: int,
    sndbuf_bytes: int,
    build: Callable[[Loop], Worker],
    make_queue: Callable[[], StandingQueue],
) -> int:
    """Serve on `port` until SIGTERM or SIGINT, or after SIGUSR1 until the last one has left; -> exit code.

    A queue says when more is asked than can be answered.
    """
    try:
        held = secure.certificate(settings)
        listener = listen(settings.bind, port, sndbuf_bytes)
    except TlsError as error:
        print(f"stentor: {name}: {error}", file=sys.stderr)
        return EXIT_PORT_IN_USE
    except OSError as error:
        print(f"stentor: {name} cannot listen on {settings.bind}:{port}: {error.strerror}", file=sys.stderr)
        return EXIT_PORT_IN_USE
    loop = Loop(lambda fd: log.exception("fault in a handler", fd=fd))
    worker = build(loop)
    shedding, context = Shedding(worker, make_queue), held.context if held else None
    loop.hear_waits(shedding.begin_kept)
    server = Server(
        loop,
        listener,
        shedding.answer,
        limits(settings),
        worker.spare,
        context,
        judge=shedding.begin_fresh,
        admits=worker.admits,
        misses=worker.misses,
    )
    loop.every(SHUT_OUT_S, partial(_shut_out, server, worker))
    if held:
        loop.every(secure.LOOK_S, partial(secure.refresh, held))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    retiring = partial(_retire, name, loop, server, worker)
    signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon(retiring))
    server.start()
    log.info("started", worker=name, port=port)
    loop.run()
    server.stop()
    worker.close()
    loop.close()
    log.info("stopped", worker=name)
    return 0


def _shut_out(server: Server, worker: Worker) -> None:
    is_out = worker.is_out()
    if is_out is not None:
        server.shut_out(is_out)


def _retire(name: str, loop: Loop, server: Server, worker: Worker) -> None:
    """Take nobody new; end when nobody is left."""
    if server.retired:
        return
    log.info("retiring", worker=name)
    server.retire()
    worker.retire()
    loop.every(IDLE_LOOK_S, lambda: None if worker.busy() or len(server) else loop.stop())


def limits(settings: Settings) -> Limits:
    return Limits(
        headers_bytes_max=settings.headers_bytes_max,
        headers_timeout_s=settings.headers_timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        connections_max=settings.requests_max,
        accept_budget=settings.accept_budget,
        proxied=settings.proxy_protocol,
    )


def now_text(values: Board, show: str) -> str | None:
    """The signed `now` object of a show, or None if there is none on the board. `show` comes from a request."""
    if not (show.isascii() and show.replace("-", "").replace("_", "").isalnum()):
        return None
    value = get(values, f"now-{show}", board.Now)
    return value.text if value else None


class Nows:
    """The `now` objects of shows. Each is looked for on the board once a turn of the loop at most, whoever asks."""

    def __init__(self, values: Board, loop: Loop) -> None:
        self._board, self._loop = values, loop
        self._turn = -1
        self._seen: dict[str, str | None] = {}  # in this turn, which handles no more than so many requests

    def text(self, show: str) -> str | None:
        if self._turn != self._loop.turns:
            self._turn = self._loop.turns
            self._seen.clear()
        if show not in self._seen:
            self._seen[show] = now_text(self._board, show)
        return self._seen[show]
