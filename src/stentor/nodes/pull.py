"""HLS from an edge: playlists, parts and segments out of its feeds, and who waits for them. The same for everybody."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from stentor.core.fanout import Feed
from stentor.core.mount import TICKET_HEADER
from stentor.core.playlist import PLAYLIST_NAME, RENDITIONS, BadRequest, Kind, Layout, Live, Wanted, resolve, variants
from stentor.formats import chunks, m3u8
from stentor.formats.problem import refusal
from stentor.io.net.http import Ready
from stentor.io.net.server import Answer, Give, Later
from stentor.model.http import Response
from stentor.model.rendition import Rendition

GIVES_A_TURN = 200  # answers to waiting requests, before the loop looks at the ring again
KEPT_MAX = 64  # encoded answers
FOUND_MAX = 256  # answers to different requests, between two chunks; the oldest makes room, whoever asks for nonsense
_CORS = ("Access-Control-Allow-Origin", "*")
_LASTING = (_CORS, ("Cache-Control", "public, max-age=86400, immutable"))
_PASSING = (_CORS, ("Cache-Control", "public, max-age=1"))
_GONE = Ready(refusal(404, "not-here", "Not Found", "not yet, or not any more"))


def index(base: str, ticket: str) -> Response:
    """The playlist of playlists; `base` is the path of the show's directory, `ticket` the one to come back by."""
    listed = variants(f"{base}/", PLAYLIST_NAME)
    own = (("Access-Control-Expose-Headers", TICKET_HEADER), (TICKET_HEADER, ticket)) if ticket else ()
    headers = (("Content-Type", m3u8.CONTENT_TYPE), _CORS, ("Cache-Control", "no-store"), *own)
    return Response(200, headers, m3u8.multivariant(listed).encode())


@dataclass(slots=True, eq=False)
class _Waiter:
    """A request that waits for chunk `n`."""

    rendition: Rendition
    name: str
    query: Mapping[str, str]
    n: int
    give: Give | None


