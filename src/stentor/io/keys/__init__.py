"""Keys on disk, in a directory of mode 0700: the MAC key of tickets and the signing key of this installation."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES = 32


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


def ticket_key(directory: Path) -> bytes:
    return load_or_create(directory, "ticket.key")


def draw_secret(directory: Path, show: str) -> bytes:
    """K of the draw of `show`, committed to beforehand and shown afterwards (core/draw.py)."""
    return load_or_create(directory, f"draw-{show}.key")


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
