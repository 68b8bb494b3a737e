"""The table of sessions, as several processes of one machine see it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.io.sessions import SEEN, SLOTS, Sessions, SessionsError

PIDS = (1_000, 2_000, (1 << 22) - 1)
TOP = 2**32 - 1
TAKE = """
import pathlib, sys
from stentor.io.sessions import Sessions
print(Sessions(pathlib.Path(sys.argv[1])).take(7))
"""


def workers(tmp_path: Path) -> list[Sessions]:
    return [Sessions(tmp_path / "sessions", pid) for pid in PIDS]


def elsewhere(table: Sessions, *seqs: int) -> list[bool]:
    return table.elsewhere(np.array(seqs, np.int64)).tolist()


def test_the_newest_has_it_and_the_one_before_finds_out(tmp_path: Path) -> None:
    one, two, _ = workers(tmp_path)
    assert one.take(7) == 0
    assert one.take(7) == PIDS[0]
    assert two.take(7) == PIDS[0]
    assert (elsewhere(one, 7), elsewhere(two, 7)) == ([True], [False])
    assert one.take(7) == PIDS[1]
    assert (elsewhere(one, 7), elsewhere(two, 7)) == ([False], [True])


@pytest.mark.parametrize("seq", [1, SLOTS - 1, SLOTS, TOP])
def test_every_seq_has_its_place(tmp_path: Path, seq: int) -> None:
    one, _, last = workers(tmp_path)
    assert (one.take(seq), last.take(seq), one.take(seq)) == (0, PIDS[0], PIDS[2])


def test_what_was_seen_is_no_first_time_and_no_session(tmp_path: Path) -> None:
    one, two, _ = workers(tmp_path)
    assert one.see(7)
    assert not two.see(7)
    assert two.take(7) == SEEN
    assert not one.see(7)
    assert one.take(7) == PIDS[1], "to see it takes it from nobody"


def test_a_slot_that_another_seq_has_by_now_ends_nobodys_session(tmp_path: Path) -> None:
    """After so many tickets the older one is forgotten: it plays on, and counts as new when it comes again."""
    one, two, _ = workers(tmp_path)
    one.take(7)
    assert two.take(7 + SLOTS) == 0
    assert elsewhere(one, 7) == [False]
    assert one.take(7) == 0


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([1, 2, 1_024, 1 + SLOTS, TOP, TOP - SLOTS]), st.booleans()),
        max_size=60,
    )
)
def test_it_says_what_a_dictionary_would_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    tables = workers(tmp_path_factory.mktemp("table"))
    model: dict[int, tuple[int, int]] = {}  # by slot: the seq and who has it
    for who, seq, take in steps:
        owner, before = model.get(seq % SLOTS, (seq, 0))
        before = before if owner == seq else 0
        if take:
            assert tables[who].take(seq) == before
            model[seq % SLOTS] = (seq, PIDS[who])
        else:
            assert tables[who].see(seq) is (before == 0)
            model[seq % SLOTS] = (seq, before or SEEN)
        for table, pid in zip(tables, PIDS, strict=True):
            expected = model[seq % SLOTS][1] not in (SEEN, pid)
            assert elsewhere(table, seq) == [expected]
    for table in tables:
        table.close()


def test_it_takes_memory_for_what_is_used_only(tmp_path: Path) -> None:
    path = tmp_path / "sessions"
    table = Sessions(path)
    for seq in range(1, 5_000):
        table.take(seq)
    assert path.stat().st_blocks * 512 <= 6 * os.sysconf("SC_PAGESIZE")


def test_what_is_no_table_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "sessions"
    path.write_bytes(b"something else")
    with pytest.raises(SessionsError, match="not a table of sessions"):
        Sessions(path)
    assert path.read_bytes() == b"something else"


def test_another_process_sees_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sessions"
    table = Sessions(path)
    table.take(7)
    told = subprocess.run([sys.executable, "-c", TAKE, str(path)], capture_output=True, check=True, text=True).stdout
    assert int(told) == os.getpid()
    assert elsewhere(table, 7) == [True]


def test_without_memory_it_says_so_and_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Sessions(tmp_path / "sessions")

    def no_space(file: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", no_space)
        with pytest.raises(OSError, match="No space"):
            table.take(7)
    assert table.take(7) == 0
