"""Evidence by datagrams: nobody waits, what is lost is counted, and who reads may be another than before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stentor.io.post import BACKLOG_MAX, RECEIVED_MAX, Receiver, Sender


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "shield.sock"


@pytest.fixture
def sender(path: Path) -> Iterator[Sender]:
    one = Sender(path)
    yield one
    one.close()


def test_what_nobody_takes_is_lost_and_counted(sender: Sender, path: Path) -> None:
    sender.send(b"before anybody was there")
    Receiver(path).close()
    sender.send(b"after they had gone")
    assert sender.lost == 2


def test_a_burst_waits_for_a_receiver_who_is_behind(sender: Sender, path: Path) -> None:
    """The kernel's queue of such a socket is ten long: of a quarter of a second of many sources it holds a part."""
    receiver, told = Receiver(path), [bytes([number]) * 30_000 for number in range(24)]
    for data in told:
        sender.send(data)
    found: list[bytes] = []
    while taken := receiver.receive(0):
        assert len(taken) <= RECEIVED_MAX
        found += taken
        sender.push()
    assert found == told and sender.lost == 0
    receiver.close()


def test_of_too_much_that_waits_the_newest_is_kept(sender: Sender, path: Path) -> None:
    receiver, count = Receiver(path), 2 * BACKLOG_MAX
    for number in range(count):
        sender.send(number.to_bytes(2) * 15_000)
    found: list[bytes] = []
    while taken := receiver.receive(0):
        found += taken
        sender.push()
    assert sender.lost == count - len(found) > 0
    assert found[-BACKLOG_MAX:] == [number.to_bytes(2) * 15_000 for number in range(count - BACKLOG_MAX, count)]
    receiver.close()


def test_who_takes_over_is_told_from_then_on_whenever_the_one_before_closes(sender: Sender, path: Path) -> None:
    before = Receiver(path)
    after = Receiver(path)
    before.close()
    sender.send(b"to the new one")
    assert after.receive(0) == [b"to the new one"] and sender.lost == 0
    after.close()
    assert not path.exists()
