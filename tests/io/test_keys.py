"""Keys of tickets on disk: made once by whoever is first, gone when they are over."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stentor.io.keys import KEY_BYTES, SHOW_KEPT_S, GroupKeys, KeyFileError, stable_key

TAG = b"\x01" * 8


def test_whoever_comes_first_makes_it_and_all_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: GroupKeys(tmp_path / "keys", 1).hour(7), range(64)))
    assert len(set(found)) == 1 and len(found[0]) == KEY_BYTES
    (path,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_groups_hours_shows_and_ids_have_keys_of_their_own(tmp_path: Path) -> None:
    one, two = GroupKeys(tmp_path, 1), GroupKeys(tmp_path, 2)
    found = [one.hour(7), one.hour(8), two.hour(7), one.show(TAG, 128), one.show(TAG, 129), two.show(TAG, 128)]
    assert len({*found, one.show(b"\x02" * 8, 128)}) == 7
    assert (one.hour(7), two.show(TAG, 128)) == (found[0], found[5])


def test_an_hour_that_nobody_needed_is_not_made(tmp_path: Path) -> None:
    files = GroupKeys(tmp_path, 1)
    assert files.known_hour(7) is None
    assert not list(tmp_path.iterdir())
    assert files.hour(7) == files.known_hour(7)


def test_what_is_over_is_removed_and_nothing_else(tmp_path: Path) -> None:
    files, others = GroupKeys(tmp_path, 1), GroupKeys(tmp_path, 11)
    stable_key(tmp_path)
    for hour in (5, 6, 10):
        files.hour(hour)
        others.hour(hour)
    for tag in (TAG, b"\x02" * 8):
        files.show(tag, 128)
    stale = tmp_path / f"show-1-{TAG.hex()}-128.key"
    os.utime(stale, (0, stale.stat().st_mtime - SHOW_KEPT_S - 60))
    files.forget(6)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("ticket.key", "hour-1-6.key", "hour-1-10.key", "hour-11-5.key", "hour-11-6.key", "hour-11-10.key"),
        f"show-1-{'02' * 8}-128.key",
    }


def test_a_show_whose_key_is_asked_for_keeps_it(tmp_path: Path) -> None:
    files = GroupKeys(tmp_path, 1)
    key = files.show(TAG, 128)
    (path,) = tmp_path.iterdir()
    os.utime(path, (0, 0))
    assert files.show(TAG, 128) == key
    files.forget(0)
    assert files.show(TAG, 128) == key


def test_a_file_that_is_no_key_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "hour-1-7.key").write_bytes(b"short")
    with pytest.raises(KeyFileError, match="5 bytes where a key has 32"):
        GroupKeys(tmp_path, 1).hour(7)
