"""The door: pages, the `now` object, tickets. It keeps nothing of anybody: what it says stands on the board."""

from __future__ import annotations

import html
import os
import random
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import structlog

import stentor.web
from stentor.core import door, shed, waiting
from stentor.core.polls import Polls
from stentor.core.witness import EARLY, POLITE, of_door
from stentor.formats.challenge import Needed, for_players
from stentor.formats.evidence import DOOR
from stentor.formats.problem import Refused
from stentor.io.assets import AssetError, Assets, Template
from stentor.io.board import Board
from stentor.io.net.loop import READABLE, Loop
from stentor.io.wake import BOARD, Ear
from stentor.model import board
from stentor.model.http import File, Request, Response
from stentor.nodes.challenge import Challenges
from stentor.nodes.door_line import Lines
from stentor.nodes.guard import Guard
from stentor.nodes.intake import Nows, run
from stentor.nodes.values import get, put
from stentor.nodes.witness import Telling
from stentor.settings import Settings

LOOK_S = 0.25  # between two looks at the board
PUBLISH_S = 1.0
CPU_S = 0.9  # over so long at least
CHANGED_S = 0.25  # counters that change: the usher lets in by them
WAIT_PLACES = ("show", "title", "lamp", "lamp_word", "notice", "refresh", "body")
SHOWS_FILLED_MAX = 32  # pages kept with a show filled in
_OF_A_SHOW = 3  # slashes in /s/{show}/join
FOLDERS = ("listen", "shared", "vendor", "wait")  # the last is made by scripts/setup, and may be missing
log = structlog.get_logger()


def main(settings: Settings, worker: int = 0) -> int:
    """Serve until SIGTERM; -> exit code."""
    name, port = f"door-{worker}", settings.door_port
    return run(name, settings, port, 0, lambda loop: Door(settings, worker, loop), shed.StandingQueue)


class Share:
    """How much of a core this process takes. Seconds of two clocks."""

    def __init__(self, now_s: float, spent_s: float) -> None:
        self._now_s, self._spent_s, self._share = now_s, spent_s, 0.0

    def share(self, now_s: float, spent_s: float) -> float:
        """Lately: it is counted anew after a while."""
        if now_s - self._now_s >= CPU_S:
            self._share = round((spent_s - self._spent_s) / (now_s - self._now_s), 3)
            self._now_s, self._spent_s = now_s, spent_s
        return self._share


class Pages:
    """The pages of the package. One that cannot be had is None, and the log says why: tickets need no page."""

    def __init__(self, root: Path, config: str) -> None:
        try:
            self._assets: Assets | None = Assets(root, FOLDERS)
        except AssetError as error:
            self._assets = None
            log.error("no files for pages", reason=str(error))
        self._listener = self._template("listen/index.html", "show", config=config)
        self._shows = self._template("shows/index.html", "shows")
        self._wait = self._template("wait/index.html", *WAIT_PLACES)
        self.listener = lru_cache(SHOWS_FILLED_MAX)(self._fill_listener)

    def _template(self, name: str, *places: str, **values: str) -> Template | None:
        try:
            return self._assets.template(name, places, **values) if self._assets else None
        except AssetError as error:
            log.error("a page is missing", reason=str(error))
            return None

    def _fill_listener(self, show: str) -> File | None:
        return self._listener.fill(show=html.escape(show)) if self._listener else None

    def shows(self, listing: str) -> File | None:
        return self._shows.fill(shows=listing) if self._shows else None

    def wait(self, values: dict[str, str]) -> File | None:
        return self._wait.fill(**values) if self._wait else None

    def asset(self, tree: str, name: str) -> File | None:
        return self._assets.get(tree, name) if self._assets else None


