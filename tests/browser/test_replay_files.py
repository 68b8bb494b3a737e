"""The files of a replay in the browser's own player: the archive's ranges are enough to load, seek and play."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from stentor.core.replay import KINDS
from support import tapes
from support.archives import archive_alone, tape_of
from support.running import Running

SECONDS = 8
PLAY = """async (url) => {
  const audio = new Audio(url);
  const on = (event) => new Promise((resolve, reject) => {
    audio.addEventListener(event, resolve, { once: true });
    audio.addEventListener("error", () => reject(new Error(audio.error.message)), { once: true });
  });
  await on("loadedmetadata");
  audio.currentTime = 4;
  await on("seeked");
  await audio.play();
  while (audio.currentTime < 4.5) await on("timeupdate");
  return audio.duration;
}"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with archive_alone(tmp_path_factory.mktemp("archive")) as alone:
        tapes.build(tape_of(alone, "friday"), SECONDS, show="friday", held=(6,))
        yield alone


@pytest.mark.parametrize("suffix", KINDS)
def test_a_replay_plays_from_where_it_is_sought(archive: Running, browse: Callable[..., Page], suffix: str) -> None:
    page = browse("about:blank")
    page.route("**/page", lambda route: route.fulfill(content_type="text/html", body="<!doctype html>"))
    page.goto(archive.url("archive", "/page"))
    duration = page.evaluate(PLAY, archive.url("archive", f"/archive/friday/replay.{suffix}"))
    assert duration == pytest.approx(6, abs=0.06)
