"""Waiting for children to end and for signals, in one call; a lock that names one supervisor; ports that are taken."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import socket
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from stentor.io.processes import Child

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
RELOAD_SIGNAL = signal.SIGHUP


class Watch:
    """An epoll over pidfds and the signals that ask us to stop or to reload.

    One at a time in a process, in its main thread.
    """

    def __init__(self) -> None:
        self._children: dict[int, Child] = {}
        self._epoll = select.epoll()
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._epoll.register(self._read, select.EPOLLIN)

    def __enter__(self) -> Watch:
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        numbers = (*STOP_SIGNALS, RELOAD_SIGNAL)
        self._handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for child in self._children.values():
            child.close()
        self._epoll.close()
        os.close(self._read)
        os.close(self._write)

    def add(self, child: Child) -> None:
        self._children[child.pidfd] = child
        self._epoll.register(child.pidfd, select.EPOLLIN)

    def rename(self, child: Child) -> None:
        """From now on the child with this pidfd is `child`."""
        self._children[child.pidfd] = child

    def wait(self, timeout_s: float | None) -> tuple[list[tuple[Child, int | None]], set[int]]:
        """-> (children that ended and are no longer watched, each with its exit code; signals that came)."""
        ended: list[tuple[Child, int | None]] = []
        signals: set[int] = set()
        for fd, _ in self._epoll.poll(timeout_s):
            if fd == self._read:
                signals = set(os.read(self._read, 64))
            else:
                child = self._children.pop(fd)
                self._epoll.unregister(fd)
                ended.append((child, child.reap()))
                child.close()
        return ended, signals


class Taken(RuntimeError):
    """Another process holds the lock, or a port."""


def lock(path: Path) -> None:
    """Take an exclusive flock on a file until this process ends. Raises `Taken`; the text is the holder's pid."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(fd, 32).decode(errors="replace").strip()
        os.close(fd)
        raise Taken(holder) from None
    os.truncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())


def taken(bind: str, port: int, kinds: Iterable[socket.SocketKind]) -> bool:
    """Whether somebody holds `port`, by any of `kinds` (stream, datagram), also with SO_REUSEPORT.

    Raises `OSError` where `bind` is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    for kind in kinds:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past connections do not count
            try:
                probe.bind((bind, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return True
    return False
