"""Intake: connections accepted within a budget, requests answered by a function, everything bounded in size and time.

The function gives a `Response` (or its bytes, `Ready`), a `Later` when the answer is yet to come, or a `Handover` when
the socket goes to somebody else (a mount).
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from stentor.formats import proxy
from stentor.formats.problem import refusal
from stentor.io.net.http import Ready, RequestReader, encode
from stentor.io.net.loop import ENDED, TURN_S, Loop
from stentor.io.net.sockets import abort, accept, has_hung_up, waited_s
from stentor.io.net.tls import has_answered_hello, wrap
from stentor.model.http import Request, Response

READ_BYTES = 16_384
LINGER_S = 2.0  # after the last answer: how long the peer may take to close, lest a reset destroy what it has not read
SWEEP_S = 0.25
UNFINISHED_S = 0.3  # a request that has begun is a whole one by then, if it is from anybody who wants an answer
SHAKING_S = 2.5  # from a handshake's dear part, which is ours, to the request: so long nobody else gets its place
SHED_BUDGETS = 2  # accept budgets that are taken at once where the newest come first: half of them are put off
_IN = select.EPOLLIN
_OUT = select.EPOLLOUT
_ASKING = _IN | select.EPOLLRDHUP  # also of who waits for an answer: nearly all of them ask for nothing meanwhile


class Handover(NamedTuple):
    """`take(socket, unsent)` gets the connection and the bytes of earlier answers that are still to go out on it.

    The descriptor is watched by the intake's handler until `take` watches or forgets it.
    """

    take: Callable[[socket.socket, bytes], None]


Give = Callable[[Response | Ready], None]


class Later(NamedTuple):
    """`wait(give)` keeps `give` and calls it once, when the answer is there; -> what takes that back, if nobody is
    there any more to be answered. Not called by `wait` itself."""

    wait: Callable[[Give], Callable[[], None]]


Answer = Response | Ready | Later | Handover


@dataclass(frozen=True, slots=True)
class Limits:
    """`connections_max`, and what `Server` has to spare, bound the connections in the intake; when they are reached,
    the one waiting longest makes room, but nobody whose TLS handshake is under way: where all are, who comes next waits
    in the kernel's backlog, lest under a crowd every handshake be cut short and made again. With `proxied`, every
    connection begins with a PROXY header (version 2)."""

    headers_bytes_max: int
    headers_timeout_s: float
    idle_timeout_s: float
    connections_max: int
    accept_budget: int
    proxied: bool = False


@dataclass(slots=True)
class Counters:
    """Since the start. `shed`: closed to make room; `late`: closed by a timeout before a whole request; `blocked`: not
    taken at all."""

    accepted: int = 0
    requests: int = 0
    malformed: int = 0
    shed: int = 0
    late: int = 0
    blocked: int = 0


class _Connection:
    """One connection in the intake.

    `header` is what has come of its PROXY header, None behind that. `closing`: nothing more is read but to be thrown
    away. `requests`: read and not answered, behind the one whose answer `take_back` would call off.
    """

    __slots__ = (
        "answered",
        "closing",
        "deadline_s",
        "header",
        "keep_alive",
        "mask",
        "out",
        "reader",
        "requests",
        "sock",
        "take_back",
        "told",
    )

    def __init__(self, sock: socket.socket, reader: RequestReader, deadline_s: float) -> None:
        self.sock = sock
        self.reader = reader
        self.deadline_s = deadline_s
        self.mask = 0  # not watched yet
        self.out = b""
        self.keep_alive = True
        self.answered = False
        self.told = False  # that its request does not come to an end
        self.closing = False
        self.requests: list[Request] = []
        self.take_back: Callable[[], None] | None = None
        self.header: bytes | None = None


class Server:
    """Accepts on `listener`, answers with `answer(request)`. Register once with `start`; `stop` ends accepting.

    `spare()` is how many connections above `limits.connections_max` there is room for at this moment. With `tls`, every
    connection begins with a handshake. `judge` hears how long the first of the fresh connections has waited, s; it says
    whether the newest of them come first. `admits` says of an address whether a connection from there is taken;
    `misses` is told of one whose request is none, or does not come to its end.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        answer: Callable[[Request], Answer],
        limits: Limits,
        spare: Callable[[], int] = lambda: 0,
        tls: ssl.SSLContext | None = None,
        judge: Callable[[float], bool] = lambda waited_s: False,
        admits: Callable[[str], bool] = lambda source: True,
        misses: Callable[[str], object] = lambda source: None,
    ) -> None:
        self.counters = Counters()
        self._loop = loop
        self._listener = listener
        self._family = int(listener.family)
        self._answer = answer
        self._limits = limits
        self._spare = spare
        self._judge = judge
        self._admits = admits
        self._misses = misses
        self._tls = tls
        self._connections: dict[int, _Connection] = {}
        self._room: dict[int, None] = {}  # who makes room: whoever has been longest without a whole request comes first
        self._shaking: dict[int, float] = {}  # who makes none, and since when (monotonic, s)
        self._handler = self._on_event
        self._accepting = False
        self._retired = False

    def __len__(self) -> int:
        """Connections in the intake."""
        return len(self._connections)

    @property
    def retired(self) -> bool:
        return self._retired

    def retire(self) -> None:
        """Take whoever waits on the listening socket, then close it, and every connection after its next answer."""
        self._retired = True
        self._accept_all()
        self._pause()
        self._listener.close()
        for fd, connection in list(self._connections.items()):
            if connection.reader.idle and not connection.out and not connection.take_back and connection.answered:
                self._close(fd)

    def _accept_all(self) -> None:
        before = -1
        while self._accepting and before != self.counters.accepted:
            before = self.counters.accepted
            self._accept()

    def start(self) -> None:
        self._resume()
        self._loop.every(SWEEP_S, self._sweep)

    def stop(self) -> None:
        """Close the listening socket and every connection."""
        self._pause()
        self._retired = True
        self._listener.close()
        for fd in list(self._connections):
            self._close(fd)

    def _resume(self) -> None:
        if not self._accepting and not self._retired:
            self._accepting = True
            self._loop.watch(self._listener.fileno(), _IN, lambda fd, mask: self._loop.defer(self._accept))

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.forget(self._listener.fileno())

    def _accept(self) -> None:
        """Take what waits, within the budget. The first has waited longest."""
        deadline_s = time.monotonic() + self._limits.headers_timeout_s
        budget = self._budget(time.monotonic())
        if budget <= 0:
            self._pause()
            return
        arrivals = self._arrivals()
        first = next(arrivals, None)
        if first is None:
            return
        row: Iterable[tuple[socket.socket, str]] = chain((first,), islice(arrivals, budget - 1))
        if self._judge(waited_s(first[0])):
            row = reversed([first, *islice(arrivals, SHED_BUDGETS * budget - 1)])
        for sock, source in row:
            self._take(sock, source, deadline_s)

    def _budget(self, now: float) -> int:
        """How many may be taken: each finds a place that is free, or somebody who makes room."""
        while self._shaking:
            fd, since_s = next(iter(self._shaking.items()))
            if now - since_s < SHAKING_S:
                break
            del self._shaking[fd]
            self._room[fd] = None
        return min(self._limits.accept_budget, self._limits.connections_max + self._spare() - len(self._shaking))

    def _arrivals(self) -> Iterator[tuple[socket.socket, str]]:
        """Fresh connections; without descriptors or memory for more, accepting rests until the next sweep."""
        until_s = time.monotonic() + TURN_S
        while time.monotonic() <= until_s:
            try:
                sock, source = accept(self._listener, self._family)
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:
                self._pause()
                return
            if self._admits(source):
                yield sock, source
            else:
                self.counters.blocked += 1
                abort(sock)

    def _take(self, sock: socket.socket, source: str, deadline_s: float) -> None:
        if len(self._connections) >= self._limits.connections_max + self._spare():
            self.counters.shed += 1
            self._displace(next(iter(self._room or (fd for fd in self._connections if fd not in self._shaking))))
        fd = sock.fileno()
        connection = _Connection(sock, RequestReader(self._limits.headers_bytes_max, source), deadline_s)
        self._connections[fd] = connection
        self._room[fd] = None
        self.counters.accepted += 1
        if self._limits.proxied:
            connection.header = b""
            self._read(fd, connection)
        else:
            self._begin(fd, connection)
        if fd in self._connections and not connection.mask:
            self._expect(fd, connection, _ASKING)

    def _displace(self, fd: int) -> None:
        """Somebody has to make room: who is here for longest without asking for anything."""
        connection = self._connections[fd]
        if self._has_said_nothing(connection) and not connection.told:
            self._misses(connection.reader.source)
        self._close(fd)

    def _has_said_nothing(self, connection: _Connection) -> bool:
        """Clients speak as they come: of a crowd those are cut who have begun, and that is not their doing."""
        if connection.answered or connection.header is not None or not connection.reader.idle:
            return False
        return not (self._tls and has_answered_hello(connection.sock))

    def _begin(self, fd: int, connection: _Connection) -> None:
        """The connection's own bytes come next; most requests come with their connection. No handshake is made with who
        has gone away while they waited for it: where many wait too long, those are most of them."""
        try:
            if self._tls:
                if has_hung_up(connection.sock):
                    raise ConnectionResetError
                connection.sock = wrap(connection.sock, self._tls)
        except OSError:  # it is gone already
            self._close(fd)
        else:
            self._read(fd, connection)

    def _read_header(self, fd: int, connection: _Connection) -> None:
        """Take the PROXY header, and not a byte more."""
        assert connection.header is not None
        try:
            while size := proxy.missing(connection.header):
                data = connection.sock.recv(size)
                if not data:
                    raise ConnectionResetError
                connection.header += data
            source = proxy.decode(connection.header).source
        except BlockingIOError:
            return
        except (OSError, proxy.BadProxyHeader):
            self.counters.malformed += 1
            self._close(fd)
            return
        connection.header = None
        if source:
            connection.reader = RequestReader(self._limits.headers_bytes_max, source)
        if source and not self._admits(source):
            self.counters.blocked += 1
            self._close(fd, abort)
            return
        self._begin(fd, connection)

    def _on_event(self, fd: int, mask: int) -> None:
        connection = self._connections[fd]
        if mask & _OUT:
            self._flush(fd, connection)
        elif connection.take_back and mask & ENDED:
            self._close(fd)
        elif connection.take_back:  # it asks on; it is read when it has its answer
            self._expect(fd, connection, select.EPOLLRDHUP)
        elif mask & _IN:
            self._read(fd, connection)
        elif mask & ENDED:
            self._close(fd)

    def _read(self, fd: int, connection: _Connection) -> None:
        if connection.header is not None:
            self._read_header(fd, connection)
            return
        try:
            data = connection.sock.recv(READ_BYTES)
        except BlockingIOError:
            if self._tls and not connection.answered and has_answered_hello(connection.sock):
                self._shake(fd)
            return
        except OSError:
            data = b""
        if self._shaking:
            self._shaken(fd)
        if not data:
            self._close(fd)
        elif not connection.closing:
            self._serve(fd, connection, data)

    def _shake(self, fd: int) -> None:
        """The handshake costs the peer as much again: it keeps its place until then."""
        if self._room.pop(fd, 0) is None:
            self._shaking[fd] = time.monotonic()

    def _shaken(self, fd: int) -> None:
        if self._shaking.pop(fd, None) is not None:
            self._room[fd] = None
            self._resume()

    def _serve(self, fd: int, connection: _Connection, data: bytes) -> None:
        reader, was_idle = connection.reader, connection.reader.idle
        connection.requests += reader.feed(data)
        self._answer_all(fd, connection)
        if not connection.out and was_idle and not reader.idle:
            connection.deadline_s = min(connection.deadline_s, time.monotonic() + self._limits.headers_timeout_s)

    def _answer_all(self, fd: int, connection: _Connection) -> None:
        """Answer in order what was asked, up to an answer that is yet to come or takes the socket away."""
        while connection.requests and connection.keep_alive:
            request = connection.requests.pop(0)
            answer = self._answer_one(fd, request)
            if isinstance(answer, Handover):
                self._hand_over(fd, connection, answer)
                return
            if isinstance(answer, Later):
                self._await(fd, connection, request, answer)
                return
            self._put(connection, request, answer)
        if connection.reader.refused and connection.keep_alive:
            self._refuse(connection, connection.reader.refused)
        if connection.out:
            connection.deadline_s = time.monotonic() + self._limits.idle_timeout_s
            self._flush(fd, connection)

    def _put(self, connection: _Connection, request: Request, answer: Response | Ready) -> None:
        """Behind what is to be sent on `connection`, whose life it decides."""
        keep_alive, head = request.keep_alive and not self._retired, request.method == "HEAD"
        connection.answered = True
        if isinstance(answer, Ready):
            connection.keep_alive = keep_alive
            connection.out += answer.bytes_for(keep_alive=keep_alive, head=head)
        else:
            connection.keep_alive = keep_alive and answer.body is not None
            connection.out += encode(answer, keep_alive=connection.keep_alive, head=head)

    def _await(self, fd: int, connection: _Connection, request: Request, answer: Later) -> None:
        """Nothing is read meanwhile; that the peer leaves is seen. It has asked whole, so others make room first."""
        connection.take_back = answer.wait(lambda response: self._give(fd, connection, request, response))
        connection.deadline_s = time.monotonic() + self._limits.idle_timeout_s
        self._room.pop(fd, None)
        if connection.out:
            self._flush(fd, connection)
        else:
            self._expect(fd, connection, _ASKING)

    def _give(self, fd: int, connection: _Connection, request: Request, response: Response | Ready) -> None:
        connection.take_back = None
        self._put(connection, request, response)
        self._answer_all(fd, connection)

    def _answer_one(self, fd: int, request: Request) -> Answer:
        self.counters.requests += 1
        try:
            return self._answer(request)
        except Exception:
            self._loop.report_fault(fd)
            return refusal(500, "internal", "Internal Server Error")

    def shut_out(self, is_out: Callable[[str], bool]) -> None:
        """Close the connections from addresses that `is_out` names: they were taken before it did."""

        def look_at(fd: int, connection: _Connection) -> None:
            if is_out(connection.reader.source):
                self.counters.blocked += 1
                self._close(fd, abort)

        self._loop.spread(self._connections, look_at)

    def _refuse(self, connection: _Connection, response: Response) -> None:
        self.counters.malformed += 1
        self._misses(connection.reader.source)
        connection.keep_alive = False
        connection.out += encode(response)

    def _hand_over(self, fd: int, connection: _Connection, answer: Handover) -> None:
        del self._connections[fd]
        self._room.pop(fd, None)
        connection.reader.close()
        answer.take(connection.sock, connection.out)

    def _flush(self, fd: int, connection: _Connection) -> None:
        """Send what is to be sent. While some is left, nothing is read: who does not read is not read from."""
        try:
            sent = connection.sock.send(connection.out)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(fd)
            return
        connection.out = connection.out[sent:]
        if connection.out:
            self._expect(fd, connection, _OUT)
        elif connection.take_back:
            self._expect(fd, connection, _ASKING)
        elif connection.keep_alive:
            self._wait_for_next(fd, connection)
        elif connection.reader.over and not self._tls:  # nothing comes any more that a reset would answer
            self._close(fd)
        else:
            self._linger(fd, connection)

    def _expect(self, fd: int, connection: _Connection, mask: int) -> None:
        if connection.mask != mask:
            connection.mask = mask
            self._loop.watch(fd, mask, self._handler)

    def _wait_for_next(self, fd: int, connection: _Connection) -> None:
        idle = connection.reader.idle
        timeout_s = self._limits.idle_timeout_s if idle else self._limits.headers_timeout_s
        connection.deadline_s = time.monotonic() + timeout_s
        self._room.pop(fd, None)
        self._room[fd] = None
        self._expect(fd, connection, _ASKING)

    def _linger(self, fd: int, connection: _Connection) -> None:
        connection.closing = True
        self._room[fd] = None
        connection.deadline_s = time.monotonic() + LINGER_S
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_WR)
        self._expect(fd, connection, _IN)

    def _sweep(self) -> None:
        """Close what is over its time, and accept again if that had to rest."""
        self._loop.spread(self._connections, self._look_at)
        self._resume()

    def _look_at(self, fd: int, connection: _Connection) -> None:
        now = time.monotonic()
        unfinished_s = connection.deadline_s - self._limits.headers_timeout_s + UNFINISHED_S
        if not connection.told and not connection.reader.idle and now >= unfinished_s:
            connection.told = True
            self._misses(connection.reader.source)
        if now >= connection.deadline_s:
            self._time_out(fd, connection)

    def _time_out(self, fd: int, connection: _Connection) -> None:
        if connection.closing or connection.out or connection.take_back or connection.reader.idle:
            if not connection.answered and not connection.take_back:
                self._misses(connection.reader.source)  # it never asked for anything
            self._close(fd)
            return
        self.counters.late += 1
        connection.keep_alive = False
        connection.out = encode(refusal(408, "request-too-slow", "Request Timeout", "the request did not end in time"))
        self._flush(fd, connection)

    def _close(self, fd: int, end: Callable[[socket.socket], None] = socket.socket.close) -> None:
        self._shaken(fd)
        connection = self._connections.pop(fd)
        self._room.pop(fd, None)
        if connection.take_back:
            connection.take_back()
        connection.reader.close()
        self._loop.forget(fd)
        end(connection.sock)
