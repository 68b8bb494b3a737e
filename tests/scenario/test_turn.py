"""A guest whose network lets no UDP through to the studio, and a relay (Debian's coturn) that both can reach."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import netns, relayed_stage

GUEST, STUDIO, RELAY = "10.77.31.10", "10.77.31.1", "10.77.31.2"
PORT, RELAY_PORT, SECRET = 8003, 3478, "of-the-relay"
WITHIN_S = 45
HEARD, SILENT = 0.1, 0.004  # of tones at 0.2


def missing() -> str:
    no_relay = not shutil.which("turnserver", path=netns.ENVIRON["PATH"])
    return netns.missing() or ("coturn is not installed (apt install coturn)" if no_relay else "")


pytestmark = [pytest.mark.scenario, pytest.mark.skipif(bool(missing()), reason=missing())]


class Networks:
    """Two namespaces and a cable; what is started in them ends with them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        ends = {"guest": (GUEST,), "studio": (STUDIO, RELAY)}
        self._names = dict(zip(ends, netns.pair(stack, ends), strict=True))

    def drop_udp(self) -> None:
        """From the guest to the studio."""
        rule = f"ip saddr {GUEST} ip daddr {STUDIO} meta l4proto udp drop"
        rules = f"table inet wall {{ chain in {{ type filter hook input priority 0; {rule}; }}; }}"
        netns.run("ip", "netns", "exec", self._names["studio"], "nft", rules)

    def start(self, place: str, *line: str) -> subprocess.Popen[str]:
        argv = ["ip", "netns", "exec", self._names[place], *line]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=netns.ENVIRON)
        self._stack.callback(end, process)
        return process


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    process.kill()
    process.wait()


@contextmanager
def networks() -> Iterator[Networks]:
    with ExitStack() as stack:
        yield Networks(stack)


def tone(path: Path) -> Path:
    samples = 0.2 * np.sin(2 * np.pi * relayed_stage.HZ * np.arange(480_000) / 48_000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path


def relay(networks: Networks, tmp_path: Path) -> subprocess.Popen[str]:
    return networks.start("studio", *netns.coturn(RELAY, RELAY_PORT, SECRET, tmp_path))


@contextmanager
def walled_stage(
    tmp_path: Path, transport: str
) -> Iterator[tuple[Networks, subprocess.Popen[str], subprocess.Popen[str]]]:
    """A relay and a ticking stage, which no UDP of the guest's reaches."""
    with networks() as joined:
        joined.drop_udp()
        relaying = relay(joined, tmp_path)
        url = f"turn:{RELAY}:{RELAY_PORT}?transport={transport}"
        stage = joined.start("studio", sys.executable, relayed_stage.__file__, STUDIO, str(PORT), url, SECRET)
        assert stage.stdout is not None and stage.stdout.readline() == "ready\n"
        yield joined, stage, relaying


def test_a_guest_without_udp_to_the_studio_is_heard_for_as_long_as_the_relay_lives(tmp_path):
    with walled_stage(tmp_path, "udp") as (joined, stage, relaying):
        sound = str(tone(tmp_path / "tone.wav"))
        speak = [sys.executable, "-m", "stentor.cli", "speak", f"http://{STUDIO}:{PORT}/stage/whip", sound]
        joined.start("guest", *speak, "--loop", "--token", "token-of-ann", "--for", f"{WITHIN_S}s")
        heard = told(stage)
        assert heard["remotes"] == [RELAY] and min(heard["strength"], heard["bobs"]) > HEARD
        end(relaying)
        alone = told(stage)
        assert alone["remotes"] == [] and alone["strength"] < SILENT and alone["bobs"] > HEARD, "nobody else is harmed"
        relay(joined, tmp_path)
        again = told(stage)
        assert again["remotes"] == [RELAY] and min(again["strength"], again["bobs"]) > HEARD


def told(stage: subprocess.Popen[str]) -> dict[str, Any]:
    assert stage.stdout is not None
    return dict(json.loads(stage.stdout.readline()))


def test_check_tells_the_wall_and_the_relay_that_gets_round_it(tmp_path):
    with walled_stage(tmp_path, "tcp") as (joined, _, _):
        link = f"http://{STUDIO}:{PORT}/stage/whip#token-of-ann"
        check = joined.start("guest", sys.executable, "-m", "stentor.cli", "check", "--json", "--speaker", link)
        said, _ = check.communicate(timeout=WITHIN_S)
        levels = {finding["what"]: finding["level"] for finding in json.loads(said)}
        assert levels == {"whip": "good", "udp": "warn", "relay": "good"} and check.returncode == 0
