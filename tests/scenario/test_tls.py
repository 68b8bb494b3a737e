"""A whole show over TLS, through a new certificate and the death of the studio."""

import json
import shutil
import ssl
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from stentor.io.board import Board
from stentor.model.board import Stage
from support.certs import certificate
from support.onair import OnAir
from support.running import Running, installation, until

pytestmark = pytest.mark.scenario
LINK_NAMES = ("crew_link", "listener_link")


def served(running: Running) -> str:
    """The certificate that each role hands out now, if it is the same for all."""
    ports = [getattr(running.settings, f"{role}_port") for role in ("door", "edge", "desk", "studio", "archive")]
    found = {ssl.get_server_certificate(("127.0.0.1", port)) for port in ports}
    return found.pop() if len(found) == 1 else ""


def renew(files: tuple[Path, Path], others: tuple[Path, Path]) -> None:
    for old, new in zip(files, others, strict=True):
        shutil.copy(new, old.with_suffix(".next"))
        old.with_suffix(".next").replace(old)


def test_a_show_over_tls(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    with (
        installation(tmp_path, tls_chain=str(chain), tls_key=str(key)) as running,
        ExitStack() as stack,
    ):
        running.start()
        on_air = OnAir(running, stack, tmp_path)
        assert all(getattr(on_air.made, name).startswith("https://") for name in LINK_NAMES)
        on_air.speak(on_air.made.crew_link)
        raw = {name: tmp_path / f"heard.{name}" for name in ("mp3", "opus", "aac")}
        for name, path in raw.items():
            on_air.hear(name, path)
        on_air.heard_at_least(raw["aac"], 30_000)

        before = served(running)
        renew((chain, key), certificate(tmp_path, "expired", days=-1))
        until(lambda: running.log.read_text().count("not reloaded, the old one stays") >= 5, "five roles refuse it")
        assert served(running) == before
        renew((chain, key), certificate(tmp_path, "next", days=3))
        until(lambda: served(running) not in ("", before), "every role has the new certificate")

        running.back("studio", running.kill("studio"))
        heard = json.loads(running.run("listen", on_air.made.listener_link, "--for", "3s", "--json").stdout)
        assert heard["fine"] and heard["missing"] == 0
        on_air.airs(6)
        on_air.end()
        on_air.assert_heard_is_taped(raw)
        replay = running.url("archive", f"/archive/{on_air.made.show}/replay.mp3")
        got = subprocess.run(["curl", "-sf", replay], env=running.environ, capture_output=True, check=True).stdout
        assert len(got) > 30_000


def test_a_certificate_that_cannot_be_read_is_the_first_thing_said(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    key.write_text("not a key")
    with installation(tmp_path, tls_chain=str(chain), tls_key=str(key)) as running:
        for role in ("edge", "desk", "studio", "archive", "door"):
            ended = running.run(role)
            assert ended.returncode == 3 and len(ended.stderr.strip().splitlines()) == 1, ended.stderr
            assert "do not go together" in ended.stderr
        assert Board(running.settings.board_dir).get("stage", Stage) is None
