"""The configurations in deploy/, as they stand but for ports and files, in front of a real show."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from stentor.clients.installation import accepts
from support.certs import certificate
from support.onair import OnAir
from support.ports import free_ports
from support.running import Running, installation, until

pytestmark = pytest.mark.scenario
DEPLOY = Path(__file__).parents[2] / "deploy"
IDLE_S = 2
ROLES = {"door": 8000, "edge": 8001, "desk": 8002, "studio": 8003, "archive": 8004}


def with_ports(name: str, running: Running) -> str:
    text = (DEPLOY / name).read_text()
    for role, port in ROLES.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{getattr(running.settings, f'{role}_port')}")
    assert not re.search(r"127\.0\.0\.1:80\d\d\b", text)
    return text


def nginx(running: Running, port: int, tmp: Path) -> list[str]:
    text = with_ports("nginx.conf", running).replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    text = text.replace("/etc/stentor/tls/", f"{tmp}/").replace("/var/log/nginx/", f"{tmp}/")
    places = "".join(
        f"{kind}_temp_path {tmp}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp / "nginx.conf").write_text(
        f"daemon off; pid {tmp}/pid; error_log stderr; events {{}}\nhttp {{ access_log off;\n{places}{text}}}\n"
    )
    return ["nginx", "-c", str(tmp / "nginx.conf"), "-e", "stderr"]


def haproxy(running: Running, port: int, tmp: Path, idle_s: int = 60) -> list[str]:
    text = with_ports("haproxy.cfg", running).replace("bind :443", f"bind 127.0.0.1:{port}")
    text = re.sub(r"(timeout (?:client|server)) 60s", rf"\1 {idle_s}s", text)
    (tmp / "haproxy.cfg").write_text(
        text.replace("/etc/stentor/tls/", f"{tmp}/").replace("maxconn 40000", "maxconn 400")
    )
    return ["haproxy", "-f", str(tmp / "haproxy.cfg")]


def caddy(running: Running, port: int, tmp: Path) -> list[str]:
    text = with_ports("Caddyfile", running)
    own = f"{{\n\tadmin off\n\tauto_https off\n}}\nhttps://127.0.0.1:{port} {{\n\ttls {tmp}/chain.pem {tmp}/key.pem"
    (tmp / "Caddyfile").write_text(text.replace("live.example {", own))
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(tmp / "Caddyfile")]


PROXIES = {"nginx": nginx, "haproxy": haproxy, "caddy": caddy}


@contextmanager
def behind(name: str, tmp: Path, **options: int) -> Iterator[tuple[Running, str, Path]]:
    """An installation behind this proxy; -> with the public origin and the certificate to trust."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    [port] = free_ports(1)
    chain, key = certificate(tmp)
    shutil.copy(chain, tmp / "chain.pem")
    shutil.copy(key, tmp / "key.pem")
    (tmp / "both.pem").write_text(chain.read_text() + key.read_text())
    origin = f"https://127.0.0.1:{port}"
    with installation(tmp, public_url=origin, proxy_protocol=name == "haproxy") as running:
        running.start()
        environ = running.environ | {"XDG_DATA_HOME": str(tmp), "XDG_CONFIG_HOME": str(tmp)}
        with (tmp / "proxy.log").open("wb") as log:
            proxy = subprocess.Popen(PROXIES[name](running, port, tmp, **options), env=environ, stdout=log, stderr=log)
        try:
            until(lambda: accepts(("127.0.0.1", port)) or proxy.poll() is not None, f"{name} is up")
            assert proxy.poll() is None, (tmp / "proxy.log").read_text()
            yield running, origin, chain
        finally:
            proxy.terminate()
            proxy.wait()


