"""Keys on disk, in a directory of mode 0700: those of tickets, by the hour and by the show, and the one by which this
installation signs."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES = 32
SHOW_KEPT_S = 2 * 86_400  # since anybody looked: twice the life of a ticket that is kept


class KeyFileError(ValueError):
    """A key file does not hold a key."""


def load_or_create(directory: Path, name: str) -> bytes:
    """32 bytes of the key `name`, made on first use. Several processes may come first at once: one wins, all agree."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / name
    if not path.exists():
        scratch = directory / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            os.fsync(file.fileno())
        try:
            os.link(scratch, path)
        except FileExistsError:
            pass
        finally:
            scratch.unlink()
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{path}: {len(key)} bytes where a key has {KEY_BYTES}")
    return key


def stable_key(directory: Path) -> bytes:
    """The key of the paths of HLS, which caches keep. It was once the only key of tickets, and is still called so."""
    return load_or_create(directory, "ticket.key")


def draw_secret(directory: Path, show: str) -> bytes:
    """K of the draw of `show`, committed to beforehand and shown afterwards (core/draw.py)."""
    return load_or_create(directory, f"draw-{show}.key")


class GroupKeys:
    """Keys of tickets of one edge group: a file an hour, a file a show and key id. Raises as `load_or_create`."""

    def __init__(self, directory: Path, group: int) -> None:
        self._directory = directory
        self._group = group

    def hour(self, hour: int) -> bytes:
        """The key of an hour, made by whoever needs it first."""
        return load_or_create(self._directory, f"hour-{self._group}-{hour}.key")

    def known_hour(self, hour: int) -> bytes | None:
        """The same, if anybody has needed it."""
        exists = (self._directory / f"hour-{self._group}-{hour}.key").exists()
        return self.hour(hour) if exists else None

    def show(self, tag: bytes, key_id: int) -> bytes:
        """A key of the show with this tag; it stays as long as somebody asks for it or holds it now and then."""
        name = f"show-{self._group}-{tag.hex()}-{key_id}.key"
        key = load_or_create(self._directory, name)
        os.utime(self._directory / name)
        return key

    def hold(self, tag: bytes) -> None:
        """The show with this tag is still to come, or on: its keys stay, also where nobody asks for them."""
        for path in self._directory.glob(f"show-{self._group}-{tag.hex()}-*.key"):
            with contextlib.suppress(OSError):  # gone, or not ours: it is looked at again in an hour
                os.utime(path)

    def forget(self, oldest_hour: int) -> None:
        """Remove keys of hours before that, and of shows that nobody has asked for in a long time."""
        for path in self._directory.glob(f"hour-{self._group}-*.key"):
            hour = path.stem.rpartition("-")[2]
            if hour.isdecimal() and int(hour) < oldest_hour:
                path.unlink(missing_ok=True)
        for path in self._directory.glob(f"show-{self._group}-*.key"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > SHOW_KEPT_S:
                    path.unlink()


class Signer:
    """Ed25519 (RFC 8032) with the key of this installation."""

    def __init__(self, directory: Path) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(load_or_create(directory, "sign.key"))
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """-> 64 bytes."""
        return self._key.sign(message)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is `public_key`'s over `message`; a malformed key or signature is a no."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
