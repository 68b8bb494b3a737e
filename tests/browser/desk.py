"""The desk's pages with a state that the test sets, and the orders that they send."""

from __future__ import annotations

import copy
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from browser.station import TYPES, WEB

TELLS_S = 0.1
CREW_STATE: dict[str, Any] = {
    "now_ms": 1_000_000,
    "revision": 1,
    "show": {
        "id": "night", "title": "The Long Night", "phase": "live", "starts_at_ms": 900_000, "opens_at_ms": 0,
        "chunk_ms": 500, "wish": "", "reason": "", "notice": "", "cap": 0,
        "seats": [
            {"id": "ada", "name": "Ada", "crew": True, "on_air": True, "muted": False, "removed": False},
            {"id": "eve", "name": "<i>Eve</i>", "crew": False, "on_air": False, "muted": True, "removed": False},
        ],
        "draws_at_ms": 0, "ends_at_ms": 0, "closed": False, "rung": -1, "beacon_name": "", "beacon": "",
        "revoked": {"keys": [], "classes": [], "seqs": []}, "dry_run": False, "siege": False,
    },
    "stage": {"at_ms": 1_000_000, "show": "night", "phase": "live", "tape": {"first_n": 3, "problem": "disk full"}},
    "levels": {"at_ms": 1_000_000, "dbfs": {"ada": -12.0, "program": -15.0}},
    "edges": {
        "workers": 1, "silent": 0, "listeners": 1234, "by_rendition": {"opus": 1234},
        "hls_signed": 0, "hls_estimated": 0, "skips": 0, "drops": 0,
    },
    "usher": {"at_ms": 1_000_000}, "stage_show": "night",
    "age_ms": {"stage": 10, "levels": 10, "usher": 9_000, "edges": 10, "doors": 10, "line": 10},
    "line": None, "ladder": None, "joins_hz": None, "shield": None, "rules": [],
    "doors": {"workers": 1, "silent": 0, "requests": 9, "tickets": 5, "places": 0, "refused": 0, "shed": 0},
}  # fmt: skip
SEAT_STATE = {
    "revision": 1,
    "show": {"id": "night", "title": "The Long Night", "starts_at_ms": 900_000, "phase": "live"},
    "seat": {"id": "ada", "name": "Ada", "on_air": True, "muted": False},
    "studio_port": 0,
    "listener_link": "http://127.0.0.1/s/night",
}


class Desk:
    """`state` and `actions` may be changed at any time. `orders`: what was posted."""

    def __init__(self) -> None:
        self.state = copy.deepcopy(CREW_STATE)
        self.actions: list[dict[str, Any]] = []
        self.orders: list[tuple[str, dict[str, Any]]] = []
        self.url = ""

    def say(self, **parts: Any) -> None:
        """Change the state; a dictionary goes into the one that is there."""
        for name, value in parts.items():
            held = self.state[name]
            merged = isinstance(value, dict) and isinstance(held, dict)
            self.state = self.state | {name: held | value if merged else value}


class _Handler(http.server.BaseHTTPRequestHandler):
    desk: Desk

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/crew/assets/"):
            file = WEB / path.removeprefix("/crew/assets/")
            self._answer(file.read_bytes(), TYPES[file.suffix])
        elif path.endswith("/events"):
            self._stream(path)
        elif path.startswith("/crew/api/"):
            self._answer(json.dumps(self._value(path)).encode(), "application/json")
        else:
            folder = "speak" if path == "/crew/speak" else "crew"
            self._answer((WEB / folder / "index.html").read_bytes(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.desk.orders.append((self.path, body))
        self._answer(json.dumps({"revision": 2, "seat": "x", "link": "http://x/#y"}).encode(), "application/json")

    def _value(self, path: str) -> dict[str, Any]:
        if path.endswith("/actions"):
            return {"actions": self.desk.actions}
        return SEAT_STATE if "/seat" in path else self.desk.state

    def _stream(self, path: str) -> None:
        self._head("application/x-ndjson", {})
        try:
            while True:
                self.wfile.write(json.dumps(self._value(path)).encode() + b"\n")
                time.sleep(TELLS_S)
        except OSError:
            self.close_connection = True

    def _answer(self, body: bytes, kind: str) -> None:
        self._head(kind, {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, kind: str, fields: dict[str, str]) -> None:
        policy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:"
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Security-Policy": policy, **fields}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def desk_pages() -> Iterator[Desk]:
    desk = Desk()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"desk": desk}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    desk.url = f"http://127.0.0.1:{server.server_port}/crew/"
    try:
        yield desk
    finally:
        server.shutdown()
        server.server_close()
