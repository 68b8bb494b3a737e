"""Weights of the CPU: what is written in directories that look like the kernel's, and what the kernel makes of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from stentor.io.cgroup import CgroupError, Groups

WEIGHTS = {"media": 400, "door": 50}


def looks_like(tmp_path, membership, *directories, control=""):
    (tmp_path / "self").write_text(membership)
    for name in directories:
        group = tmp_path / "fs" / name
        group.mkdir(parents=True, exist_ok=True)
        (group.parent / "cgroup.subtree_control").write_text(control)
    return tmp_path / "fs", tmp_path / "self"


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1_has_them_below_our_own(tmp_path, mount):
    root, own = looks_like(tmp_path, f"3:{mount}:/a/b\n2:cpuset:/\n0::/\n", f"{mount}/a/b")
    groups = Groups(WEIGHTS, root, own)
    base = root / mount / "a/b"
    assert (base / "stentor-media/cpu.shares").read_text() == "4096\n"
    assert (base / "stentor-door/cpu.shares").read_text() == "512\n"
    assert groups.applied == {"media": "cpu.shares 4096", "door": "cpu.shares 512"}
    assert groups.put(77, "door") and (base / "stentor-door/cgroup.procs").read_text() == "77\n"


def test_version_2_has_them_beside_our_own(tmp_path):
    root, own = looks_like(tmp_path, "0::/x.service/serve\n", "x.service/serve", control="cpu memory\n")
    groups = Groups(WEIGHTS, root, own)
    assert (root / "x.service/stentor-media/cpu.weight").read_text() == "400\n"
    assert groups.applied["door"] == "cpu.weight 50"


@pytest.mark.parametrize(
    ("membership", "reason"),
    [
        ("0::/x.service\n", "DelegateSubgroup"),
        ("0::/\n", "root"),
        ("0::/gone/serve\n", "No such file"),
        ("4:memory:/\n", "no cgroup"),
    ],
)
def test_where_nothing_may_be_made_nothing_is(tmp_path, membership, reason):
    root, own = looks_like(tmp_path, membership, "a/serve", "x.service", control="memory\n")
    with pytest.raises(CgroupError, match=reason):
        Groups(WEIGHTS, root, own)
    assert not list(root.rglob("stentor-*"))


def test_who_has_ended_cannot_be_put_anywhere(tmp_path):
    root, own = looks_like(tmp_path, "3:cpu:/\n", "cpu")
    groups = Groups(WEIGHTS, root, own)
    (root / "cpu/stentor-door").rename(root / "cpu/away")
    assert not groups.put(77, "door")


def real():
    """Groups of names that no installation has, in the kernel's tree; None where that is not permitted."""
    try:
        return Groups({"test-high": 400, "test-low": 50})
    except CgroupError:
        return None


def test_by_the_kernel():
    groups = real()
    if groups is None:
        pytest.skip("no cgroups may be made here")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert groups.put(child.pid, "test-low")
        assert "stentor-test-low" in Path(f"/proc/{child.pid}/cgroup").read_text()
        assert not groups.put(2**22 + 1, "test-low")
    finally:
        child.communicate(b"\n")
        groups.drop()
    assert "stentor-test" not in Path("/proc/self/cgroup").read_text()


def test_version_2_is_asked_for_weights_where_there_are_none_yet(tmp_path):
    root, own = looks_like(tmp_path, "0::/x.service/serve\n", "x.service/serve", control="memory\n")
    Groups(WEIGHTS, root, own)
    assert (root / "x.service/cgroup.subtree_control").read_text() == "+cpu\n"
