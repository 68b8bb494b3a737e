"""Varnish and nginx in front of an edge, configured by the samples of docs/proxies with other ports and directories."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stentor.clients.installation import accepts

READY_S = 30.0
SAMPLES = Path(__file__).parents[2] / "docs" / "proxies"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _sample(name: str, values: dict[str, str]) -> str:
    """Each value stands in the sample, and is replaced."""
    text = (SAMPLES / name).read_text()
    for old, new in values.items():
        assert text.count(old) == 1, f"{name}: {old}"
        text = text.replace(old, new)
    return text


@contextmanager
def varnish(origin_port: int, scratch: Path) -> Iterator[int]:
    """-> its port."""
    port, config = _free_port(), scratch / "varnish.vcl"
    config.write_text(_sample("varnish.vcl", {'"8001"': f'"{origin_port}"'}))
    argv = ["varnishd", "-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-f", config, "-n", scratch / "varnish"]
    with _running([*argv, "-s", "malloc,32m"], port, scratch):
        yield port


@contextmanager
def nginx(origin_port: int, scratch: Path) -> Iterator[int]:
    """-> its port."""
    port, config = _free_port(), scratch / "nginx.conf"
    listen, cache = f"listen 127.0.0.1:{port} backlog=4096", f"proxy_cache_path {scratch}/cache"
    values = {":8001": f":{origin_port}", "listen 8080": listen, "proxy_cache_path /var/cache/nginx/stentor": cache}
    (scratch / "hls.conf").write_text(_sample("nginx-hls.conf", values))
    temporary = "".join(f"{kind}_temp_path {scratch}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(
        f"daemon off; worker_processes 1; worker_rlimit_nofile 16384; pid {scratch}/pid; user root;"
        f"events {{ worker_connections 8192; }}"
        f"http {{ access_log off; client_body_temp_path {scratch}/body; {temporary} include {scratch}/hls.conf; }}\n"
    )
    with _running(["nginx", "-e", scratch / "error.log", "-c", config], port, scratch):
        yield port


@contextmanager
def _running(argv: list[object], port: int, scratch: Path) -> Iterator[None]:
    with (scratch / "log").open("wb") as log:
        process = subprocess.Popen(list(map(str, argv)), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + READY_S
        while not accepts(("127.0.0.1", port)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{argv[0]} does not accept\n{(scratch / 'log').read_text()[-2000:]}")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


CACHES = {"varnishd": varnish, "nginx": nginx}  # by the command that has to be installed
