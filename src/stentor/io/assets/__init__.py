"""Files of the public pages, read once at start: served under one hash of them all, so that they never change.

ES modules import each other by relative paths, so the hash stands for the whole tree: `/assets/<hash>/listen/now.js`.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_HASH_DIGITS = 8
_PLACE = re.compile(r"\{\{asset:([\w./-]+)\}\}")


class AssetError(ValueError):
    """A page or one of its files is missing, or of no known type."""


@dataclass(frozen=True, slots=True)
class Asset:
    content_type: str
    body: bytes
    gzipped: bytes


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
        for name, asset in sorted(self._files.items()):
            digest.update(name.encode() + b"\0" + asset.body)
        self.hash = digest.hexdigest()[:_HASH_DIGITS]

    def get(self, tree: str, name: str) -> Asset | None:
        """The file `name` of the tree whose hash is `tree`."""
        return self._files.get(name) if tree == self.hash else None

    def page(self, name: str) -> str:
        """The HTML file `name` with its `{{asset:NAME}}` filled in."""
        try:
            text = (self._root / name).read_text()
        except OSError as error:
            raise AssetError(f"page {name}: {error.strerror}") from None
        return _PLACE.sub(lambda found: self._address(name, found[1]), text)

    def _address(self, page: str, name: str) -> str:
        if name not in self._files:
            raise AssetError(f"page {page} asks for {name}, which is not there")
        return f"/assets/{self.hash}/{name}"


def _load(path: Path) -> Asset:
    content_type = CONTENT_TYPES.get(path.suffix)
    if content_type is None:
        raise AssetError(f"{path}: no content type is known for {path.suffix}")
    body = path.read_bytes()
    return Asset(content_type, body, gzip.compress(body, 9, mtime=0))
