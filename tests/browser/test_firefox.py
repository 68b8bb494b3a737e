"""The listener page in Debian's Firefox, in front of real roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.players_browsers import firefox, firefox_missing
from support.players_page import listen_to_the_end
from support.running import Running


@pytest.mark.skipif(bool(firefox_missing()), reason=firefox_missing())
def test_firefox_plays_by_push_and_turns_into_the_replay(running: Running, tmp_path: Path) -> None:
    with firefox(tmp_path) as browser:
        figures = listen_to_the_end(browser, running, tmp_path)
    assert "JavaScript error: http:" not in (tmp_path / "firefox.log").read_text(), "of the page's own scripts"
    assert figures["n"] > 0, "chunks came by push"
    assert figures["skips"] == 0
    assert figures["behind_ms"] > 500, figures
