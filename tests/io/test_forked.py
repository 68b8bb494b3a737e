"""A question answered by a fork: yes only if it said so."""

import os
import signal

import pytest

from stentor.io import forked


def test_the_answer_of_a_fork() -> None:
    asked = os.getpid()
    yes, no = forked.ask(lambda: os.getpid() != asked), forked.ask(lambda: os.getpid() == asked)
    assert (yes(), no()) == (True, False)


def test_a_fork_that_dies_has_answered_no(capfd: pytest.CaptureFixture[str]) -> None:
    def die() -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    assert not forked.ask(die)()
    assert not forked.ask(lambda: bool(1 // 0))()
    assert capfd.readouterr() == ("", "")


def test_without_room_for_a_process_the_asker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", full)
    asked = os.getpid()
    assert forked.ask(lambda: os.getpid() == asked)()