@dataclass(slots=True)
class _Found:
    """What was found for requests, as long as `feed` stands where it does: players ask the same in their thousands."""

    feed: Feed
    n: int
    end_n: int
    by_request: dict[Hashable, Ready | Response | int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return (self.n, self.end_n) == (self.feed.n, self.feed.end_n)


@dataclass(slots=True)
class Pull:
    """`feeds()` gives the feeds of the program that is on, by rendition id."""

    feeds: Callable[[], Mapping[int, Feed]]
    answered: int = 0
    refused: int = 0  # asked for what is not there, or by directives that make no sense
    _fed: Mapping[int, Feed] = field(default_factory=dict)
    _looked: dict[int, int] = field(default_factory=dict)  # the chunk that was newest at the last look, by rendition id
    _waiting: dict[int, dict[_Waiter, None]] = field(default_factory=dict)  # by rendition id, in order
    _due: deque[_Waiter] = field(default_factory=deque)
    _kept: dict[Hashable, Ready] = field(default_factory=dict)
    _found: dict[int, _Found] = field(default_factory=dict)  # by rendition id

    @property
    def waiting(self) -> int:
        return len(self._due) + sum(map(len, self._waiting.values()))

    def answer(self, rendition: Rendition, name: str, query: Mapping[str, str]) -> Answer:
        """What there is under this name, now or as soon as its chunk is there."""
        found = self._find(rendition, name, query)
        if isinstance(found, int):
            return Later(lambda give: self._wait(_Waiter(rendition, name, query, found, give)))
        return found

    def _find(self, rendition: Rendition, name: str, query: Mapping[str, str]) -> Ready | Response | int:
        """The answer, or the chunk that it waits for."""
        found = self._known(rendition, name, query)
        if found is _GONE or isinstance(found, Response):
            self.refused += 1
        elif isinstance(found, Ready):
            self.answered += 1
        return found

    def _known(self, rendition: Rendition, name: str, query: Mapping[str, str]) -> Ready | Response | int:
        feed = self.feeds().get(rendition.id)
        if feed is None or rendition not in RENDITIONS:
            return _GONE
        known = self._found.get(rendition.id)
        if known is None or known.feed is not feed or not known.holds:
            known = self._found[rendition.id] = _Found(feed, feed.n, feed.end_n)
        asked = (name, *query.items())
        found = known.by_request.get(asked)
        if found is None:
            found = known.by_request[asked] = self._resolve(rendition, name, query)
            if len(known.by_request) > FOUND_MAX:
                del known.by_request[next(iter(known.by_request))]
        return found

    def _resolve(self, rendition: Rendition, name: str, query: Mapping[str, str]) -> Ready | Response | int:
        live = self._live(rendition)
        try:
            wanted = resolve(name, query, live)
        except BadRequest as error:
            return refusal(400, "bad-directive", "Bad Request", str(error))
        if wanted is None:
            return _GONE
        return wanted.wait_n or self._ready(live, wanted)

    def _live(self, rendition: Rendition) -> Live:
        feed = self.feeds()[rendition.id]
        return Live(Layout(feed.grid, rendition), feed.oldest, feed.n, feed.end_n)

    def _wait(self, waiter: _Waiter) -> Callable[[], None]:
        """-> what forgets it: however often players come and go, nobody waits who is not connected."""
        waiting = self._waiting.setdefault(waiter.rendition.id, {})
        waiting[waiter] = None

        def take_back() -> None:
            waiter.give = None
            waiting.pop(waiter, None)

        return take_back

    def tick(self) -> bool:
        """Answer some of those whose chunk has come; -> whether there are more."""
        self._follow()
        for _ in range(min(GIVES_A_TURN, len(self._due))):
            self._give(self._due.popleft())
        return bool(self._due)

    def _follow(self) -> None:
        """Look at those who wait where there is a new chunk. Other feeds: everybody asks anew."""
        feeds = self.feeds()
        if feeds is not self._fed:
            self._fed = feeds
            self._kept.clear()
            self._looked.clear()
        for rendition_id, waiters in self._waiting.items():
            if waiters and self._looked.get(rendition_id) != feeds[rendition_id].n:
                self._look(feeds[rendition_id], waiters)

    def _look(self, feed: Feed, waiters: dict[_Waiter, None]) -> None:
        everybody = feed.ended or feed.rendition.id not in self._looked
        self._looked[feed.rendition.id] = feed.n
        due = list(waiters) if everybody else [waiter for waiter in waiters if waiter.n <= feed.n]
        self._due.extend(due)
        for waiter in due:
            del waiters[waiter]

    def _give(self, waiter: _Waiter) -> None:
        if waiter.give is None:  # nobody is there any more
            return
        found = self._find(waiter.rendition, waiter.name, waiter.query)
        if isinstance(found, int):
            waiter.n = found
            self._waiting[waiter.rendition.id][waiter] = None
        else:
            waiter.give(found)

    def _ready(self, live: Live, wanted: Wanted) -> Ready:
        """The answer, encoded once for all who ask the same."""
        rendition = live.layout.rendition
        newest = live.newest if wanted.kind is Kind.PLAYLIST else 0
        key = (rendition.id, wanted.kind, newest, wanted.chunks, wanted.skip)
        ready = self._kept.get(key)
        if ready is None:
            ready = self._kept[key] = Ready(self._make(live, wanted))
            if len(self._kept) > KEPT_MAX:
                del self._kept[next(iter(self._kept))]
        return ready

    def _make(self, live: Live, wanted: Wanted) -> Response:
        rendition = live.layout.rendition
        if wanted.kind is Kind.PLAYLIST:
            text = m3u8.media(live.render(skip=wanted.skip, reports=self._reports(rendition)))
            return Response(200, (("Content-Type", m3u8.CONTENT_TYPE), *_PASSING), text.encode())
        feed = self.feeds()[rendition.id]
        body = chunks.header(rendition) if wanted.kind is Kind.HEADER else b"".join(map(feed.chunk, wanted.chunks))
        return Response(200, (("Content-Type", rendition.content_type), *_LASTING), body)

    def _reports(self, rendition: Rendition) -> tuple[m3u8.Report, ...]:
        others = [other for other in RENDITIONS if other is not rendition]
        return tuple(m3u8.Report(f"../{one.name}/{PLAYLIST_NAME}", *self._live(one).last_part) for one in others)