class Door:
    """One worker."""

    def __init__(
        self, settings: Settings, worker: int, loop: Loop, web: Path = Path(stentor.web.__file__).parent
    ) -> None:
        self._settings, self._worker = settings, worker
        self._board = Board(settings.board_dir)
        self._retired = False
        self._shows: dict[str, board.Show] = {}
        self._lines = Lines(settings, self._board, self._shows)
        self._requests = self._refused = self._shed = 0
        self._published: tuple[int, ...] = ()
        self._rng = random.Random()
        self._telling = Telling(settings, DOOR, worker, loop)
        self._guard = Guard(settings, self._board, loop, self._telling.attendance)
        self._challenges = Challenges(settings, self._board)
        self._polls = Polls()
        self._cpu = Share(time.monotonic(), time.process_time())
        self._view = self._make_view(web, Nows(self._board, loop))
        self._ear = Ear(settings.wake_dir, "door")
        self.look()
        loop.watch(self._ear.fileno(), READABLE, self._woken)
        loop.every(LOOK_S, self.look)
        loop.every(PUBLISH_S, self.publish)
        loop.every(CHANGED_S, self.publish_changes)

    def _make_view(self, web: Path, nows: Nows) -> door.View:
        settings = self._settings
        origins = door.Origins(settings.public_url, settings.edge_port, settings.archive_port, settings.scheme)
        pages, lines = Pages(web, origins.config), self._lines
        self._line_view = waiting.View(
            origins,
            lines.join,
            lines.told,
            lines.about,
            pages.wait,
            lines.draw,
            lines.drawn,
            lambda: self._challenges.asked_of_all,
        )
        return door.View(
            shows=self._shows,
            origins=origins,
            now_text=nows.text,
            join=self._lines.join,
            line=self._answer_line,
            listener_page=pages.listener,
            shows_page=pages.shows,
            asset=pages.asset,
        )

    def _answer_line(self, request: Request, show: str, what: tuple[str, ...]) -> Response:
        return waiting.answer(request, show, what, self._line_view, time.time_ns() // 1_000_000)

    def _woken(self, fd: int, mask: int) -> None:
        if BOARD in self._ear.drain():
            self.look()

    def look(self) -> None:
        """Follow the desk: which shows there are (without a word from it, those it named last); and their lines."""
        desk = get(self._board, "desk", board.Desk)
        if desk is not None:
            self._shows.clear()
            self._shows.update((show.id, show) for show in desk.shows)
        self._lines.look()
        self._challenges.look()

    def answer(self, request: Request) -> Response:
        self._requests += 1
        source = self._telling.source(request)
        if source != request.source and not self._guard.admits(source):
            return shed.SHUT_OUT
        response = self._held_off(request, source) or door.answer(request, self._view)
        self._refused += response.status >= 400
        self._telling.count_all(source, self._seen_as(request, response))
        return response

    def _seen_as(self, request: Request, response: Response) -> tuple[str, ...]:
        seen = of_door(request, response)
        if seen is POLITE and not self._polls.receive(request.path, time.monotonic()):
            return EARLY
        return seen

    def _held_off(self, request: Request, source: str) -> Response | None:
        """Who joins without anything to show for it, when that is too much."""
        if not shed.is_stranger(request):
            return None
        if self._guard.besieged:
            return self._not_now(request, shed.BESIEGED)
        asks = self._asks(request, source)
        if asks and not request.query.get("stamp"):
            return self._challenged(request, source)
        if not self._guard.shares(source):
            return self._not_now(request, shed.SHARED_OUT)
        return self._challenged(request, source) if asks else None

    def _not_now(self, request: Request, why: Refused) -> Response:
        """Whoever sent the form of the page without JavaScript is shown a page."""
        match request.path.split("/"):
            case ["", "s", show, "wait"]:
                return waiting.refused(request, show, why, self._line_view, time.time_ns() // 1_000_000)
        return why.response()

    def _asks(self, request: Request, source: str) -> bool:
        """Whether this stranger has to solve something first: not who is known to behave."""
        is_of_a_show = request.path.count("/") == _OF_A_SHOW
        return is_of_a_show and self._challenges.asked_of_all and not self._guard.favours(source)

    def _challenged(self, request: Request, source: str) -> Response | None:
        """None: what a join brought with it was right."""
        needed = self._challenges.receive(request, source)
        if needed is None:
            self._telling.count(source, "solved")
            return None
        _, _, show, what = request.path.split("/")
        if what == "wait":
            return waiting.challenged(request, show, needed, self._line_view, time.time_ns() // 1_000_000)
        return for_players(show) if isinstance(needed, Needed) and what != "join" else needed.response()

    def put_off(self, request: Request) -> Response | None:
        """Where strangers have to solve something first, asking them puts them off, for hardly more than a 503 costs:
        who does it comes in next, and who never does shows it."""
        source = self._telling.source(request)
        if not shed.is_put_off(request.path) or (shed.is_stranger(request) and self._asks(request, source)):
            return None
        self._requests += 1
        self._shed += 1
        self._telling.count_all(source, ("requests", "held"))
        return shed.busy(self._rng, request.path)

    def spare(self) -> int:
        return 0

    def admits(self, source: str) -> bool:
        return self._guard.admits(source)

    def misses(self, source: str) -> None:
        self._telling.count(source, "unfinished")

    def is_out(self) -> Callable[[str], bool] | None:
        return self._guard.is_out()

    def retire(self) -> None:
        self._retired = True

    def busy(self) -> bool:
        return False

    def publish(self) -> None:
        """Put this worker's counters on the board, unless another one has its name by now."""
        if self._retired:
            return
        lines, at_ms = self._lines, time.time_ns() // 1_000_000
        self._published = lines.tickets, lines.places
        counters = board.Door(
            at_ms,
            os.getpid(),
            self._requests,
            lines.tickets,
            self._refused,
            places=lines.places,
            shed=self._shed,
            line_at_ms=lines.line_at_ms,
            at_once=lines.at_once,
            at_once_by=dict(lines.at_once_by),
            blocked=self._guard.blocked,
            challenged=self._challenges.challenged,
            solved=self._challenges.solved,
            evidence_lost=self._telling.lost,
            cpu=self._cpu.share(time.monotonic(), time.process_time()),
        )
        put(self._board, f"door-{self._worker}", counters)

    def publish_changes(self) -> None:
        """What the usher counts on, while it changes."""
        if self._published != (self._lines.tickets, self._lines.places):
            self.publish()

    def close(self) -> None:
        self._ear.close()
        self._lines.close()
        self._telling.close()
