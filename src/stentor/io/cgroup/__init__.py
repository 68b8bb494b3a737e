"""Shares of the CPU by control group (cgroups(7)): two groups that want the same core get of it as their weights are.

Version 1: the groups are made below our own. Version 2: beside our own, for there no group may hold both processes and
groups; and only where whoever made our group has left that to us, which systemd does for `Delegate=cpu` with a
`DelegateSubgroup=`, and not for a plain unit. Otherwise nothing is changed, and `CgroupError` says why.

Unlike nice, a weight counts between sessions as well: where sessions are scheduled as groups (`sched_autogroup`), nice
counts only within one.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

ROOT, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
WEIGHT_NORMAL = 100  # as in `cpu.weight`; the same in `cpu.shares` is 1024
WEIGHT_MAX = 10_000
_SHARES_NORMAL = 1_024
_UNITS = (".service", ".scope", ".slice")  # groups that are systemd's


class CgroupError(OSError):
    """There is no group for the CPU that we may make groups in."""


class Groups:
    """`names` with their weights, 1 to `WEIGHT_MAX`. Raises `CgroupError` if none can be made."""

    def __init__(self, weights: dict[str, int], root: Path = ROOT, membership: Path = MEMBERSHIP) -> None:
        assert all(0 < weight <= WEIGHT_MAX for weight in weights.values())
        try:
            self._base, self._file, self._unit = _find(root, membership)
            self.applied = {name: self._make(name, weight) for name, weight in weights.items()}
        except CgroupError:
            raise
        except OSError as error:
            raise CgroupError(f"{error.filename}: {error.strerror}") from None

    def _make(self, name: str, weight: int) -> str:
        """-> what was set, for the log."""
        group, value = self._path(name), weight * self._unit // WEIGHT_NORMAL
        group.mkdir(exist_ok=True)
        (group / self._file).write_text(f"{value}\n")
        return f"{self._file} {value}"

    def _path(self, name: str) -> Path:
        return self._base / f"stentor-{name}"

    def put(self, pid: int, name: str) -> bool:
        """Move the process `pid`, and what it starts from now on, to a group; -> whether that worked."""
        try:
            (self._path(name) / "cgroup.procs").write_text(f"{pid}\n")
        except OSError:
            return False
        return True

    def drop(self) -> None:
        """Take away the groups that nobody is in any more."""
        for name in self.applied:
            with contextlib.suppress(OSError):
                self._path(name).rmdir()


def _find(root: Path, membership: Path) -> tuple[Path, str, int]:
    """-> where groups are to be made, the file for a weight, and what stands there for `WEIGHT_NORMAL`."""
    ours = dict(line.split(":", 2)[1:] for line in membership.read_text().splitlines())
    for controllers, path in ours.items():
        if "cpu" in controllers.split(","):
            return _below(root / controllers, path), "cpu.shares", _SHARES_NORMAL
    if "" not in ours:
        raise CgroupError("no cgroup")
    return _beside(root, ours[""]), "cpu.weight", WEIGHT_NORMAL


def _below(mount: Path, path: str) -> Path:
    return mount / path.lstrip("/")


def _beside(root: Path, path: str) -> Path:
    """The group that ours is in, if that is ours too."""
    ours = _below(root, path)
    if ours.name.endswith(_UNITS):
        raise CgroupError(f"{path} is a unit of systemd without DelegateSubgroup=")
    if ours == root:
        raise CgroupError("we are in the root of the groups")
    control = ours.parent / "cgroup.subtree_control"
    if "cpu" not in control.read_text().split():
        control.write_text("+cpu\n")
    return ours.parent
