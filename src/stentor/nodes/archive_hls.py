"""HLS of the past: from the first recorded second on, to the end when the show has ended. Segments are chunk ranges."""

from __future__ import annotations

import gzip
from functools import lru_cache
from typing import NamedTuple

from stentor.core.playlist import PAST_NAME, Layout, Past, variants
from stentor.formats import m3u8
from stentor.model.rendition import Rendition
from stentor.nodes.recorded import Recorded

KEPT_MAX = 32  # playlists; one of a show of three hours takes 250 kB
GZIP_LEVEL = 6
FRESH_S = 2  # half of a segment


class Text(NamedTuple):
    """A playlist, and how long caches may keep it (s; 0: for ever)."""

    body: bytes
    gzipped: bytes
    fresh_s: int


def multivariant(found: Recorded) -> bytes:
    """The playlist of the playlists of a show."""
    assert found.meta is not None
    recorded = [rendition for item in found.meta.renditions if (rendition := found.rendition(item.name))]
    return m3u8.multivariant(variants("", PAST_NAME, recorded)).encode()


def media(found: Recorded, rendition: Rendition) -> Text | None:
    """The playlist of one rendition; None as long as it has no segment, for some players give up on an empty one."""
    meta = found.meta
    assert meta is not None
    ended, last_n = found.ended, found.last_n  # in this order: the end comes after the last chunk
    past = Past(Layout(meta.grid, rendition), meta.first_n, last_n, ended)
    return _encoded(past.listed) if past.segments else None


@lru_cache(KEPT_MAX)
def _encoded(past: Past) -> Text:
    body = m3u8.media(past.render()).encode()
    return Text(body, gzip.compress(body, GZIP_LEVEL, mtime=0), 0 if past.ended else FRESH_S)
