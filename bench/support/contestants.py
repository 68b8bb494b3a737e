"""The servers that are compared, each started fresh on a port of its own with the same chunks at the same times."""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import ssl
import struct
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from stentor.core import hold
from stentor.core.keys import Key, admission
from stentor.formats import ticket
from stentor.io.board import Board
from stentor.io.codec import make_holds
from stentor.io.keys import GroupKeys
from stentor.io.ring import create
from stentor.io.wake import RING, Caller
from stentor.model import board
from stentor.model.grid import Grid
from stentor.model.rendition import OPUS
from stentor.settings import Settings, to_environ
from support.certs import certificate
from support.crowd import PLAIN, TLS
from support.processes import (
    READY_S,
    SERVER_CORE,
    BenchError,
    Cores,
    compiled,
    family,
    free_port,
    running,
    wait_for_port,
)
from support.pulse import Chunks

SHOW = "bench"
LISTENERS_MAX = 19_000
TICKET_LIFE_S = 3600
BLOCK_BYTES = 1_400  # Icecast cuts what it gets into blocks of this size (REFBUF); the last one may not be full yet


class Contestant(NamedTuple):
    """A running server. `slack_bytes`: by how much a listener's bytes may differ from those of the chunks; `wire`: what
    a crowd speaks to it."""

    port: int
    pids: list[int]
    paths: list[str]
    publish: Callable[[int, Chunks], None]
    slack_bytes: int = 0
    wire: str = PLAIN


Start = Callable[[Grid, Path, int], contextlib.AbstractContextManager[Contestant]]


@contextlib.contextmanager
def stentor(
    grid: Grid, scratch: Path, listeners: int, *, secure: bool = False, workers: int = 1, cores: Cores = SERVER_CORE
) -> Iterator[Contestant]:
    """`stentor edge` on a ring that the bench writes as a studio does: all renditions, then one call.

    Several `workers` share the port (SO_REUSEPORT); with `secure`, all is over TLS.
    """
    chain, key = map(str, certificate(scratch)) if secure else ("", "")
    settings = Settings(
        data_dir=scratch / "data", run_dir=scratch / "run", edge_port=free_port(), tls_chain=chain, tls_key=key
    )
    ring = create(settings.run_dir / "ring", SHOW, grid, make_holds(hold.loop()))
    _put_stage(settings, grid, ring.path)
    caller = Caller(settings.wake_dir)

    def publish(n: int, made: Chunks) -> None:
        for rendition_id, data in made.items():
            ring.publish(rendition_id, n, data)
        caller.call(RING)

    with contextlib.ExitStack() as stack:
        pids = [stack.enter_context(_edge(settings, worker, scratch, cores)) for worker in range(workers)]
        paths = tickets(settings, listeners)
        yield Contestant(settings.edge_port, pids, paths, publish, wire=TLS if secure else PLAIN)
    caller.close()
    ring.close()


def _put_stage(settings: Settings, grid: Grid, ring: Path) -> None:
    """What the studio tells the edges."""
    chunk_ms = round(grid.chunk_s * 1000)
    stage = board.Stage(
        at_ms=time.time_ns() // 1_000_000, show=SHOW, title="Bench", phase=board.Phase.LIVE, ring=str(ring),
        t0_wall_ns=grid.t0_wall_ns, chunk_ms=chunk_ms,
    )  # fmt: skip
    Board(settings.board_dir).put("stage", stage)


@contextlib.contextmanager
def _edge(settings: Settings, worker: int, scratch: Path, cores: Cores) -> Iterator[int]:
    """One worker that accepts; -> its pid."""
    argv = [sys.executable, "-m", "stentor.cli", "edge", "--worker", worker]
    values, key, deadline = Board(settings.board_dir), f"edge-{worker}", time.monotonic() + READY_S
    with serving(argv, settings.edge_port, scratch, to_environ(settings), cores) as process:
        while (value := values.get(key, board.Edge)) is None or value.pid != process.pid:
            if time.monotonic() > deadline or process.poll() is not None:
                raise BenchError(f"{key} does not come:\n{(scratch / 'log').read_text()[-2000:]}")
            time.sleep(0.02)
        yield process.pid


