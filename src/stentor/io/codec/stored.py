"""The hold, kept in a file: making it takes seconds of CPU, and a studio that comes back has none to spare."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import av
import msgspec

from stentor.formats.chunks import Hold
from stentor.io.codec import Samples, make_holds
from stentor.model.rendition import RENDITIONS


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    """`recipe`: of what the holds were made. `packed`: by rendition id."""

    recipe: bytes
    digest: bytes
    packed: dict[int, bytes]


def stored_holds(path: Path, tone: Samples) -> dict[int, Hold]:
    """The hold of every rendition, by id: from `path`, or made now if it is not there, not whole or of another recipe.

    That it cannot be written is no error: it is made again next time.
    """
    recipe = _recipe(tone)
    holds = _read(path, recipe)
    if holds is None:
        holds = make_holds(tone)
        with contextlib.suppress(OSError):
            _write(path, recipe, holds)
    return holds


def _recipe(tone: Samples) -> bytes:
    """Another tone, rendition or encoder makes another hold."""
    made_with = repr((RENDITIONS, av.__version__, av.library_versions)).encode()
    return hashlib.sha256(made_with + tone.tobytes()).digest()


def _digest(packed: dict[int, bytes]) -> bytes:
    return hashlib.sha256(b"".join(packed[rendition.id] for rendition in RENDITIONS)).digest()


def _read(path: Path, recipe: bytes) -> dict[int, Hold] | None:
    try:
        stored = msgspec.msgpack.decode(path.read_bytes(), type=_Stored)
        if stored.recipe == recipe and stored.digest == _digest(stored.packed):
            return {rendition.id: Hold.unpack(rendition, stored.packed[rendition.id]) for rendition in RENDITIONS}
    except (OSError, msgspec.DecodeError, KeyError, ValueError):
        pass
    return None


def _write(path: Path, recipe: bytes, holds: dict[int, Hold]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = {key: value.pack() for key, value in holds.items()}
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(msgspec.msgpack.encode(_Stored(recipe, _digest(packed), packed)))
    scratch.replace(path)
