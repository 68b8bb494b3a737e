"""nginx, HAProxy and Icecast as an operator would set them up for a live show, in a network namespace of their own.

nginx and HAProxy answer joins themselves (with a ticket that says nothing) and have an Icecast behind them, which has a
stream of MP3 at its pace. Limits are for a single address, and generous, since offices and phone networks are behind
one: nginx by `limit_req` (10 a second, bursts of 20) and `limit_conn` (50), HAProxy by a stick table (100 requests and
100 connections in ten seconds, 50 at a time); all have timeouts for requests that do not come to their end.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from support.netns import HOUSE, Cable, entered
from support.processes import BenchError, compiled, free_port, running, wait_for_port

TICKET = "t"
MOUNT = "/live/t/mp3-low"
CLIENTS_MAX = 18_000
PAIRS_MAX = 9_500  # of a proxy with two descriptors for each, of 20,000 that a process may open
CORES = "0-1"

_ICECAST = """<icecast>
<limits><clients>{clients}</clients><sources>2</sources><queue-size>524288</queue-size><burst-size>32768</burst-size>
<client-timeout>15</client-timeout><header-timeout>10</header-timeout><source-timeout>10</source-timeout></limits>
<authentication><source-password>bench</source-password><relay-password>bench</relay-password>
<admin-user>bench</admin-user><admin-password>bench</admin-password></authentication>
<hostname>localhost</hostname><listen-socket><port>{port}</port><bind-address>{bind}</bind-address></listen-socket>
<paths><basedir>{scratch}</basedir><logdir>{scratch}</logdir><webroot>{scratch}</webroot><adminroot>{scratch}</adminroot>
<alias source="/live/t/mp3" destination="{mount}"/></paths>
<logging><errorlog>error.log</errorlog><loglevel>2</loglevel></logging>
</icecast>
"""
_NGINX = """daemon off; worker_processes 2; worker_rlimit_nofile {clients}; pid {scratch}/nginx.pid;
events {{ worker_connections {clients}; multi_accept on; }}
http {{
  access_log off; tcp_nodelay on; client_body_temp_path {scratch}/b;
  proxy_temp_path {scratch}/t; fastcgi_temp_path {scratch}/t; uwsgi_temp_path {scratch}/t; scgi_temp_path {scratch}/t;
  client_header_timeout 10s; client_body_timeout 10s; send_timeout 10s; keepalive_timeout 15s;
  reset_timedout_connection on;
  limit_req_zone $binary_remote_addr zone=req:50m rate=10r/s;
  limit_conn_zone $binary_remote_addr zone=conn:50m;
  limit_req_status 429; limit_conn_status 429; limit_req zone=req burst=20 nodelay; limit_conn conn 50;
  server {{
    listen 127.0.0.1:{inner} backlog=4096;
    default_type application/json; return 200 '{{"ticket": "t"}}';
  }}
  server {{
    listen {bind}:{port} backlog=4096;
    location /s/ {{ proxy_pass http://127.0.0.1:{inner}; }}  # a `return` in here would come before the limits
    location /live/ {{
      rewrite ^ {mount} break; proxy_pass http://127.0.0.1:{behind}; proxy_buffering off; proxy_read_timeout 60s;
    }}
  }}
}}
"""
_HAPROXY = """global
  maxconn {pairs}
  nbthread 2
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 10s
frontend show
  bind {bind}:{port} backlog 4096
  stick-table type ip size 1m expire 60s store http_req_rate(10s),conn_cur,conn_rate(10s)
  tcp-request connection track-sc0 src
  tcp-request connection reject if {{ sc0_conn_cur gt 50 }} || {{ sc0_conn_rate gt 100 }}
  http-request deny deny_status 429 if {{ sc0_http_req_rate gt 100 }}
  http-request return status 200 content-type application/json string '{{"ticket":"t"}}' if {{ path_beg /s/ }}
  default_backend icecast
backend icecast
  http-request set-path {mount}
  server one 127.0.0.1:{behind}
"""


class Guarded(NamedTuple):
    """A server on `port` of the house; `ticket`: what everybody has where no joins are answered."""

    cable: Cable
    port: int
    ticket: str


@contextlib.contextmanager
def icecast(scratch: Path, bind: str) -> Iterator[int]:
    """With a stream on its mount; -> its port."""
    port, config = free_port(), scratch / "icecast.xml"
    config.write_text(_ICECAST.format(port=port, bind=bind, scratch=scratch, clients=CLIENTS_MAX, mount=MOUNT))
    scratch.chmod(0o777)
    preload = {"LD_PRELOAD": str(compiled("backlog.c", "-shared", "-fPIC"))}
    argv = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "icecast2", "-c", config]
    with (scratch / "log").open("ab") as log, running(argv, CORES, log, preload) as process:
        wait_for_port(port, process, bind)
        with running(_source(f"icecast://source:bench@{bind}:{port}{MOUNT}"), CORES, log, stdin=subprocess.DEVNULL):
            yield port


def _source(url: str) -> list[object]:
    tone = "sine=frequency=440:sample_rate=48000"
    mp3 = ["-c:a", "libmp3lame", "-b:a", "64k", "-content_type", "audio/mpeg", "-f", "mp3"]
    return ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", tone, "-flush_packets", "1", *mp3, url]


@contextlib.contextmanager
def _before(config: str, argv: Callable[[Path], list[object]], scratch: Path) -> Iterator[int]:
    """A server by `config` before an Icecast; -> its port."""
    with ExitStack() as stack:
        behind, port = stack.enter_context(icecast(scratch, "127.0.0.1")), free_port()
        path = scratch / "config"
        values = {
            "bind": HOUSE,
            "port": port,
            "inner": free_port(),
            "behind": behind,
            "mount": MOUNT,
            "clients": CLIENTS_MAX,
            "pairs": PAIRS_MAX,
        }
        path.write_text(config.format(scratch=scratch, **values))
        log = stack.enter_context((scratch / "log").open("ab"))
        process = stack.enter_context(running(argv(path), CORES, log))
        try:
            wait_for_port(port, process, HOUSE)
        except BenchError as error:
            raise BenchError(f"{error}\n{(scratch / 'log').read_text()[-2000:]}") from error
        yield port


@contextlib.contextmanager
def guarded(server: str, scratch: Path) -> Iterator[Guarded]:
    """nginx, haproxy or icecast, in the house of two namespaces."""
    with ExitStack() as stack:
        cable = Cable(stack)
        stack.enter_context(entered(cable.house))
        if server == "icecast":
            yield Guarded(cable, stack.enter_context(icecast(scratch, HOUSE)), TICKET)
            return
        config, argv = _SERVERS[server]
        yield Guarded(cable, stack.enter_context(_before(config, argv, scratch)), "")


_SERVERS: dict[str, tuple[str, Callable[[Path], list[object]]]] = {
    "nginx": (_NGINX, lambda path: ["nginx", "-e", path.with_name("error.log"), "-c", path]),
    "haproxy": (_HAPROXY, lambda path: ["haproxy", "-f", path]),
}
