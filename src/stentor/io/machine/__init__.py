"""What this machine is and permits: clock, kernel parameters, disks, descriptors, rights."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # struct timex has 208; room for what a kernel may add
_PROBE_BYTES = 4_096
NFT_S_MAX = 5.0


def clock_synchronised() -> bool:
    """Whether something keeps the clock right, as the kernel was told (adjtimex(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) not in (_TIME_ERROR, -1))


def kernel_parameter(name: str) -> int | None:
    """Of /proc/sys, the first number; None where there is none."""
    try:
        return int((Path("/proc/sys") / name.replace(".", "/")).read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def on_tmpfs(path: Path) -> bool:
    """Whether what is written at `path`, which need not exist yet, stays in memory."""
    place = path.resolve()
    found = ("", "")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split(" ")
        if place.is_relative_to(mount) and len(mount) >= len(found[0]):
            found = (mount, kind)
    return found[1] in ("tmpfs", "ramfs")


def free_bytes(path: Path) -> int:
    """Of the file system that `path` stands, or will stand, on."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def sync_s(directory: Path, count: int) -> float:
    """The longest of `count` appends of 4 kB with fdatasync. Raises `OSError`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f".probe.{os.getpid()}"
    longest = 0.0
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        for _ in range(count):
            began = time.perf_counter()
            os.write(file, bytes(_PROBE_BYTES))
            os.fdatasync(file)
            longest = max(longest, time.perf_counter() - began)
    finally:
        os.close(file)
        path.unlink()
    return longest


def descriptors_max() -> int:
    """How many one process may open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def may_raise_priority() -> bool:
    """Whether a process of ours may get a niceness below 0; tried in a child."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -1)
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def nft_problem() -> str:
    """Why rules of the kernel's firewall cannot be set from here; empty if they can."""
    try:
        done = subprocess.run(["nft", "-j", "list", "tables"], capture_output=True, text=True, timeout=NFT_S_MAX)
    except FileNotFoundError:
        return "nft is not installed"
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr.strip().splitlines() or ["nft failed"])[0] if done.returncode else ""
