"""An edge worker in the test's own thread: its loop turns only when the test says so, its clients are real sockets."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from stentor.formats import chunks, icy, ticket
from stentor.formats.chunks import Hold
from stentor.io import ring as rings
from stentor.io.board import Board
from stentor.io.keys import GroupKeys
from stentor.io.net.loop import Loop
from stentor.io.net.server import Server
from stentor.io.net.sockets import listen
from stentor.io.ring import Ring
from stentor.io.tls import Certificate
from stentor.model import board
from stentor.model.grid import Grid
from stentor.model.rendition import MP3, OPUS, RENDITIONS, Rendition
from stentor.nodes.edge import Edge
from stentor.nodes.intake import limits
from stentor.settings import Settings

SHOW = "show-1"
TITLE = "An evening's talk"
FAR_NS = 10**15  # a grid laid so far ahead: no chunk is ever overdue
WITHIN_S = 30.0


def frame(rendition: Rendition, index: int, salt: int = 0) -> bytes:
    """A stand-in for an encoder frame: of the right size for MP3, of different bytes for different indices."""
    text = f"{rendition.name} {salt} {index} ".encode()
    size = rendition.bitrate_bps // 8 * rendition.frame_samples // 48_000
    return (text * (size // len(text) + 1))[:size]


def make_ring(path: Path, t0_mono_ns: int, chunk_samples: int = 24_000, show: str = SHOW) -> Ring:
    loop = {r.id: Hold(r, tuple(frame(r, index, salt=7) for index in range(5))) for r in RENDITIONS}
    return rings.create(path, show, Grid(time.time_ns(), t0_mono_ns, chunk_samples), loop)


def chunk(ring: Ring, rendition: Rendition, n: int) -> bytes:
    """What the stage would publish as chunk n."""
    first, count = ring.grid.first_frame(rendition, n), ring.grid.frame_count(rendition, n)
    return chunks.build(rendition, ring.grid, n, [frame(rendition, k) for k in range(first, first + count)])


def publish(ring: Ring, *numbers: int) -> None:
    for n in numbers:
        for rendition in RENDITIONS:
            ring.publish(rendition.id, n, chunk(ring, rendition, n))


class Client:
    """A peer of the edge. `got` is all that came, `closed` whether the edge has ended the stream."""

    def __init__(self, port: int, request: bytes = b"", rcvbuf: int = 0) -> None:
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.got = b""
        self.closed = False
        if request:
            self.sock.sendall(request)

    def read(self, size: int = 1 << 20) -> bytes:
        """Take what is there; -> all there has been."""
        try:
            data = self.sock.recv(size)
            self.closed = self.closed or not data
            self.got += data
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.closed = True
        return self.got

    @property
    def whole_head(self) -> bool:
        return b"\r\n\r\n" in self.read()

    @property
    def status(self) -> int:
        return int(self.got.split(None, 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.got.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def body(self) -> bytes:
        return self.got.partition(b"\r\n\r\n")[2]


class TlsClient(Client):
    """The same over TLS, the certificate checked: the request goes out when the handshake is through."""

    def __init__(self, port: int, authority: Path, request: bytes = b"", rcvbuf: int = 0) -> None:
        super().__init__(port, b"", rcvbuf)
        context = ssl.create_default_context(cafile=authority)
        self.tls = context.wrap_socket(
            self.sock, server_hostname="localhost", do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        self.sock = self.tls
        self._request = request

    def read(self, size: int = 1 << 14) -> bytes:
        try:
            if self._request:
                self.tls.do_handshake()
                self.tls.sendall(self._request)
                self._request = b""
            while data := self.tls.recv(size):
                self.got += data
            self.closed = True
        except ssl.SSLWantReadError:
            pass
        except ConnectionResetError:
            self.closed = True
        return self.got


class Station:
    """One edge worker on a ring of its own. `settings` are those of the worker; with a `certificate`, it is on TLS."""

    def __init__(
        self,
        base: Path,
        t0_mono_ns: int | None = None,
        chunk_samples: int = 24_000,
        stage: bool = True,
        certificate: tuple[Path, Path] | None = None,
        **settings: object,
    ) -> None:
        self.settings = Settings(data_dir=base / "data", run_dir=base / "run", **settings)  # type: ignore[arg-type]
        self.board = Board(self.settings.board_dir)
        t0 = time.monotonic_ns() + FAR_NS if t0_mono_ns is None else t0_mono_ns
        self.ring = make_ring(base / "ring", t0, chunk_samples)
        if stage:
            self.put_stage(self.ring)
        self.loop = Loop(self._fault)
        self.faults: list[int] = []
        self.edge = Edge(self.settings, 0, self.loop)
        listener = listen("127.0.0.1", 0, self.settings.sndbuf_bytes)
        self.port = listener.getsockname()[1]
        self.authority = certificate[0] if certificate else None
        self.tls = Certificate(*certificate).context if certificate else None
        self.server = Server(self.loop, listener, self.edge.answer, limits(self.settings), self.edge.spare, self.tls)
        self.server.start()
        self.clients: list[Client] = []
        self._seqs = count(1)

    def _fault(self, fd: int) -> None:
        self.faults.append(fd)
        raise AssertionError("fault in a handler")

    def put_stage(self, ring: Ring) -> None:
        self.board.put("stage", board.Stage(at_ms=1, show=ring.show, title=TITLE, ring=str(ring.path)))

    def close(self) -> None:
        for client in self.clients:
            client.sock.close()
        self.server.stop()
        self.edge.close()
        self.loop.close()

    def ticket(
        self,
        show: str = SHOW,
        *,
        issued: int | None = None,
        life_s: int = 600,
        seq: int | None = None,
        group: int | None = None,
        key_group: int | None = None,
    ) -> str:
        """A ticket of this hour's key, for a listener of its own if no `seq` is given. `group` stands in it, the key is
        of `key_group`."""
        now, own = int(time.time()), self.settings.edge_group
        at, hour = now if issued is None else issued, now // ticket.HOUR_S
        group, key_group = (own if one is None else one for one in (group, key_group))
        token = ticket.Token(
            ticket.Kind.TICKET,
            ticket.show_tag(show),
            ticket.Class.LATE,
            next(self._seqs) if seq is None else seq,
            *(at, at, at + life_s, ticket.hour_id(hour), group),
        )
        return ticket.mint(token, GroupKeys(self.settings.keys_dir, key_group).hour(hour))

    def connect(self, request: bytes = b"", rcvbuf: int = 0) -> Client:
        client = TlsClient(self.port, self.authority, request, rcvbuf) if self.authority else None
        self.clients.append(client or Client(self.port, request, rcvbuf))
        return self.clients[-1]

    def request(self, path: str, method: str = "GET", rcvbuf: int = 0, **headers: str) -> Client:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
        return self.connect("\r\n".join([*lines, "", ""]).encode(), rcvbuf)

    def listen(self, name: str = "opus", query: str = "", rcvbuf: int = 0, ticket: str = "", **headers: str) -> Client:
        """A new listener, whose answer has begun."""
        client = self.request(f"/live/{ticket or self.ticket()}/{name}{query}", rcvbuf=rcvbuf, **headers)
        self.until(lambda: client.whole_head)
        return client

    def until(self, condition: Callable[[], object]) -> None:
        """Turn the loop until `condition` holds."""
        deadline = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            self.loop.turn(time.monotonic() + 0.01)

    def turn(self, times: int = 5) -> None:
        for _ in range(times):
            self.loop.turn(0.0)

    def publish(self, *numbers: int) -> None:
        """As the stage does, one after the other, each sent before the next."""
        publish(self.ring, *numbers)
        self.settle()

    def settle(self) -> None:
        """Turn until the edge has given out all that is in the ring."""
        self.until(lambda: self.edge.program.newest == self.ring.heads().by_id)

    def expected(self, first: int, last: int, rendition: Rendition = OPUS) -> bytes:
        """The body of a listener who got chunks first..last as the stage made them."""
        return chunks.header(rendition) + b"".join(chunk(self.ring, rendition, n) for n in range(first, last + 1))


def demux_icy(body: bytes) -> tuple[bytes, list[str]]:
    """-> audio and titles of a body with ICY metadata, the way a player does it."""
    audio, titles, at = b"", [], 0
    while at < len(body):
        audio += body[at : at + icy.METAINT]
        at += icy.METAINT
        if at < len(body):
            size = 16 * body[at]
            titles.append(body[at + 1 : at + 1 + size].rstrip(b"\0").decode())
            at += 1 + size
    return audio, titles


__all__ = ["MP3", "OPUS", "SHOW", "TITLE", "Client", "Station", "chunk", "demux_icy", "frame", "make_ring", "publish"]
