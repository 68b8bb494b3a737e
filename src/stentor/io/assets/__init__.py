"""Files of the public pages, read once at start: served under one hash of them all, so that they never change.

ES modules import each other by relative paths, so the hash stands for the whole tree: `/assets/<hash>/listen/now.js`.
What is there for readers of the source stays there: comments and indents are a seventh of what a page would load.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from stentor.model.http import File

CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_HTML = "text/html; charset=utf-8"
_HASH_DIGITS = 8
_PLACE = re.compile(r"\{\{([\w:./-]+)\}\}")
_VENDOR = "vendor"  # left as it came
_COMMENT = re.compile(r"^ *(?:/\*\*.*?\*/ *$|//.*?$)", re.DOTALL | re.MULTILINE)
_INDENT = re.compile(r"^ +", re.MULTILINE)


class AssetError(ValueError):
    """A page or one of its files is missing, of no known type, or has a place that nothing fills."""


class Assets:
    """The files of some folders below `root`; HTML is a template and not among them. Raises `AssetError`."""

    def __init__(self, root: Path, folders: Sequence[str]) -> None:
        self._root = root
        self._files = {
            path.relative_to(root).as_posix(): _load(path)
            for folder in folders
            for path in sorted((root / folder).rglob("*"))
            if path.is_file() and path.suffix != ".html"
        }
        digest = hashlib.sha256()
        for name, file in sorted(self._files.items()):
            digest.update(name.encode() + b"\0" + file.body)
        self.hash = digest.hexdigest()[:_HASH_DIGITS]

    def get(self, tree: str, name: str) -> File | None:
        """The file `name` of the tree whose hash is `tree`."""
        return self._files.get(name) if tree == self.hash else None

    def template(self, name: str, places: Sequence[str] = (), **values: str) -> Template:
        """The HTML file `name` with `{{asset:PATH}}` and `{{NAME}}` of `values` filled in, `places` left open."""
        try:
            text = (self._root / name).read_text()
        except OSError as error:
            raise AssetError(f"page {name}: {error.strerror}") from None
        left = {place: f"{{{{{place}}}}}" for place in places}
        return Template(_PLACE.sub(lambda found: self._value(name, found[1], values | left), text))

    def _value(self, page: str, place: str, values: Mapping[str, str]) -> str:
        asset = place.removeprefix("asset:")
        if asset in self._files and asset != place:
            return f"/assets/{self.hash}/{asset}"
        if place not in values:
            raise AssetError(f"page {page} asks for {place}, which is not there")
        return values[place]


class Template:
    """A page of which little is left to fill in."""

    def __init__(self, text: str) -> None:
        self._text = text

    def fill(self, **values: str) -> File:
        """The page as it is to be served. `values` are HTML."""
        return compressed(_HTML, _PLACE.sub(lambda found: values[found[1]], self._text).encode())


def _load(path: Path) -> File:
    content_type = CONTENT_TYPES.get(path.suffix)
    if content_type is None:
        raise AssetError(f"{path}: no content type is known for {path.suffix}")
    body = path.read_bytes()
    is_ours = path.suffix == ".js" and path.parent.name != _VENDOR
    return compressed(content_type, lean(body.decode()).encode() if is_ours else body)


def lean(script: str) -> str:
    """A script without its comments (those that have lines of their own) and indents; every line keeps its number."""
    return _INDENT.sub("", _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), script))


def compressed(content_type: str, body: bytes) -> File:
    small = gzip.compress(body, 9, mtime=0)
    return File(content_type, body, small if len(small) < len(body) else b"")