def playlists(server: Contestant) -> list[str]:
    """Paths of the HLS playlists of an edge's show."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", server.paths[0].rpartition("/")[0] + "/index.m3u8")
    text = connection.getresponse().read().decode()
    connection.close()
    return [line for line in text.splitlines() if not line.startswith("#")]


def tickets(settings: Settings, count: int, show: str = SHOW) -> list[str]:
    """A path with a ticket of its own for every listener."""
    tag, now = ticket.show_tag(show), int(time.time())
    hour, group = now // ticket.HOUR_S, settings.edge_group
    key = Key(ticket.hour_id(hour), GroupKeys(settings.keys_dir, group).hour(hour), group)
    minted = (admission(key, tag, seq, now, TICKET_LIFE_S) for seq in range(1, count + 1))
    return [f"/live/{text}/{OPUS.name}" for text in minted]


@contextlib.contextmanager
def floor(grid: Grid, scratch: Path, listeners: int) -> Iterator[Contestant]:
    """floor.c with the socket options of an edge."""
    port = free_port()
    argv = [compiled("floor.c"), "127.0.0.1", port, Settings().sndbuf_bytes]
    with serving(argv, port, scratch, stdin=subprocess.PIPE) as process:
        pipe = process.stdin
        assert pipe is not None

        def publish(n: int, made: Chunks) -> None:
            data = made[OPUS.id]
            pipe.write(struct.pack("=I", len(data)) + data)
            pipe.flush()

        yield Contestant(port, [process.pid], ["/"], publish)


_NGINX = """load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off; worker_processes 1; worker_rlimit_nofile {listeners}; pid {scratch}/nginx.pid;
events {{ worker_connections {listeners}; }}
http {{
  access_log off; tcp_nodelay on; client_body_temp_path {scratch}/body; client_body_buffer_size 64k;
  proxy_temp_path {scratch}/t; fastcgi_temp_path {scratch}/t; uwsgi_temp_path {scratch}/t; scgi_temp_path {scratch}/t;
  {http}
  server {{
    listen 127.0.0.1:{port} {ssl} backlog=4096 sndbuf={sndbuf} rcvbuf=16384;
    {more}
    {locations}
  }}
}}
"""
_NGINX_TLS = "ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;"
_NCHAN = """
    listen 127.0.0.1:{publish_port};
    location = /publish {{
      nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 4; nchan_message_timeout 10s;
    }}
    location = /live {{
      nchan_subscriber http-raw-stream; nchan_subscriber_http_raw_stream_separator ""; nchan_channel_id bench;
      nchan_subscriber_first_message newest; nchan_subscriber_timeout 0; default_type audio/mp4;
    }}
"""
_STATIC = "root {root}; sendfile on; open_file_cache max=16; keepalive_timeout 0; default_type audio/mp4;"


@contextlib.contextmanager
def nginx(scratch: Path, locations: str, secure: bool = False, http: str = "") -> Iterator[tuple[int, int]]:
    """nginx with one worker; `http`: directives of the block of that name; -> port and pid of its master."""
    port, config = free_port(), scratch / "nginx.conf"
    values = {"port": port, "scratch": scratch, "listeners": LISTENERS_MAX, "sndbuf": Settings().sndbuf_bytes}
    more = _NGINX_TLS.format(**certificate(scratch)._asdict()) if secure else ""
    config.write_text(_NGINX.format(**values, ssl="ssl" if secure else "", more=more, locations=locations, http=http))
    with serving(["nginx", "-e", scratch / "error.log", "-c", config], port, scratch) as process:
        yield port, process.pid


@contextlib.contextmanager
def nchan(grid: Grid, scratch: Path, listeners: int, *, secure: bool = False) -> Iterator[Contestant]:
    """nginx with nchan's raw HTTP stream; chunks are POSTed over one connection, always a plain one."""
    publish_port = free_port()
    with nginx(scratch, _NCHAN.format(publish_port=publish_port), secure) as (port, pid):
        client = http.client.HTTPConnection("127.0.0.1", publish_port, timeout=5)

        def publish(n: int, made: Chunks) -> None:
            client.request("POST", "/publish", made[OPUS.id])
            answer = client.getresponse()
            answer.read()
            if answer.status not in (201, 202):
                raise BenchError(f"nchan answered {answer.status}")

        publish(0, {OPUS.id: b"-"})  # nobody hears it; once it is answered there is a worker
        yield Contestant(port, family(pid), ["/live"], publish, wire=TLS if secure else PLAIN)


