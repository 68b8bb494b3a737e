"""A small station for the pages' own tests: door, edge and archive in one thread pool, real fMP4 chunks on a real grid.

It speaks the HTTP that the pages rely on and can be told to misbehave (cut, skip, refuse, be late). What the real roles
do is tested with the real roles; this is for what a page must bear and a healthy system will not show.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import av
import numpy as np

import stentor.web
from stentor.core.challenge import Challenger
from stentor.formats import emsg
from stentor.formats.chunks import HOLD_PERIOD_SAMPLES, Hold, header
from stentor.formats.problem import CONTENT_TYPE, problem
from stentor.io.assets import lean
from stentor.model.grid import Grid
from stentor.model.rendition import AAC, BY_NAME, OPUS, Rendition

WEB = Path(stentor.web.__file__).parent
SHOW = "night"
RING_S = 60
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html; charset=utf-8"}
_ENCODERS = {"opus": ("libopus", "flt", {"frame_duration": "20"}), "aac": ("aac", "fltp", {})}


def served(file: Path) -> bytes:
    """A file of the pages as the door sends it."""
    is_ours = file.suffix == ".js" and file.parent.name != "vendor"
    return lean(file.read_text()).encode() if is_ours else file.read_bytes()


def tone(samples: int) -> np.ndarray:
    """A quiet 500 Hz tone: whole periods in every loop, so that any break can be heard and measured."""
    return (0.2 * np.sin(2 * np.pi * 500 * np.arange(samples) / 48_000)).astype(np.float32)


@cache
def program(rendition: Rendition, signal: Callable[[int], np.ndarray] = tone, periods: int = 4) -> Hold:
    """`signal` as an endless loop of encoder frames, taken from the middle of three turns so that it has no seam."""
    codec, sample_format, options = _ENCODERS[rendition.codec]
    samples, size = signal(HOLD_PERIOD_SAMPLES * periods), rendition.frame_samples
    encoder = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", sample_format
    encoder.bit_rate, encoder.options = rendition.bitrate_bps, options
    encoder.open()
    packets: list[bytes] = []
    for at in range(0, 3 * len(samples), size):
        block = np.take(samples, np.arange(at, at + size), mode="wrap")
        frame = av.AudioFrame.from_ndarray(block[None], format=sample_format, layout="mono")
        frame.sample_rate, frame.pts = 48_000, at
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    turn = len(samples) // size
    return Hold(rendition, tuple(packets[turn : 2 * turn]))


@cache
def recording(seconds: float) -> bytes:
    """The same program as a progressive .m4a."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48_000)
        stream.codec_context.layout, stream.codec_context.format = "mono", "fltp"
        samples = tone(int(seconds * 48_000) // 1024 * 1024)
        for at in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


class Station:
    """`age_s`: for how long the grid has run. `asked`: every path that was requested, in order."""

    def __init__(self, *, chunk_ms: int = 500, age_s: float = 30.0, phase: str = "live", signal=tone) -> None:
        now_ns, age_ns = time.time_ns(), int(age_s * 1e9)
        self.grid = Grid(now_ns - age_ns, time.monotonic_ns() - age_ns, chunk_ms * 48)
        self.programs = {rendition.name: program(rendition, signal) for rendition in (OPUS, AAC)}
        self.now: dict[str, Any] = {
            "v": 1, "show": SHOW, "title": "The Long Night", "phase": phase, "starts_at_ms": now_ns // 10**6 - 20_000,
            "next_poll_ms": 500, "on_air": ["Ada", "Grace"], "listeners": 12_345, "live_n": 2, "chunk_ms": chunk_ms,
        }  # fmt: skip
        self.asked: list[str] = []
        self.asked_of: dict[str, list[str]] = {"media": [], "page": []}
        self.tickets: set[str] = set()
        self.ranks: dict[str, int] = {}  # of the places that were given
        self.rank = 500  # of the next place
        self.renews = True  # whether whoever listens is given a ticket to come back by
        self.skipped: set[int] = set()
        self.headers_sent: dict[str, bytes] = {name: header(BY_NAME[name]) for name in self.programs}
        self.publish_lag_s = 0.01
        self.end_n = 0
        self.challenger: Challenger | None = None  # what strangers are asked
        self.dark = False  # nothing answers on the media port
        self.cuts = 0
        self.grouping = (1, 1, 0)  # (chunks at a time before chunk n, from it on, n)
        self.words = b""  # what is said between chunks
        self.heard_ms = 0  # when the usher was last heard of, as `now` says it; 0: just now
        self.drift = 0.0  # how much faster than real time chunks are made, as a fraction
        media = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(self.media))
        pages = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(self.page))
        self.servers = [media, pages]
        self.media_port, self.page_port = media.server_port, pages.server_port
        self.url = f"http://127.0.0.1:{self.page_port}/s/{SHOW}"

    def __enter__(self) -> Station:
        for server in self.servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    # What a test does to it.

    def cut(self) -> None:
        """Every stream ends at once, as when an edge is killed."""
        self.cuts += 1

    def revoke(self) -> None:
        """No ticket given so far is taken any more."""
        self.tickets.clear()

    def say(self, **words: Any) -> None:
        """To every listener between two chunks; `now` does not know of the words."""
        self.words = emsg.pack({"at_ms": self.wall_ms(), "notice": "", "reason": "", "ladder": self.ladder, **words}, 1)

    def regroup(self, group: int, lead_s: float, **words: Any) -> int:
        """Chunks come `group` at a time from a chunk on that is `lead_s` away, and the listeners are told; -> it."""
        n = (self.head + int(lead_s * 48_000 / self.grid.chunk_samples)) // 4 * 4 + 5
        self.grouping = (self.grouping[1], group, n)
        self.say(**words)
        return n

    @property
    def ladder(self) -> dict[str, Any]:
        _, group, from_n = self.grouping
        return {"rung": group // 2, "group": group, "from_n": from_n, "reason": "Larger pieces." if group > 1 else ""}

    def end(self, after: int = 1) -> None:
        """The show ends `after` chunks from now."""
        self.end_n = self.head + 1 + after
        self.now |= {"phase": "ended", "end_n": self.end_n, "replay": f"/archive/{SHOW}/replay.m4a"}

    # The grid.

    @staticmethod
    def wall_ms() -> int:
        return time.time_ns() // 10**6

    def show_ns(self) -> int:
        return int((time.monotonic_ns() - self.grid.t0_mono_ns) * (1 + self.drift))

    @property
    def head(self) -> int:
        """Newest chunk that is out."""
        return (self.show_ns() - int(self.publish_lag_s * 1e9)) * 48 // (10**6 * self.grid.chunk_samples) - 1

    @property
    def out(self) -> int:
        """The last chunk that is out, group by group."""
        before, group, from_n = self.grouping
        n = self.head
        while n % (group if n >= from_n else before) and n + 1 != from_n:
            n -= 1
        return n

    def chunk(self, name: str, n: int) -> bytes:
        return self.programs[name].chunk(self.grid, n)

    # HTTP.

    def _handler(self, route: Callable[[BaseHTTPRequestHandler, str, str], None]) -> type[BaseHTTPRequestHandler]:
        station = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                station.asked.append(self.path)
                station.asked_of[route.__name__].append(self.path)
                try:
                    route(self, path, query)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_POST = do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def page(self, request: BaseHTTPRequestHandler, path: str, query: str) -> None:
        if path == f"/s/{SHOW}":
            csp = (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
                f"connect-src 'self' http://127.0.0.1:{self.media_port}; "
                f"media-src 'self' blob: http://127.0.0.1:{self.media_port}"
            )
            answer(request, self.html(), "text/html; charset=utf-8", {"Content-Security-Policy": csp})
        elif path == f"/s/{SHOW}/now":
            body = {
                **self.now,
                "at_ms": self.heard_ms or time.time_ns() // 10**6,
                "n": self.head,
                "ladder": self.ladder,
                "t0_ms": self.grid.t0_wall_ns // 10**6,
            }
            answer(request, json.dumps(body).encode(), "application/json")
        elif path == f"/s/{SHOW}/join":
            if not self._challenged(request, dict(parse_qsl(query))):
                self._join(request, query.partition("place=")[2], takes_place=True)
        elif path.startswith(f"/s/{SHOW}/place/"):
            self._join(request, path.rpartition("/")[2], takes_place=False)
        elif path == f"/s/{SHOW}/listen.mp3":
            answer(request, recording(20), "audio/mp4")
        elif path.startswith("/assets/"):
            file = WEB / path.split("/", 3)[3]
            answer(request, served(file), TYPES[file.suffix])
        else:
            refuse(request, 404, "not-found")

    def _challenged(self, request: BaseHTTPRequestHandler, query: dict[str, str]) -> bool:
        if self.challenger is None or "place" in query:
            return False
        sent = query.get("solution", ""), query.get("stamp", "")
        needed = self.challenger.receive(*sent, "127.0.0.1", int(time.time()), time.monotonic())
        if needed is not None:
            response = needed.response()
            answer(request, response.body or b"", CONTENT_TYPE, status=response.status)
        return needed is not None

    def _join(self, request: BaseHTTPRequestHandler, place: str, *, takes_place: bool) -> None:
        """As the door does, by what `now` says of the line."""
        gate, mark, drawn = self.now.get("gate", "free"), self.now.get("mark", 0), "key" in self.now.get("draw", {})
        if place and place not in self.ranks:
            refuse(request, 403, "place-forged")
        elif gate == "free" or (drawn and self.ranks.get(place, mark + 1) <= mark):
            ticket = hashlib.sha256(str(len(self.asked)).encode()).hexdigest()
            self.tickets.add(ticket)
            answer(request, json.dumps({"ticket": ticket, "seq": 1}).encode(), "application/json")
        elif gate == "closed" and not place:
            refuse(request, 503, "show-closed")
        else:
            place = place or f"place-{len(self.ranks)}"
            rank = self.ranks.setdefault(place, self.rank)
            wait = {"place": place, "seq": 1, "state": gate, "rank": rank if drawn else None, "next_poll_ms": 200}
            answer(request, json.dumps(wait).encode(), "application/json", status=202 if takes_place else 200)

    def html(self) -> bytes:
        """The listener page as the door fills it in."""
        text = (WEB / "listen" / "index.html").read_text()
        config = {"edge_port": self.media_port, "archive_port": self.media_port}
        text = text.replace("{{config}}", json.dumps(config)).replace("{{show}}", SHOW)
        return text.replace("{{asset:", "/assets/00000000/").replace("}}", "").encode()

    def media(self, request: BaseHTTPRequestHandler, path: str, query: str) -> None:
        parts = path.strip("/").split("/")
        if self.dark:
            request.close_connection = True
        elif parts[0] == "live" and len(parts) == 3:
            self._live(request, parts[1], parts[2], dict(pair.split("=") for pair in query.split("&") if pair))
        elif parts[:2] == ["archive", SHOW] and parts[2] == "replay.m4a":
            ranged(request, recording(8), "audio/mp4")
        elif parts[:2] == ["archive", SHOW] and parts[3] == "header":
            answer(request, header(BY_NAME[parts[2]]), "audio/mp4")
        elif parts[:2] == ["archive", SHOW]:
            first, last = map(int, parts[3].split("-"))
            last = min(last, self.head)
            answer(request, b"".join(self.chunk(parts[2], n) for n in range(first, last + 1)), "audio/mp4")
        else:
            refuse(request, 404, "not-found")

    def _live(self, request: BaseHTTPRequestHandler, ticket: str, name: str, query: dict[str, str]) -> None:
        if ticket not in self.tickets:
            refuse(request, 403, "ticket-revoked")
            return
        cuts, head = self.cuts, self.out
        group = max(self.grouping[1], self.grouping[0] if head < self.grouping[2] else 1)
        oldest = max(1, head + 1 - RING_S * 48_000 // self.grid.chunk_samples)
        n = int(query["from"]) if "from" in query else head + 2 - group - int(query.get("burst", 2))
        n = max(oldest, min(n, head + 1))
        stamps = {
            "T0-Ms": self.grid.t0_wall_ns // 10**6, "Chunk-Ms": self.grid.chunk_samples // 48, "N": n, "Head": head,
            "Group": group, "Now-Ms": self.grid.t0_wall_ns // 10**6 + self.show_ns() // 10**6,
        }  # fmt: skip
        fields = {f"Stentor-{key}": str(value) for key, value in stamps.items()}
        if self.renews:
            fields["Stentor-Ticket"] = f"again-{ticket.removeprefix('again-')}"
            self.tickets.add(fields["Stentor-Ticket"])
        fields["Access-Control-Expose-Headers"] = ", ".join(fields)
        start(request, "audio/mp4", {**fields, "Connection": "close"})
        said = self.words
        request.wfile.write(self.headers_sent[name] + said)
        while self.cuts == cuts and not (self.end_n and n >= self.end_n):
            if said != self.words:
                said = self.words
                request.wfile.write(said)
            if n > self.out:
                time.sleep(0.002)
            else:
                if n not in self.skipped:
                    request.wfile.write(self.chunk(name, n))
                n += 1
        request.close_connection = True


def start(request: BaseHTTPRequestHandler, kind: str, fields: dict[str, str], status: int = 200) -> None:
    request.send_response(status)
    for name, value in {"Content-Type": kind, "Access-Control-Allow-Origin": "*", **fields}.items():
        request.send_header(name, value)
    request.end_headers()


def answer(
    request: BaseHTTPRequestHandler, body: bytes, kind: str, fields: dict[str, str] | None = None, status: int = 200
) -> None:
    start(request, kind, {"Content-Length": str(len(body)), "Cache-Control": "no-store", **(fields or {})}, status)
    request.wfile.write(body)


def refuse(request: BaseHTTPRequestHandler, status: int, code: str) -> None:
    body = problem(status, code, code)
    start(request, CONTENT_TYPE, {"Content-Length": str(len(body))}, status)
    request.wfile.write(body)


def ranged(request: BaseHTTPRequestHandler, body: bytes, kind: str) -> None:
    """A file with `Range: bytes=a-b`."""
    wanted = request.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")
    first, last = int(wanted[0]), int(wanted[1] or len(body) - 1)
    part = body[first : last + 1]
    fields = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(body)}", "Accept-Ranges": "bytes"}
    start(request, kind, {**fields, "Content-Length": str(len(part))}, 206)
    request.wfile.write(part)
