"""Shows of one test, on an installation that other tests use after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from stentor.formats.crew import NewShow, ShowMade
from stentor.io.board import Board
from support.running import Running, until


@contextmanager
def own_shows(running: Running) -> Iterator[Callable[[NewShow], ShowMade]]:
    """Gives what announces a show; in the end all leave the stage, whatever became of the test."""
    names: list[str] = []

    def announce(order: NewShow) -> ShowMade:
        with ThreadPoolExecutor(1) as pool:  # this thread's event loop is Playwright's
            made = pool.submit(running.create_show, order).result()
        names.append(made.show)
        return made

    yield announce
    board = Board(running.settings.board_dir)
    for name in names:
        assert running.run("show", "end", name).returncode == 0
        until(lambda name=name: f"ended-{name}" in board.keys("ended-"), "the show is over")