@pytest.mark.parametrize("name", PROXIES)
def test_a_show_behind_one_public_origin(name: str, tmp_path: Path) -> None:
    with behind(name, tmp_path) as (running, origin, chain), ExitStack() as stack:
        environ = running.environ | {"SSL_CERT_FILE": str(chain), "CURL_CA_BUNDLE": str(chain)}

        def curl(path: str, *options: str) -> bytes:
            argv = ["curl", "-sS", "-f", "-m", "20", *options, origin + path]
            return subprocess.run(argv, env=environ, capture_output=True, check=True).stdout

        on_air = OnAir(running, stack, tmp_path, environ=environ)
        made = on_air.made
        assert made.listener_link.startswith(origin) and made.crew_link.startswith(f"{origin}/crew/#")
        on_air.speak(made.crew_link)  # WHIP by way of the proxy, media past it
        assert b"<audio" in curl(f"/s/{made.show}") and json.loads(curl(f"/s/{made.show}/now"))["show"] == made.show
        ticket = json.loads(curl(f"/s/{made.show}/join", "-X", "POST"))["ticket"]
        curl(f"/s/{made.show}/listen.m3u", "-e", f"{origin}/live/{ticket}/x", "-G", "-d", f"place={ticket}")
        raw = tmp_path / "heard.opus"
        on_air.play("curl", "-sN", f"{origin}/live/{ticket}/opus", output=raw)
        on_air.heard_at_least(raw, 20_000)
        assert b"/aac/live.m3u8" in curl(f"/live/{ticket}/index.m3u8")
        heard = subprocess.run(
            running.command("listen", made.listener_link, "--for", "3s", "--json"), env=environ, capture_output=True
        )
        assert json.loads(heard.stdout)["fine"], heard
        on_air.airs(4)
        on_air.end()
        until(lambda: curl(f"/archive/{made.show}/replay.mp3", "-r", "0-99"), "the replay is there")
        on_air.assert_heard_is_taped({"opus": raw})
        logs = [path.read_text() for path in tmp_path.glob("*.log") if path.name in ("stentor.log", "proxy.log")]
        assert not any(ticket in text for text in logs), "whoever reads a log could come in by it"
        assert name != "nginx" or any("/live/-/index.m3u8" in text for text in logs)


@pytest.mark.parametrize("name", PROXIES)
def test_pages_come_from_an_edge_while_the_door_is_dead(name: str, tmp_path: Path) -> None:
    """Nobody new is let in, and is told so; whoever listens goes on, and comes back."""
    with behind(name, tmp_path) as (running, origin, chain), ExitStack() as stack:
        environ = running.environ | {"SSL_CERT_FILE": str(chain), "CURL_CA_BUNDLE": str(chain)}

        def curl(path: str, *options: str) -> tuple[int, str]:
            argv = ["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *options, origin + path]
            said = subprocess.run(argv, env=environ, capture_output=True, check=True, text=True).stdout
            body, _, code = said.rpartition("\n")
            return int(code), body

        on_air = OnAir(running, stack, tmp_path, environ=environ)
        show, raw = on_air.made.show, tmp_path / "heard.mp3"
        ticket = json.loads(curl(f"/s/{show}/join", "-X", "POST")[1])["ticket"]
        listening = on_air.play("curl", "-sN", f"{origin}/live/{ticket}/mp3", output=raw)
        on_air.heard_at_least(raw, 10_000)
        for role in ("serve", "door-0"):  # nobody starts it anew
            running.kill(role)
        until(lambda: curl(f"/s/{show}/now")[0] == 200, "the edge answers in its place")
        code, page = curl(f"/s/{show}")
        asset = re.search(r'"(/assets/[^"]+\.js)"', page)
        assert code == 200 and asset and curl(asset[1])[0] == 200
        assert "Nobody new can be let in for a moment" in curl(f"/s/{show}/wait")[1]
        code, refused = curl(f"/s/{show}/join", "-X", "POST")
        assert (code, json.loads(refused)["code"]) == (503, "door-down")
        on_air.heard_at_least(raw, raw.stat().st_size + 10_000)
        assert listening.poll() is None
        again = tmp_path / "again.mp3"
        on_air.spawn("curl", "-sN", f"{origin}/live/{ticket}/mp3", output=again)
        on_air.heard_at_least(again, 10_000)


def test_a_proxy_that_cuts_idle_streams_finds_none(tmp_path: Path) -> None:
    """It cuts what was silent for 2 s: neither a listener nor the crew's page are, for six times as long."""
    with behind("haproxy", tmp_path, idle_s=IDLE_S) as (running, origin, chain), ExitStack() as stack:
        environ = running.environ | {"SSL_CERT_FILE": str(chain), "CURL_CA_BUNDLE": str(chain)}
        on_air = OnAir(running, stack, tmp_path, environ=environ)
        token = on_air.made.crew_link.partition("#")[2]
        events = tmp_path / "events"
        crew = on_air.play(
            *("curl", "-sN", "-H", f"Authorization: Bearer {token}", f"{origin}/crew/api/events"), output=events
        )
        listening = on_air.spawn(
            *running.command("listen", on_air.made.listener_link, "--for", f"{6 * IDLE_S}s", "--json"),
            output=tmp_path / "heard",
        )
        assert listening.wait() == 0
        heard = json.loads((tmp_path / "heard").read_text())
        assert (heard["fine"], heard["reconnects"], heard["missing"]) == (True, 0, 0), heard
        assert crew.poll() is None and len(events.read_text().splitlines()) > 6 * IDLE_S
        crew.kill()
