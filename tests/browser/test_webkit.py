"""The listener page in WebKitGTK, the engine of Safari as Debian packs it, in front of real roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.altered import altered
from support.players_browsers import webkit, webkit_missing
from support.players_page import listen_to_the_end
from support.ports import free_ports
from support.running import Running

NO_PLAIN_SOURCE = "delete window.MediaSource"  # as on an iPhone; WebKit's own switch does nothing while it is driven

pytestmark = pytest.mark.skipif(bool(webkit_missing()), reason=webkit_missing())


def test_webkit_plays_by_push_and_turns_into_the_replay(running: Running, tmp_path: Path) -> None:
    with webkit(tmp_path, free_ports(1)[0]) as browser:
        figures = listen_to_the_end(browser, running, tmp_path)
    assert figures["n"] > 0, "chunks came by push"
    assert figures["skips"] == 0
    assert figures["behind_ms"] > 500, figures


def test_with_a_managed_source_alone_webkit_plays_by_push_if_the_listener_chose_so(
    running: Running, tmp_path: Path
) -> None:
    with (
        altered(running.url("door", ""), NO_PLAIN_SOURCE) as origin,
        webkit(tmp_path, free_ports(1)[0]) as browser,
    ):
        figures = listen_to_the_end(browser, running, tmp_path, origin, managed="1")
        assert browser.value("[typeof MediaSource, typeof ManagedMediaSource]") == ["undefined", "function"]
        assert browser.value("audio.disableRemotePlayback")
    assert figures["n"] > 0, "chunks came by push"
    assert figures["skips"] == 0
    assert figures["behind_ms"] > 500, figures
