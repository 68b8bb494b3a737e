"""A question answered on another core: by a fork, which has in memory all that its parent has read."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

Question = Callable[[], bool]


def ask(question: Question) -> Question:
    """Begin on the answer; -> what waits for it. A fork that dies, of whatever cause, has answered no.

    The question must leave nothing behind but its answer. Where there is no room for another process, it is answered
    when it is waited for.
    """
    try:
        pid = os.fork()
    except OSError:
        return question
    return partial(_wait_for, pid) if pid else _answer(question)


def _answer(question: Question) -> Question:
    """In the fork, which ends here: what its parent had open and buffered is not its own to close or flush."""
    code = 1
    try:
        code = 0 if question() else 1
    finally:
        os._exit(code)


def _wait_for(pid: int) -> bool:
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0
