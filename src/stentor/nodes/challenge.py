"""The challenge of one worker of the door: when it is asked for, by which key, and the table that all workers share."""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import time
from pathlib import Path

import structlog

from stentor.core import challenge
from stentor.core.challenge import Challenger
from stentor.formats import challenge as form
from stentor.formats.problem import Refused
from stentor.io.board import Board
from stentor.io.keys import KeyFileError, stable_key
from stentor.model import board
from stentor.model.http import Request
from stentor.nodes.values import get
from stentor.settings import Settings

FRESH_S = 5.0  # the usher says four times a second whether it is wanted; a dead one wants nothing
_PERSON = b"door-challenge"
log = structlog.get_logger()


class Challenges:
    """Without key or table nobody is asked: the door stays open rather than shut."""

    def __init__(self, settings: Settings, values: Board) -> None:
        self._settings, self._values = settings, values
        self._challenger: Challenger | None = None
        self._problem = ""
        self.asked_of_all = False

    @property
    def challenged(self) -> int:
        return self._challenger.challenged if self._challenger else 0

    @property
    def solved(self) -> int:
        return self._challenger.solved if self._challenger else 0

    def look(self) -> None:
        """Follow the usher, and make some challenges for later."""
        if self._challenger is None and self._settings.challenge_hashes:
            self._challenger = self._build()
        shield = get(self._values, "shield", board.Shield)
        fresh = shield is not None and time.time() - shield.at_ms / 1000 < FRESH_S
        self.asked_of_all = self._challenger is not None and fresh and shield is not None and shield.challenge
        if self._challenger is not None:
            self._challenger.refill()

    def _build(self) -> Challenger | None:
        try:
            secret = stable_key(self._settings.keys_dir)
            table = _shared(self._settings.run_dir / "solved", challenge.TABLE_BYTES)
        except (OSError, ValueError, KeyFileError) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.error("nobody can be asked to solve anything", reason=self._problem)
            return None
        key = hashlib.blake2b(key=secret, person=_PERSON, digest_size=32).digest()
        return Challenger(key, memoryview(table), random.SystemRandom(), self._settings.challenge_hashes)

    def receive(self, request: Request, source: str) -> Refused | None:
        """None: who asks may join, as far as this goes."""
        if self._challenger is None:
            return None
        solution, stamp = form.sent(request)
        return self._challenger.receive(solution, stamp, source, int(time.time()), time.monotonic())


def _shared(path: Path, size: int) -> mmap.mmap:
    """The file's `size` bytes, zero when it is new. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(file).st_size < size:
            os.posix_fallocate(file, 0, size)  # here, not by SIGBUS later, if there is no room
        return mmap.mmap(file, size)
    finally:
        os.close(file)
