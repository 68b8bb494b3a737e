"""The head and the body of an encoder's stream: HTTP/1.x PUT, and SOURCE with HTTP/1.0 or ICE/1.0.

There is no standard: this is what Icecast 2 takes from ffmpeg and libshout. A chunked body is RFC 9112 section 7.1.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

HEAD_BYTES_MAX = 8_192
CHUNK_LINE_BYTES_MAX = 256  # size and extensions of a chunk, or a line of trailers
_VERSIONS = ("HTTP/1.1", "HTTP/1.0", "ICE/1.0")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class Malformed(ValueError):
    """Not a request, or not a chunked body; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Head:
    """`headers` by lower-case name; of a header that came twice, the last."""

    method: str
    target: str
    version: str
    headers: dict[str, str]

    @property
    def password(self) -> str:
        """That of Basic authorization, empty without one (RFC 7617); the user name says nothing here."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return ""
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""

    @property
    def content_type(self) -> str:
        """Lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def expects_continue(self) -> bool:
        return self.headers.get("expect", "").lower() == "100-continue"


def parse_head(data: bytes) -> Head:
    """A whole head, with its empty line. Raises `Malformed`."""
    first, *lines = data.decode("latin-1").rstrip("\r\n").split("\n")
    parts = first.split()
    if len(parts) != 3 or parts[2] not in _VERSIONS or not _TOKEN.fullmatch(parts[0]):
        raise Malformed("The first line is not a request")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise Malformed("A header has no name")
        headers[name.lower()] = value.strip()
    return Head(parts[0], parts[1], parts[2], headers)


class Body:
    """What of the bytes that come is audio: `receive` takes them as they come. `ended` once the body has its end."""

    def __init__(self, head: Head) -> None:
        """Raises `Malformed` for a length that is none."""
        self.ended = False
        self._chunked = head.headers.get("transfer-encoding", "").lower() == "chunked"
        self._left = -1 if self._chunked else _length(head)  # of the chunk or the body; -1: endless, or between chunks
        self._line = b""
        self._trailers = False
        self.ended = self._left == 0

    def receive(self, data: bytes) -> bytes:
        """Raises `Malformed`."""
        if self._chunked:
            return self._receive_chunks(data)
        if self._left >= 0:
            data = data[: self._left]
            self._left -= len(data)
            self.ended = not self._left
        return data

    def _receive_chunks(self, data: bytes) -> bytes:
        audio = b""
        while data and not self.ended:
            if self._left > 0:
                part, data = data[: self._left], data[self._left :]
                audio += part
                self._left -= len(part)
            else:
                data = self._receive_line(data)
        return audio

    def _receive_line(self, data: bytes) -> bytes:
        """-> what follows the line, which may come in pieces."""
        head, newline, rest = data.partition(b"\n")
        self._line += head
        if len(self._line) > CHUNK_LINE_BYTES_MAX:
            raise Malformed("The size of a chunk is not to be found")
        if newline:
            line, self._line = self._line.rstrip(b"\r"), b""
            self._take_line(line)
        return rest

    def _take_line(self, line: bytes) -> None:
        if self._trailers:
            self.ended = not line
        elif self._left == 0:  # the line's end after a chunk
            if line:
                raise Malformed("A chunk is longer than its size")
            self._left = -1
        else:
            size = line.partition(b";")[0].strip()
            if not _SIZE.fullmatch(size):
                raise Malformed("A chunk has no size")
            self._left = int(size, 16)
            self._trailers = not self._left


def _length(head: Head) -> int:
    """Of the body; -1 for one that ends with the connection."""
    text = head.headers.get("content-length", "")
    if not text or head.method == "SOURCE":  # some encoders state a length there that means nothing
        return -1
    if not text.isascii() or not text.isdigit():
        raise Malformed("Content-Length is not a number")
    return int(text)
