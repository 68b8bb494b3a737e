"""Addresses that cannot be had: one line that names them and what to change, and exit code 3, from every role."""

from __future__ import annotations

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest

from stentor.clients.installation import with_free_ports
from stentor.commands import Exit
from support.running import Running

pytestmark = pytest.mark.scenario
ROLES = ("door", "edge", "desk", "studio", "archive")


def port(running: Running, role: str) -> int:
    return int(getattr(running.settings, f"{role}_port"))


def all_at_once(running: Running) -> dict[str, subprocess.CompletedProcess[str]]:
    """Every role to its end."""
    with ThreadPoolExecutor(len(ROLES)) as pool:
        return dict(zip(ROLES, pool.map(running.run, ROLES), strict=True))


def said(running: Running, refused: subprocess.CompletedProcess[str], role: str) -> str:
    """The one line in which a role has said why it does not come up."""
    assert refused.returncode == Exit.CANNOT_START, refused.stderr
    (line,) = refused.stderr.splitlines()
    assert line.startswith("stentor") and f"{running.settings.bind}:{port(running, role)}" in line, line
    return line


def test_a_port_in_use_is_named_by_every_role(stopped: Running) -> None:
    with ExitStack() as strangers:
        for role in ROLES:
            strangers.enter_context(socket.create_server(("127.0.0.1", port(stopped, role))))
        for role, refused in all_at_once(stopped).items():
            assert "in use" in said(stopped, refused, role)


def test_an_address_of_another_machine_is_named_by_every_role(stopped: Running) -> None:
    stopped.settings = replace(stopped.settings, bind="192.0.2.1")  # RFC 5737: nobody's
    for role, refused in all_at_once(stopped).items():
        assert "assign" in said(stopped, refused, role)


def test_the_port_of_speakers_media_is_named_too(stopped: Running) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", port(stopped, "studio")))
        refused = stopped.run("studio")
    assert refused.returncode == Exit.CANNOT_START
    (line,) = [line for line in refused.stderr.splitlines() if not line.startswith("{")]
    assert f"UDP) on 127.0.0.1:{port(stopped, 'studio')}" in line and "in use" in line


@pytest.mark.parametrize("role", ["desk", "archive"])
def test_serve_names_the_port_before_it_starts_anything(stopped: Running, role: str) -> None:
    with socket.create_server(("127.0.0.1", port(stopped, role))):
        refused = stopped.run("serve")
    (line,) = refused.stderr.splitlines()
    assert refused.returncode == Exit.CANNOT_START
    assert f"port {port(stopped, role)} ({role}_port) is taken" in line
    assert not any(stopped.pids().values())


def test_the_demo_goes_elsewhere(stopped: Running) -> None:
    with socket.create_server(("127.0.0.1", port(stopped, "door"))):
        moved = with_free_ports(stopped.settings, keep=True)
    assert moved.door_port != stopped.settings.door_port
    assert replace(moved, door_port=stopped.settings.door_port) == stopped.settings
