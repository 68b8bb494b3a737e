"""`stentor demo` is the main job; it must say that all is well even when its studio is killed."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.scenario


def test_the_demo_is_fine_though_the_studio_is_killed() -> None:
    argv = [sys.executable, "-m", "stentor.cli", "demo", "--for", "10s", "--kill", "--json"]
    demo = subprocess.run(argv, capture_output=True, text=True, timeout=180)
    assert demo.returncode == 0, demo.stderr + demo.stdout
    summary = json.loads(demo.stdout)
    assert summary["fine"] and summary["heard"]["missing"] == 0
    assert summary["heard_on_tape"] > 10 and summary["tape"]["verified"] and summary["replay"]["bytes"] > 10_000
    assert "kill -9 of the studio" in demo.stderr
