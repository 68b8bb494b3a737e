"""The door as a browser sees it that lacks something: its pages begin with a script of the test's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

ALTERED = ("content-length", "content-security-policy", "content-encoding", "transfer-encoding", "connection")


@contextmanager
def altered(door: str, script: str) -> Iterator[str]:
    """-> an origin that answers as `door` does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = httpx.request(self.command, door + self.path, trust_env=False)
            body = answer.content
            if answer.headers.get("content-type", "").startswith("text/html"):
                body = body.replace(b"<head>", b"<head><script>%b</script>" % script.encode(), 1)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ALTERED:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