@contextlib.contextmanager
def static(grid: Grid, scratch: Path, listeners: int, *, size: int, secure: bool = False) -> Iterator[Contestant]:
    """nginx with a file of `size` bytes, which closes after each answer. It takes no chunks."""
    root = scratch / "root"
    root.mkdir()
    (root / "live").write_bytes(bytes(size))
    scratch.chmod(0o755)  # its worker is somebody else
    with nginx(scratch, _STATIC.format(root=root), secure) as (port, pid):
        fetch_once(port, secure)
        yield Contestant(port, family(pid), ["/live"], lambda n, made: None, wire=TLS if secure else PLAIN)


def fetch_once(port: int, secure: bool = False, path: str = "/live") -> None:
    """Once it has answered there is a worker. Raises `BenchError` if it does not."""
    context = ssl._create_unverified_context()
    kind = functools.partial(http.client.HTTPSConnection, context=context) if secure else http.client.HTTPConnection
    client = kind("127.0.0.1", port, timeout=5)
    client.request("GET", path)
    answer = client.getresponse()
    client.close()
    if answer.status != 200:
        raise BenchError(f"nginx answered {answer.status}")


_ICECAST = """<icecast>
<limits><clients>{listeners}</clients><sources>2</sources><queue-size>2097152</queue-size><burst-size>0</burst-size>
<client-timeout>60</client-timeout><header-timeout>60</header-timeout><source-timeout>60</source-timeout></limits>
<authentication><source-password>bench</source-password><relay-password>bench</relay-password>
<admin-user>bench</admin-user><admin-password>bench</admin-password></authentication>
<hostname>localhost</hostname><listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
<paths><basedir>{scratch}</basedir><logdir>{scratch}</logdir><webroot>{scratch}</webroot><adminroot>{scratch}</adminroot></paths>
<logging><errorlog>error.log</errorlog><loglevel>2</loglevel></logging>
</icecast>
"""
_SOURCE = (
    b"PUT /live HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic " + b64encode(b"source:bench") + b"\r\n"
    b"Content-Type: audio/mpeg\r\nIce-Public: 0\r\nExpect: 100-continue\r\n\r\n"
)  # fmt: skip


@contextlib.contextmanager
def icecast(grid: Grid, scratch: Path, listeners: int) -> Iterator[Contestant]:
    """Icecast as nobody, with a longer listen backlog (backlog.c). It passes the source's bytes on as they are."""
    port, config = free_port(), scratch / "icecast.xml"
    config.write_text(_ICECAST.format(port=port, scratch=scratch, listeners=LISTENERS_MAX))
    scratch.chmod(0o777)
    preload = {"LD_PRELOAD": str(compiled("backlog.c", "-shared", "-fPIC"))}
    argv = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "icecast2", "-c", config]
    with serving(argv, port, scratch, preload) as process, socket.create_connection(("127.0.0.1", port)) as source:
        source.settimeout(5)
        source.sendall(_SOURCE)
        if b" 100 " not in (answer := source.recv(1000)):
            raise BenchError(f"Icecast refuses the source: {answer!r}")

        def publish(n: int, made: Chunks) -> None:
            source.sendall(made[OPUS.id])

        yield Contestant(port, [process.pid], ["/live"], publish, BLOCK_BYTES)


@contextlib.contextmanager
def serving(
    argv: list[object],
    port: int,
    scratch: Path,
    environ: dict[str, str] | None = None,
    cores: Cores = SERVER_CORE,
    **pipes: int,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server on its core that accepts; if anything fails, the end of its log goes with the error."""
    with (scratch / "log").open("ab") as log, running(argv, cores, log, environ, **pipes) as process:
        try:
            wait_for_port(port, process)
            yield process
        except BenchError as error:
            raise BenchError(f"{error}\n{(scratch / 'log').read_text()[-2000:]}") from error


CONTESTANTS: dict[str, Start] = {"floor": floor, "stentor": stentor, "nchan": nchan, "icecast": icecast}
